#include "engine/windows/accumulator_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "engine/windows/distinct_set.h"

namespace millrace {
namespace {

Result<unsigned> PartsOf(const AggregateSpec& spec) {
  const Type type = spec.argument_type;
  const bool numeric = IsNumeric(type) || type == Type::kNull;
  switch (spec.function) {
    case AggregateFunction::kCount:
      return spec.distinct ? kDistinct : 0u;
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      if (numeric) return kSum;
      break;
    case AggregateFunction::kMin:
      if (type != Type::kBoolean) return kMin;
      break;
    case AggregateFunction::kMax:
      if (type != Type::kBoolean) return kMax;
      break;
    case AggregateFunction::kStddevSamp:
    case AggregateFunction::kStddevPop:
    case AggregateFunction::kVarSamp:
    case AggregateFunction::kVarPop:
      // Of equal doubles the sums leave a trace of rounding; the extremes tell that they are equal.
      if (type == Type::kDouble) return kSum | kSquares | kMin | kMax;
      if (numeric) return kSum | kSquares;
      break;
    case AggregateFunction::kPercentileCont:
      if (numeric) return kValues;
      break;
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
      if (type == Type::kBoolean || type == Type::kNull) return kTrues;
      break;
  }
  return InternalError("bad_aggregate",
                       "aggregate over " + std::string(TypeName(type)) + " is not defined");
}

template <typename T>
bool Less(const T& left, const T& right) {
  return left < right;
}
// NaN is greater than every number.
bool Less(double left, double right) {
  return left < right || (std::isnan(right) && !std::isnan(left));
}

template <typename T>
void MergeExtremes(const Measure& measure, char* into, const char* from) {
  if (measure.Has(kMin)) {
    T& least = FieldAt<T>(into, measure.Offset(kMin));
    const T& other = FieldAt<T>(from, measure.Offset(kMin));
    if (Less(other, least)) least = other;
  }
  if (measure.Has(kMax)) {
    T& largest = FieldAt<T>(into, measure.Offset(kMax));
    const T& other = FieldAt<T>(from, measure.Offset(kMax));
    if (Less(largest, other)) largest = other;
  }
}

void MergeText(std::string*& into, const std::string* from, bool least) {
  if (from == nullptr) return;
  if (into == nullptr) {
    into = new std::string(*from);
  } else if (least ? *from < *into : *into < *from) {
    *into = *from;
  }
}

template <typename T>
int64_t DestroyObject(char* row, size_t offset, int64_t (*bytes)(const T&)) {
  const std::unique_ptr<T> object(FieldAt<T*>(row, offset));
  FieldAt<T*>(row, offset) = nullptr;
  return object == nullptr ? 0 : bytes(*object);
}

}  // namespace

Result<AccumulatorLayout> AccumulatorLayout::Make(const std::vector<AggregateSpec>& aggregates) {
  AccumulatorLayout layout;
  for (const AggregateSpec& spec : aggregates) ARROW_RETURN_NOT_OK(layout.AddOutput(spec));
  layout.Place();
  return layout;
}

Status AccumulatorLayout::AddOutput(const AggregateSpec& spec) {
  ARROW_ASSIGN_OR_RAISE(const unsigned parts, PartsOf(spec));
  AggregateOutput output;
  output.spec = spec;
  if (spec.filter >= 0) output.rows_offset = FilterOffset(FilterIndex(spec.filter));
  if (spec.argument >= 0) {
    Measure* measure = MeasureFor(spec.argument, spec.filter, spec.argument_type);
    measure->parts |= parts;
    measure->rows_offset = output.rows_offset;
    output.measure = int(measure - measures_.data());
  } else if (spec.function != AggregateFunction::kCount || spec.distinct) {
    return InternalError("bad_aggregate", "an aggregate other than count(*) has no argument");
  }
  outputs_.push_back(output);
  return Status::OK();
}

size_t AccumulatorLayout::FilterIndex(int filter) {
  const auto found = std::ranges::find(filters_, filter);
  if (found != filters_.end()) return size_t(found - filters_.begin());
  filters_.push_back(filter);
  return filters_.size() - 1;
}

Measure* AccumulatorLayout::MeasureFor(int argument, int filter, Type type) {
  for (Measure& measure : measures_) {
    if (measure.argument == argument && measure.filter == filter) return &measure;
  }
  Measure& added = measures_.emplace_back();
  added.argument = argument;
  added.filter = filter;
  added.type = type;
  return &added;
}

void AccumulatorLayout::Place() {
  size_t end = FilterOffset(filters_.size());
  for (Measure& measure : measures_) {
    measure.base = end;
    for (unsigned part = kSum; part <= kDistinct; part <<= 1) {
      measure.offsets[size_t(std::countr_zero(part))] = end + PartOffset(measure.parts, part);
    }
    end += PartOffset(measure.parts, kDistinct << 1);
  }
  initial_.assign(end, '\0');
  for (const Measure& measure : measures_) {
    has_values_ = has_values_ || measure.Has(kValues);
    has_objects_ = has_objects_ || measure.Has(kValues | kDistinct) ||
                   (measure.type == Type::kText && measure.Has(kMin | kMax));
    if (measure.type == Type::kText) continue;
    const bool is_double = measure.type == Type::kDouble;
    if (measure.Has(kMin)) {
      char* field = initial_.data() + measure.Offset(kMin);
      const double nan = std::numeric_limits<double>::quiet_NaN();
      const int64_t largest = INT64_MAX;
      std::memcpy(field, is_double ? static_cast<const void*>(&nan) : &largest, 8);
    }
    if (measure.Has(kMax)) {
      char* field = initial_.data() + measure.Offset(kMax);
      const double infinity = -std::numeric_limits<double>::infinity();
      const int64_t least = INT64_MIN;
      std::memcpy(field, is_double ? static_cast<const void*>(&infinity) : &least, 8);
    }
  }
}

void AccumulatorLayout::Initialise(char* row) const {
  std::memcpy(row, initial_.data(), initial_.size());
}

void AccumulatorLayout::Merge(char* into, const char* from) const {
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    FieldAt<int64_t>(into, offset) += FieldAt<int64_t>(from, offset);
  }
  for (const Measure& measure : measures_) {
    FieldAt<int64_t>(into, measure.base) += FieldAt<int64_t>(from, measure.base);
    if (measure.Has(kSum)) {
      const size_t offset = measure.Offset(kSum);
      if (measure.type == Type::kDouble) {
        FieldAt<DoubleSum>(into, offset).Add(FieldAt<DoubleSum>(from, offset));
      } else {
        FieldAt<Int128>(into, offset).Add(FieldAt<Int128>(from, offset).value());
      }
    }
    if (measure.Has(kSquares)) {
      const size_t offset = measure.Offset(kSquares);
      FieldAt<DoubleSum>(into, offset).Add(FieldAt<DoubleSum>(from, offset));
    }
    if (measure.type == Type::kText) {
      for (const unsigned part : {kMin, kMax}) {
        if (!measure.Has(part)) continue;
        MergeText(FieldAt<std::string*>(into, measure.Offset(part)),
                  FieldAt<std::string*>(from, measure.Offset(part)), part == kMin);
      }
    } else if (measure.type == Type::kDouble) {
      MergeExtremes<double>(measure, into, from);
    } else {
      MergeExtremes<int64_t>(measure, into, from);
    }
    if (measure.Has(kTrues)) {
      const size_t offset = measure.Offset(kTrues);
      FieldAt<int64_t>(into, offset) += FieldAt<int64_t>(from, offset);
    }
    if (measure.Has(kValues)) {
      ValueList*& list = FieldAt<ValueList*>(into, measure.Offset(kValues));
      if (const ValueList* other = FieldAt<ValueList*>(from, measure.Offset(kValues))) {
        if (list == nullptr) list = new ValueList();
        list->values.insert(list->values.end(), other->values.begin(), other->values.end());
      }
    }
    if (measure.Has(kDistinct)) {
      DistinctSet*& set = FieldAt<DistinctSet*>(into, measure.Offset(kDistinct));
      if (const DistinctSet* other = FieldAt<DistinctSet*>(from, measure.Offset(kDistinct))) {
        if (set == nullptr) set = new DistinctSet();
        set->InsertAll(*other);
      }
    }
  }
}

int64_t AccumulatorLayout::Destroy(char* row) const {
  int64_t bytes = 0;
  for (const Measure& measure : measures_) {
    if (measure.Has(kValues)) {
      bytes += DestroyObject<ValueList>(row, measure.Offset(kValues), [](const ValueList& list) {
        return int64_t(list.values.size() * sizeof(double));
      });
    }
    if (measure.Has(kDistinct)) {
      bytes += DestroyObject<DistinctSet>(row, measure.Offset(kDistinct),
                                          [](const DistinctSet& set) { return set.bytes(); });
    }
    if (measure.type != Type::kText) continue;
    for (const unsigned part : {kMin, kMax}) {
      if (!measure.Has(part)) continue;
      DestroyObject<std::string>(row, measure.Offset(part),
                                 [](const std::string&) { return int64_t(0); });
    }
  }
  return bytes;
}

}  // namespace millrace
