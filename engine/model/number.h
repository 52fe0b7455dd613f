// Numbers written as text, strictly: the whole text is one number, without spaces around it.
// Independent of locale.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// Decimal, with sign, fraction and exponent as they like; correctly rounded. Also "NaN", "inf" and
// "Infinity" in any letter case, as PostgreSQL reads them. A number beyond the range of double is
// refused; one that is too small to be told from zero is zero.
bool ParseDouble(std::string_view text, double* value);

// The same of a float, rounded once: directly from the text.
bool ParseReal(std::string_view text, float* value);

// Digits with an optional sign; refused outside 64 bits.
bool ParseInt64(std::string_view text, int64_t* value);

}  // namespace millrace
