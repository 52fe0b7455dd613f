// Fixed-width values as 64 bits that compare as the values do: integers, booleans and timestamps as
// they are, doubles with their order (-0 as 0, every NaN as one that is greater than every number).
#pragma once

#include <bit>
#include <cstdint>

#include "engine/windows/column_reader.h"

namespace millrace {

inline int64_t OrderedBits(double value) {
  const auto bits = std::bit_cast<int64_t>(CanonicalBits(value));
  return bits ^ (bits >> 63 & INT64_MAX);
}
// What OrderedBits had.
inline double DoubleOfOrdered(int64_t ordered) {
  return std::bit_cast<double>(ordered ^ (ordered >> 63 & INT64_MAX));
}

// Not for text.
inline int64_t OrderedBits(const ColumnReader& column, int64_t row) {
  if (column.type() == Type::kDouble) return OrderedBits(column.Values<double>()[row]);
  if (column.type() == Type::kReal) return OrderedBits(double(column.Values<float>()[row]));
  return int64_t(column.Fixed(row));
}

}  // namespace millrace
