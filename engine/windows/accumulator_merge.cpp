// Accumulators of one key in several panes, chunks or parts as one.
#include <cmath>
#include <memory>
#include <utility>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_objects.h"

namespace millrace {
namespace {

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

void MergeSum(const Measure& measure, char* into, const char* from) {
  const size_t offset = measure.Offset(kSum);
  if (measure.type == Type::kDouble) {
    FieldAt<DoubleSum>(into, offset).Add(FieldAt<DoubleSum>(from, offset));
  } else {
    FieldAt<Int128>(into, offset).Add(FieldAt<Int128>(from, offset).value());
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

void AccumulatorLayout::Merge(char* into, const char* from) const {
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    FieldAt<int64_t>(into, offset) += FieldAt<int64_t>(from, offset);
  }
  for (const Measure& measure : measures_) {
    FieldAt<int64_t>(into, measure.base) += FieldAt<int64_t>(from, measure.base);
    if (measure.Has(kSum)) MergeSum(measure, into, from);
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
