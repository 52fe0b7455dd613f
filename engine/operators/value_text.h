// Values as text, PostgreSQL's way, and decimal rounding, which works on that text.
#pragma once

#include <cstdint>
#include <string>

#include "engine/plan/expression.h"

namespace millrace {

// Longest result of the writers below.
inline constexpr size_t kValueTextBytesMax = 96;

// The shortest digits that read back to the same value; exponents below -4 and from 15 on are
// written as 1e-05, 1.5e+20; NaN, Infinity, -Infinity, -0. Returns the number of bytes.
size_t WriteDouble(double value, char* out);
// The same of a float: the fewest digits that tell it from other floats; exponents from 6 on.
size_t WriteReal(float value, char* out);
inline size_t WriteNumber(double value, char* out) { return WriteDouble(value, out); }
inline size_t WriteNumber(float value, char* out) { return WriteReal(value, out); }

// Microseconds as `2022-06-13 14:14:45.000001+00`: no fraction where it is zero, no trailing
// zeros; years of more than four digits and BC as PostgreSQL writes them.
size_t WriteTimestamp(int64_t micros, char* out);
// Days since 1970-01-01 as `2022-06-13`.
size_t WriteDate(int32_t days, char* out);
// PostgreSQL's own style: `1 year 2 mons -3 days +04:05:06.789`.
size_t WriteInterval(const Interval& interval, char* out);

// To `places` decimal places (negative: tens, hundreds, ...), on the shortest decimal form of the
// value, as if it were a numeric: 2.675 becomes 2.68. Ties go away from zero. NaN and infinities
// stay. May overflow to infinity.
double RoundDecimal(double value, int32_t places);
// The same, towards zero.
double TruncateDecimal(double value, int32_t places);

}  // namespace millrace
