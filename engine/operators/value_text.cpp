#include "engine/operators/value_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "engine/model/timestamp.h"
#include "engine/operators/calendar.h"

namespace millrace {
namespace {

// value = 0.d1d2d3... * 10^point, the fewest digits that tell it from other doubles.
struct Decimal {
  bool negative = false;
  char digits[32];
  int count = 0;
  int point = 0;
};

// Not for NaN, infinities or zero.
template <typename T>
Decimal ToDecimal(T value) {
  Decimal decimal;
  decimal.negative = std::signbit(value);
  char text[40];
  const auto written =
      std::to_chars(text, text + sizeof(text), std::fabs(value), std::chars_format::scientific);
  const char* const exponent = std::find(text, written.ptr, 'e');
  for (const char* c = text; c != exponent; ++c) {
    if (*c != '.') decimal.digits[decimal.count++] = *c;
  }
  const char* number = exponent + 1;
  if (*number == '+') ++number;
  int power = 0;
  std::from_chars(number, written.ptr, power);
  decimal.point = power + 1;
  return decimal;
}

double FromDecimal(const Decimal& decimal) {
  if (decimal.count == 0) return 0;
  char text[64];
  char* end = text;
  if (decimal.negative) *end++ = '-';
  std::memcpy(end, decimal.digits, size_t(decimal.count));
  end += decimal.count;
  *end++ = 'e';
  end = std::to_chars(end, text + sizeof(text), decimal.point - decimal.count).ptr;
  double value = 0;
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec == std::errc::result_out_of_range) {
    // Only upwards: rounding never makes a value smaller than the place it is rounded to.
    return decimal.negative ? -HUGE_VAL : HUGE_VAL;
  }
  return value;
}

double Cut(double value, int32_t places, bool round) {
  if (!std::isfinite(value) || value == 0) return value;
  Decimal decimal = ToDecimal(value);
  const int64_t keep = int64_t(decimal.point) + places;
  if (keep >= decimal.count) return value;
  const bool up = round && keep >= 0 && decimal.digits[keep] >= '5';
  decimal.count = int(std::max<int64_t>(keep, 0));
  if (up) {
    int i = decimal.count - 1;
    while (i >= 0 && decimal.digits[i] == '9') --i;
    decimal.count = i + 1;
    if (i >= 0) {
      ++decimal.digits[i];
    } else {
      decimal.digits[0] = '1';
      decimal.count = 1;
      ++decimal.point;
    }
  }
  return FromDecimal(decimal);
}

size_t Copy(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

// Exponents from `exponent_min` on are written as such.
template <typename T>
size_t WriteFloating(T value, int exponent_min, char* out) {
  if (std::isnan(value)) return Copy("NaN", out);
  if (std::isinf(value)) return Copy(value < 0 ? "-Infinity" : "Infinity", out);
  if (value == 0) return Copy(std::signbit(value) ? "-0" : "0", out);
  const Decimal decimal = ToDecimal(value);
  char* end = out;
  if (decimal.negative) *end++ = '-';
  const int exponent = decimal.point - 1;
  if (exponent < -4 || exponent >= exponent_min) {
    *end++ = decimal.digits[0];
    if (decimal.count > 1) {
      *end++ = '.';
      end += Copy({decimal.digits + 1, size_t(decimal.count - 1)}, end);
    }
    *end++ = 'e';
    *end++ = exponent < 0 ? '-' : '+';
    const int magnitude = std::abs(exponent);
    if (magnitude < 10) *end++ = '0';
    end = std::to_chars(end, end + 4, magnitude).ptr;
    return size_t(end - out);
  }
  if (decimal.point <= 0) {
    end += Copy("0.", end);
    end = std::fill_n(end, -decimal.point, '0');
    end += Copy({decimal.digits, size_t(decimal.count)}, end);
    return size_t(end - out);
  }
  const int whole = std::min(decimal.point, decimal.count);
  end += Copy({decimal.digits, size_t(whole)}, end);
  end = std::fill_n(end, decimal.point - whole, '0');
  if (decimal.count > whole) {
    *end++ = '.';
    end += Copy({decimal.digits + whole, size_t(decimal.count - whole)}, end);
  }
  return size_t(end - out);
}

}  // namespace

size_t WriteDouble(double value, char* out) { return WriteFloating(value, 15, out); }
size_t WriteReal(float value, char* out) { return WriteFloating(value, 6, out); }

size_t WriteTimestamp(int64_t micros, char* out) {
  const CivilTime civil = ToCivil(micros);
  const bool before_christ = civil.year <= 0;
  const int64_t year = before_christ ? 1 - civil.year : civil.year;
  int size = std::snprintf(out, kValueTextBytesMax, "%04lld-%02d-%02d %02d:%02d:%02d",
                           static_cast<long long>(year), civil.month, civil.day, civil.hour,
                           civil.minute, civil.second);
  if (civil.micros != 0) {
    size += std::snprintf(out + size, kValueTextBytesMax - size_t(size), ".%06d", civil.micros);
    while (out[size - 1] == '0') --size;
  }
  size += int(Copy("+00", out + size));
  if (before_christ) size += int(Copy(" BC", out + size));
  return size_t(size);
}

size_t WriteDate(int32_t days, char* out) { return Copy(FormatDate(days), out); }

// As EncodeInterval and AddPostgresIntPart in datetime.c: a sign is written where the part is
// negative, and a plus where it follows one that is.
size_t WriteInterval(const Interval& interval, char* out) {
  size_t size = 0;
  bool is_before = false;
  const auto add_part = [&](int32_t value, const char* unit) {
    if (value == 0) return;
    size += size_t(std::snprintf(out + size, kValueTextBytesMax - size, "%s%s%d %s%s",
                                 size > 0 ? " " : "", is_before && value > 0 ? "+" : "", value,
                                 unit, value == 1 ? "" : "s"));
    is_before = value < 0;
  };
  add_part(interval.months / 12, "year");
  add_part(interval.months % 12, "mon");
  add_part(interval.days, "day");
  const IntervalTime time = TimeOf(interval);
  if (size > 0 && interval.micros == 0) return size;
  const char* const sign = time.negative ? "-" : is_before ? "+" : "";
  size += size_t(std::snprintf(
      out + size, kValueTextBytesMax - size, "%s%s%02llu:%02d:%02d", size > 0 ? " " : "", sign,
      static_cast<unsigned long long>(time.hours), time.minutes, time.seconds));
  if (time.micros != 0) {
    size += size_t(std::snprintf(out + size, kValueTextBytesMax - size, ".%06d", time.micros));
    while (out[size - 1] == '0') --size;
  }
  return size;
}

double RoundDecimal(double value, int32_t places) { return Cut(value, places, true); }
double TruncateDecimal(double value, int32_t places) { return Cut(value, places, false); }

}  // namespace millrace
