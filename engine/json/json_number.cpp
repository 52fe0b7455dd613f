#include "engine/json/json_number.h"

#include <fast_float/fast_float.h>

#include <cmath>

namespace millrace {
namespace {

// 0001-01-01 and the last microsecond of 9999.
constexpr int64_t kEpochMicrosMin = -62'135'596'800'000'000;
constexpr int64_t kEpochMicrosMax = 253'402'300'799'999'999;

}  // namespace

const char* ReadJsonExponent(const char* at, int32_t* exponent) {
  const bool negative = *at == '-';
  if (*at == '-' || *at == '+') ++at;
  if (JsonDigit(*at) > 9) return nullptr;
  int32_t value = 0;
  for (; JsonDigit(*at) <= 9; ++at) {
    if (value < kJsonExponentMax) value = value * 10 + int32_t(JsonDigit(*at));
  }
  *exponent += negative ? -value : value;
  return at;
}

JsonNumberOutcome ToDoubleSlowly(const JsonNumber& number, double* value) {
  fast_float::from_chars(number.text.data(), number.text.data() + number.text.size(), *value);
  return std::isfinite(*value) ? JsonNumberOutcome::kOk : JsonNumberOutcome::kOutOfRange;
}

JsonNumberOutcome ToReal(const JsonNumber& number, float* value) {
  fast_float::from_chars(number.text.data(), number.text.data() + number.text.size(), *value);
  return std::isfinite(*value) ? JsonNumberOutcome::kOk : JsonNumberOutcome::kOutOfRange;
}

JsonNumberOutcome ToScaledInt64(const JsonNumber& number, int32_t shift, int64_t* value) {
  uint64_t magnitude = number.mantissa;
  int32_t exponent = number.exponent + shift;
  if (!number.exact) {
    // Twenty digits or more: as a double, which cannot be told from its neighbours anyway.
    double approximate;
    if (ToDouble(number, &approximate) != JsonNumberOutcome::kOk) {
      return JsonNumberOutcome::kOutOfRange;
    }
    const double scaled = std::floor(approximate * std::pow(10.0, shift));
    if (!(std::fabs(scaled) < 9.2e18)) return JsonNumberOutcome::kOutOfRange;
    *value = int64_t(scaled);
    return JsonNumberOutcome::kOk;
  }
  for (; exponent > 0 && magnitude != 0; --exponent) {
    if (__builtin_mul_overflow(magnitude, uint64_t(10), &magnitude)) {
      return JsonNumberOutcome::kOutOfRange;
    }
  }
  bool cut = false;
  for (; exponent < 0 && magnitude != 0; ++exponent) {
    cut |= magnitude % 10 != 0;
    magnitude /= 10;
  }
  if (number.negative && cut) ++magnitude;  // down, not towards zero
  if (magnitude > uint64_t(INT64_MAX)) return JsonNumberOutcome::kOutOfRange;
  *value = number.negative ? -int64_t(magnitude) : int64_t(magnitude);
  return JsonNumberOutcome::kOk;
}

JsonNumberOutcome ToInt64(const JsonNumber& number, int64_t* value) {
  if (!number.exact) {
    double approximate;
    if (ToDouble(number, &approximate) != JsonNumberOutcome::kOk ||
        !(std::fabs(approximate) < 9.2e18)) {
      return JsonNumberOutcome::kOutOfRange;
    }
    return JsonNumberOutcome::kNotIntegral;  // more than nineteen digits, so a fraction
  }
  uint64_t magnitude = number.mantissa;
  int32_t exponent = number.exponent;
  for (; exponent < 0 && magnitude != 0; ++exponent) {
    if (magnitude % 10 != 0) return JsonNumberOutcome::kNotIntegral;
    magnitude /= 10;
  }
  for (; exponent > 0 && magnitude != 0; --exponent) {
    if (__builtin_mul_overflow(magnitude, uint64_t(10), &magnitude)) {
      return JsonNumberOutcome::kOutOfRange;
    }
  }
  const uint64_t limit = uint64_t(INT64_MAX) + (number.negative ? 1 : 0);
  if (magnitude > limit) return JsonNumberOutcome::kOutOfRange;
  *value = int64_t(number.negative ? ~magnitude + 1 : magnitude);
  return JsonNumberOutcome::kOk;
}

JsonNumberOutcome ToInt32(const JsonNumber& number, int32_t* value) {
  int64_t wide = 0;
  const JsonNumberOutcome outcome = ToInt64(number, &wide);
  *value = int32_t(wide);
  return outcome == JsonNumberOutcome::kOk && wide != *value ? JsonNumberOutcome::kOutOfRange
                                                             : outcome;
}

JsonNumberOutcome ToRoundedInt64(const JsonNumber& number, int64_t* value) {
  const std::string_view text = number.text.substr(0, number.text.find_first_of("eE"));
  const auto is_digit = [](char c) { return JsonDigit(c) <= 9; };
  const int64_t count = std::ranges::count_if(text, is_digit);
  const int64_t before_point = count + number.exponent;
  uint64_t magnitude = 0;
  uint64_t half = 0;
  int64_t place = 0;
  for (const char c : text) {
    if (!is_digit(c)) continue;
    if (place == before_point) half = JsonDigit(c) >= 5 ? 1 : 0;
    if (place++ >= before_point) break;
    if (__builtin_mul_overflow(magnitude, uint64_t(10), &magnitude) ||
        __builtin_add_overflow(magnitude, uint64_t(JsonDigit(c)), &magnitude)) {
      return JsonNumberOutcome::kOutOfRange;
    }
  }
  for (; place < before_point && magnitude != 0; ++place) {
    if (__builtin_mul_overflow(magnitude, uint64_t(10), &magnitude)) {
      return JsonNumberOutcome::kOutOfRange;
    }
  }
  if (__builtin_add_overflow(magnitude, half, &magnitude) ||
      magnitude > uint64_t(INT64_MAX) + (number.negative ? 1 : 0)) {
    return JsonNumberOutcome::kOutOfRange;
  }
  *value = int64_t(number.negative ? ~magnitude + 1 : magnitude);
  return JsonNumberOutcome::kOk;
}

JsonNumberOutcome ToEpochMicros(const JsonNumber& number, int32_t shift, int64_t* micros) {
  const JsonNumberOutcome outcome = ToScaledInt64(number, shift, micros);
  const bool in_range = *micros >= kEpochMicrosMin && *micros <= kEpochMicrosMax;
  return outcome == JsonNumberOutcome::kOk && !in_range ? JsonNumberOutcome::kOutOfRange : outcome;
}

}  // namespace millrace
