// Accumulators of one key in several panes, chunks or parts as one.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_objects.h"

namespace millrace {
namespace {

// NaN is greater than every number.
bool Less(double left, double right) {
  return left < right || (std::isnan(right) && !std::isnan(left));
}

void MergeText(std::string*& into, const std::string* from, bool least) {
  if (from == nullptr) return;
  if (into == nullptr) {
    into = new std::string(*from);
  } else if (least ? *from < *into : *into < *from) {
    *into = *from;
  }
}

void MergePair(PairSums* into, const PairSums& from) {
  into->y.Add(from.y);
  into->x.Add(from.x);
  into->yy.Add(from.yy);
  into->xx.Add(from.xx);
  into->yx.Add(from.yx);
}

void MergeEdges(const Measure& measure, char* into, const char* from) {
  for (const unsigned part : {kFirst, kLast}) {
    if (!measure.Has(part)) continue;
    auto& kept = FieldAt<EdgeValue>(into, measure.Offset(part));
    const auto& other = FieldAt<EdgeValue>(from, measure.Offset(part));
    if (measure.type != Type::kText) {
      TakeEdge(&kept, other, part == kFirst);
    } else if (const std::string* text = TextOf(other)) {
      TakeTextEdge(&kept, other.by, *text, part == kFirst);
    }
  }
}

}  // namespace

// Measures of numbers in their order, a step a field; then what few have.
void AccumulatorLayout::Merge(char* into, const char* from) const {
  for (const MergeStep& step : steps_) {
    char* const kept = into + step.offset;
    const char* const other = from + step.offset;
    switch (step.kind) {
      case MergeStep::Kind::kCount:
        FieldAt<int64_t>(kept, 0) += FieldAt<int64_t>(other, 0);
        break;
      case MergeStep::Kind::kDoubleSum:
        FieldAt<DoubleSum>(kept, 0).Add(FieldAt<DoubleSum>(other, 0));
        break;
      case MergeStep::Kind::kIntegerSum:
        FieldAt<Int128>(kept, 0).Add(FieldAt<Int128>(other, 0).value());
        break;
      case MergeStep::Kind::kLeastDouble:
        if (Less(FieldAt<double>(other, 0), FieldAt<double>(kept, 0))) {
          FieldAt<double>(kept, 0) = FieldAt<double>(other, 0);
        }
        break;
      case MergeStep::Kind::kLargestDouble:
        if (Less(FieldAt<double>(kept, 0), FieldAt<double>(other, 0))) {
          FieldAt<double>(kept, 0) = FieldAt<double>(other, 0);
        }
        break;
      case MergeStep::Kind::kLeastInteger:
        FieldAt<int64_t>(kept, 0) = std::min(FieldAt<int64_t>(kept, 0), FieldAt<int64_t>(other, 0));
        break;
      case MergeStep::Kind::kLargestInteger:
        FieldAt<int64_t>(kept, 0) = std::max(FieldAt<int64_t>(kept, 0), FieldAt<int64_t>(other, 0));
        break;
    }
  }
  for (const size_t index : others_) {
    const Measure& measure = measures_[index];
    if (measure.type == Type::kText) {
      for (const unsigned part : {kMin, kMax}) {
        if (!measure.Has(part)) continue;
        MergeText(FieldAt<std::string*>(into, measure.Offset(part)),
                  FieldAt<std::string*>(from, measure.Offset(part)), part == kMin);
      }
    }
    if (measure.Has(kPair)) {
      const size_t offset = measure.Offset(kPair);
      MergePair(&FieldAt<PairSums>(into, offset), FieldAt<PairSums>(from, offset));
    }
    MergeEdges(measure, into, from);
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      const T* const other = FieldAt<T*>(from, part.offset);
      if (other != nullptr) ObjectAt<T>(into, part.offset).MergeFrom(*other);
    });
  }
}

int64_t AccumulatorLayout::Destroy(char* row) const {
  int64_t bytes = 0;
  for (const Measure& measure : measures_) {
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      const std::unique_ptr<T> object(std::exchange(FieldAt<T*>(row, part.offset), nullptr));
      if (object != nullptr) bytes += object->bytes();
    });
    if (measure.type != Type::kText) continue;
    for (const unsigned part : {kMin, kMax}) {
      if (measure.Has(part)) {
        delete std::exchange(FieldAt<std::string*>(row, measure.Offset(part)), nullptr);
      }
    }
    for (const unsigned part : {kFirst, kLast}) {
      if (!measure.Has(part)) continue;
      auto& edge = FieldAt<EdgeValue>(row, measure.Offset(part));
      delete TextOf(edge);
      edge.value = 0;
    }
  }
  return bytes;
}

int64_t AccumulatorLayout::ObjectBytes(const char* row) const {
  int64_t bytes = 0;
  for (const Measure& measure : measures_) {
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      const T* const object = FieldAt<T*>(row, part.offset);
      if (object != nullptr) bytes += object->bytes();
    });
  }
  return bytes;
}

}  // namespace millrace
