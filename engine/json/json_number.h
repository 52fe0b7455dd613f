// Numbers as JSON writes them, read without loss. The usual ones (up to 19 digits) are read inline:
// this is where a decoder spends its time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>

#include "engine/json/json_words.h"

namespace millrace {

// A number as it is written. `exact`: mantissa and exponent hold all of it.
struct JsonNumber {
  uint64_t mantissa = 0;
  int32_t exponent = 0;  // value = mantissa * 10^exponent, before the sign
  bool negative = false;
  bool exact = true;
  std::string_view text;
};

enum class JsonNumberOutcome { kOk, kNotIntegral, kOutOfRange };

// 1.0 and 1e3 are integers; 1.5 is not.
JsonNumberOutcome ToInt64(const JsonNumber& number, int64_t* value);
JsonNumberOutcome ToInt32(const JsonNumber& number, int32_t* value);
// The nearest integer, halves away from zero, of however many digits: as PostgreSQL's numeric.
JsonNumberOutcome ToRoundedInt64(const JsonNumber& number, int64_t* value);
// value * 10^shift, rounded down to an integer: epoch numbers to microseconds.
JsonNumberOutcome ToScaledInt64(const JsonNumber& number, int32_t shift, int64_t* value);
// ToScaledInt64 for times: microseconds of years 1 to 9999.
JsonNumberOutcome ToEpochMicros(const JsonNumber& number, int32_t shift, int64_t* micros);
// Rounded once, from the text; out of range beyond the largest float.
JsonNumberOutcome ToReal(const JsonNumber& number, float* value);
// What ToDouble does where the fast way does not apply.
JsonNumberOutcome ToDoubleSlowly(const JsonNumber& number, double* value);

inline constexpr int kJsonExactDigitsMax = 19;
inline constexpr int32_t kJsonExponentMax = 100'000;  // beyond any double

inline uint32_t JsonDigit(char c) { return uint32_t(static_cast<unsigned char>(c)) - '0'; }

// The part after 'e' is added to `exponent`; null where it is wrong.
const char* ReadJsonExponent(const char* at, int32_t* exponent);

// Reads a number by JSON's grammar at `at` and returns where it ends; null where there is none.
// `at` must be followed by some byte that is no part of a number, as it is in any object.
inline const char* ReadJsonNumber(const char* at, JsonNumber* number) {
  const char* const begin = at;
  number->negative = *at == '-';
  at += number->negative;
  const char* const digits = at;
  uint64_t mantissa = 0;
  for (; JsonDigit(*at) <= 9; ++at) mantissa = mantissa * 10 + JsonDigit(*at);
  int64_t count = at - digits;
  if (count == 0 || (*digits == '0' && count > 1)) return nullptr;
  int32_t exponent = 0;
  if (*at == '.') {
    const char* const fraction = ++at;
    for (; JsonDigit(*at) <= 9; ++at) mantissa = mantissa * 10 + JsonDigit(*at);
    const int64_t fraction_count = at - fraction;
    if (fraction_count == 0) return nullptr;
    count += fraction_count;
    exponent = int32_t(-std::min<int64_t>(fraction_count, kJsonExponentMax));
  }
  if ((*at | 0x20) == 'e') {
    at = ReadJsonExponent(at + 1, &exponent);
    if (at == nullptr) return nullptr;
  }
  number->mantissa = mantissa;
  number->exponent = exponent;
  number->exact = count <= kJsonExactDigitsMax;
  number->text = {begin, size_t(at - begin)};
  return at;
}

// FindShortJsonNumber and ReadShortJsonNumber look at so many bytes, whatever stands there.
inline constexpr int kShortJsonNumberReads = 24;

// Where the parts of a number without an exponent are: "-20.50".
struct ShortJsonNumber {
  uint32_t begin = 0;  // of the digits: 1 behind a minus
  uint32_t point = 0;  // the end where there is none
  uint32_t end = 0;
};

// Numbers of at most fifteen bytes without an exponent; false for everything else, numbers that
// ReadJsonNumber reads included.
inline bool FindShortJsonNumber(const char* at, ShortJsonNumber* number) {
  const JsonBlock block(at);
  const uint32_t behind = ~block.Within('-', '9') & JsonBlock::kAll;
  if (behind == 0) return false;
  const auto end = uint32_t(std::countr_zero(behind));
  const uint32_t begin = *at == '-';
  // What is no digit may only be one point, between digits.
  const uint32_t within = (behind & -behind) - 1;
  const uint32_t marks = ~block.Within('0', '9') & within & ~begin;
  uint32_t point = end;
  if (marks != 0) {
    point = uint32_t(std::countr_zero(marks));
    if ((marks & (marks - 1)) != 0 || at[point] != '.' || point + 1 == end) return false;
  }
  if (point == begin || (at[begin] == '0' && point - begin > 1)) return false;
  *number = {begin, point, end};
  return (at[end] | 0x20) != 'e';
}

// As ReadJsonNumber for what sensors mostly write: at most eight digits and no exponent. Null for
// everything else, numbers that ReadJsonNumber reads included.
inline const char* ReadShortJsonNumber(const char* at, JsonNumber* number) {
  ShortJsonNumber parts;
  if (!FindShortJsonNumber(at, &parts)) return nullptr;
  const uint32_t whole = parts.point - parts.begin;
  const uint32_t fraction = parts.end - parts.point - (parts.point < parts.end);
  const uint32_t digits = whole + fraction;
  if (digits > 8) return nullptr;
  // Both parts behind each other, with zeros in front: eight digits in all.
  uint64_t word = LoadWord(at + parts.begin);
  if (fraction != 0) {
    word = (word & ((uint64_t(1) << (8 * whole)) - 1)) |
           (LoadWord(at + parts.point + 1) << (8 * whole));
  }
  word = (word ^ (kLowBits * '0')) << (8 * (8 - digits));
  // Two, four and eight of them put together at a time.
  word = word * 10 + (word >> 8);
  constexpr uint64_t kPairs = 0x000000FF000000FF;
  word = ((word & kPairs) * 0x000F424000000064 + (word >> 16 & kPairs) * 0x0000271000000001) >> 32;
  number->mantissa = uint32_t(word);
  number->exponent = -int32_t(fraction);
  number->negative = parts.begin != 0;
  number->exact = true;
  number->text = {at, parts.end};
  return at + parts.end;
}

inline constexpr double kJsonExactPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// Correctly rounded; never NaN or infinite (kOutOfRange).
inline JsonNumberOutcome ToDouble(const JsonNumber& number, double* value) {
  // Both factors are exact, so the one operation rounds correctly (W. D. Clinger, 1990).
  if (number.exact && number.mantissa <= (uint64_t(1) << 53) && number.exponent >= -22 &&
      number.exponent <= 22) {
    const auto mantissa = double(int64_t(number.mantissa));
    const double magnitude = number.exponent < 0 ? mantissa / kJsonExactPowers[-number.exponent]
                                                 : mantissa * kJsonExactPowers[number.exponent];
    *value = number.negative ? -magnitude : magnitude;
    return JsonNumberOutcome::kOk;
  }
  return ToDoubleSlowly(number, value);
}

}  // namespace millrace
