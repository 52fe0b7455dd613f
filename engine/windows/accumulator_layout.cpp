#include "engine/windows/accumulator_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace millrace {
namespace {

// By function: what is kept, and of which arguments. Over a bare null nothing is.
Result<unsigned> PartsOf(const AggregateSpec& spec) {
  const Type type = spec.argument_type;
  const bool null = type == Type::kNull;
  const bool numeric = IsNumeric(type) || null;
  const bool is_double = type == Type::kDouble || null;
  using F = AggregateFunction;
  switch (spec.function) {
    case F::kCount:
      return spec.distinct ? kDistinct : 0u;
    case F::kSum:
    case F::kAvg:
      if (numeric) return spec.distinct ? kDistinct : kSum;
      break;
    case F::kMin:
      if (type != Type::kBoolean) return kMin;
      break;
    case F::kMax:
      if (type != Type::kBoolean) return kMax;
      break;
    case F::kRange:
      if (is_double) return kMin | kMax;
      break;
    case F::kStddevSamp:
    case F::kStddevPop:
    case F::kVarSamp:
    case F::kVarPop:
      // Of equal doubles the sums leave a trace of rounding; the extremes tell that they are equal.
      if (type == Type::kDouble) return kSum | kSquares | kMin | kMax;
      if (numeric) return kSum | kSquares;
      break;
    case F::kPercentileCont:
      if (numeric && type != Type::kBigint) return kValues;
      break;
    case F::kPercentileDisc:
      if (numeric || type == Type::kTimestamp || type == Type::kDate) return kValues;
      break;
    case F::kApproxPercentile:
      if (is_double) return kSketch;
      break;
    case F::kMode:
      return kCounts;
    case F::kApproxCountDistinct:
      return kRegisters;
    case F::kBoolAnd:
    case F::kBoolOr:
      if (type == Type::kBoolean || null) return kTrues;
      break;
    case F::kFirst:
      return kFirst;
    case F::kLast:
      return kLast;
    case F::kCorr:
    case F::kCovarPop:
    case F::kCovarSamp:
    case F::kRegrSlope:
    case F::kRegrIntercept:
    case F::kRegrR2:
    case F::kRegrCount:
    case F::kRegrAvgX:
    case F::kRegrAvgY:
    case F::kRegrSxx:
    case F::kRegrSyy:
    case F::kRegrSxy:
      if (is_double && (spec.second_type == Type::kDouble || null)) return kPair;
      break;
    case F::kTimeWeightedAvg:
    case F::kIncrease:
    case F::kRate:
      if (is_double) return kSeries;
      break;
    case F::kStringAgg:
      if (type == Type::kText || null) return kSeries;
      break;
    case F::kArrayAgg:
      return kSeries;
  }
  return InternalError("bad_aggregate",
                       "aggregate over " + std::string(TypeName(type)) + " is not defined");
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
    Measure* measure = MeasureFor(spec);
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

Measure* AccumulatorLayout::MeasureFor(const AggregateSpec& spec) {
  for (Measure& measure : measures_) {
    if (measure.argument == spec.argument && measure.second == spec.second &&
        measure.filter == spec.filter) {
      return &measure;
    }
  }
  Measure& added = measures_.emplace_back();
  added.argument = spec.argument;
  added.second = spec.second;
  added.filter = spec.filter;
  added.type = spec.argument_type;
  added.second_type = spec.second_type;
  return &added;
}

void AccumulatorLayout::Place() {
  size_t end = FilterOffset(filters_.size());
  for (Measure& measure : measures_) {
    measure.base = end;
    for (int part = 0; part < kPartCount; ++part) {
      measure.offsets[size_t(part)] = end + PartOffset(measure.parts, 1u << part);
    }
    end += PartOffset(measure.parts, 1u << kPartCount);
  }
  initial_.assign(end, '\0');
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    steps_.push_back({MergeStep::Kind::kCount, uint32_t(offset)});
  }
  for (const Measure& measure : measures_) {
    AddSteps(measure);
    has_values_ = has_values_ || measure.Has(kValues | kSeries);
    has_objects_ = has_objects_ || measure.Has(kObjectParts) ||
                   (measure.type == Type::kText && measure.Has(kMin | kMax | kFirst | kLast));
    InitialiseEdges(measure);
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

void AccumulatorLayout::AddSteps(const Measure& measure) {
  using enum MergeStep::Kind;
  const auto add = [&](MergeStep::Kind kind, unsigned part) {
    if (measure.Has(part)) steps_.push_back({kind, uint32_t(measure.Offset(part))});
  };
  const bool is_double = measure.type == Type::kDouble;
  const bool is_text = measure.type == Type::kText;
  steps_.push_back({kCount, uint32_t(measure.base)});
  add(is_double ? kDoubleSum : kIntegerSum, kSum);
  add(kDoubleSum, kSquares);
  if (!is_text) {
    add(is_double ? kLeastDouble : kLeastInteger, kMin);
    add(is_double ? kLargestDouble : kLargestInteger, kMax);
  }
  add(kCount, kTrues);
  if (measure.Has(kObjectParts | kPair | kFirst | kLast) || (is_text && measure.Has(kMin | kMax))) {
    others_.push_back(size_t(&measure - measures_.data()));
  }
}

// Nothing is beyond the first nor before the last.
void AccumulatorLayout::InitialiseEdges(const Measure& measure) {
  const bool is_text = measure.type == Type::kText;
  const EdgeValue none_first{INT64_MAX, is_text ? 0 : INT64_MAX};
  const EdgeValue none_last{INT64_MIN, is_text ? 0 : INT64_MIN};
  if (measure.Has(kFirst)) {
    std::memcpy(initial_.data() + measure.Offset(kFirst), &none_first, sizeof(EdgeValue));
  }
  if (measure.Has(kLast)) {
    std::memcpy(initial_.data() + measure.Offset(kLast), &none_last, sizeof(EdgeValue));
  }
}

void AccumulatorLayout::Initialise(char* row) const {
  std::memcpy(row, initial_.data(), initial_.size());
}

}  // namespace millrace
