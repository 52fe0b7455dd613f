// What accumulators do with one number: products without rounding, extremes.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/windows/accumulator_layout.h"

namespace millrace {

// A double as two of half its digits (Veltkamp's split).
struct Halves {
  explicit Halves(double x) {
    const double scaled = x * 134217729.0;  // 2^27 + 1
    high = scaled - (scaled - x);
    low = x - high;
  }
  double high;
  double low;
};

// y * x as (product, error): Dekker's product. Wrong only where the product is not finite or its
// error is below the least double.
inline DoubleSum ExactProduct(double y, double x) {
  const double product = y * x;
  const Halves a(y), b(x);
  return {product, ((a.high * b.high - product) + a.high * b.low + a.low * b.high) + a.low * b.low};
}

inline DoubleSum ExactSquare(double x) {
  const double product = x * x;
  const auto [high, low] = Halves(x);
  return {product, ((high * high - product) + 2 * high * low) + low * low};
}

inline DoubleSum ExactSquare(int64_t x) {
  const __int128 product = __int128(x) * x;
  const double high = double(product);
  return {high, double(product - __int128(high))};
}

// NaN is greater than every number; NaN as initial least gives way to anything.
inline void TakeExtreme(double x, double* least) {
  if (x < *least || std::isnan(*least)) *least = x;
}
inline void TakeLargest(double x, double* largest) {
  if (x > *largest || std::isnan(x)) *largest = x;
}
inline void TakeExtreme(int64_t x, int64_t* least) {
  if (x < *least) *least = x;
}
inline void TakeLargest(int64_t x, int64_t* largest) {
  if (x > *largest) *largest = x;
}

}  // namespace millrace
