// What a row of accumulators owns beside its bytes: objects behind pointers, made with their first
// value. All of a kind are handled alike, by ForEachObject.
#pragma once

#include <string>
#include <utility>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/distinct_set.h"
#include "engine/windows/distinct_sketch.h"
#include "engine/windows/quantile_sketch.h"
#include "engine/windows/series.h"
#include "engine/windows/value_counts.h"
#include "engine/windows/value_list.h"

namespace millrace {

template <typename T>
struct Part {
  size_t offset;
};

// Calls `visit` with Part<T> for every part of a measure that is a T*.
template <typename Visit>
void ForEachObject(const Measure& measure, Visit visit) {
  if (measure.Has(kValues)) visit(Part<ValueList>{measure.Offset(kValues)});
  if (measure.Has(kSeries)) visit(Part<Series>{measure.Offset(kSeries)});
  if (measure.Has(kDistinct)) visit(Part<DistinctSet>{measure.Offset(kDistinct)});
  if (measure.Has(kCounts)) visit(Part<ValueCounts>{measure.Offset(kCounts)});
  if (measure.Has(kSketch)) visit(Part<QuantileSketch>{measure.Offset(kSketch)});
  if (measure.Has(kRegisters)) visit(Part<DistinctSketch>{measure.Offset(kRegisters)});
}

template <typename T>
T& ObjectAt(char* row, size_t offset) {
  T*& object = FieldAt<T*>(row, offset);
  if (object == nullptr) object = new T();
  return *object;
}

// The text of an edge; null where there is none yet.
inline std::string* TextOf(const EdgeValue& edge) {
  return reinterpret_cast<std::string*>(edge.value);
}

// By what is beside it, then by value.
inline void TakeEdge(EdgeValue* kept, const EdgeValue& other, bool least) {
  const bool is_nearer = least
                             ? std::pair(other.by, other.value) < std::pair(kept->by, kept->value)
                             : std::pair(other.by, other.value) > std::pair(kept->by, kept->value);
  if (is_nearer) *kept = other;
}

inline void TakeTextEdge(EdgeValue* kept, int64_t by, std::string_view text, bool least) {
  std::string* own = TextOf(*kept);
  if (own == nullptr) {
    own = new std::string();
    kept->value = reinterpret_cast<int64_t>(own);
  } else if (by != kept->by) {
    if (least ? by > kept->by : by < kept->by) return;
  } else if (least ? text >= *own : text <= *own) {
    return;
  }
  kept->by = by;
  own->assign(text);
}

}  // namespace millrace
