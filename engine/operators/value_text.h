// Values as text, PostgreSQL's way, and decimal rounding, which works on that text.
#pragma once

#include <cstdint>
#include <string>

namespace millrace {

// Longest result of the two writers below.
inline constexpr size_t kValueTextBytesMax = 64;

// The shortest digits that read back to the same value; exponents below -4 and from 15 on are
// written as 1e-05, 1.5e+20; NaN, Infinity, -Infinity, -0. Returns the number of bytes.
size_t WriteDouble(double value, char* out);

// Microseconds as `2022-06-13 14:14:45.000001+00`: no fraction where it is zero, no trailing
// zeros; years of more than four digits and BC as PostgreSQL writes them.
size_t WriteTimestamp(int64_t micros, char* out);

// To `places` decimal places (negative: tens, hundreds, ...), on the shortest decimal form of the
// value, as if it were a numeric: 2.675 becomes 2.68. Ties go away from zero. NaN and infinities
// stay. May overflow to infinity.
double RoundDecimal(double value, int32_t places);
// The same, towards zero.
double TruncateDecimal(double value, int32_t places);

}  // namespace millrace
