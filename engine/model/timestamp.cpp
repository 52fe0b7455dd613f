#include "engine/model/timestamp.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

// Values of digits; anything above 9 is no digit.
uint32_t Digit(char c) { return uint32_t(static_cast<unsigned char>(c)) - '0'; }

bool TwoDigits(const char* at, int32_t* value) {
  const uint32_t tens = Digit(at[0]), ones = Digit(at[1]);
  *value = int32_t(tens * 10 + ones);
  return (tens <= 9) & (ones <= 9);
}

// Days from 1970-01-01 of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
// low-level date algorithms", days_from_civil).
int64_t DaysFromCivil(int32_t year, int32_t month, int32_t day) {
  year -= month <= 2;
  const int32_t era = year / 400;  // years are positive here
  const int32_t year_of_era = year - era * 400;
  const int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return int64_t(era) * 146'097 + day_of_era - 719'468;
}

int32_t DaysInMonth(int32_t year, int32_t month) {
  constexpr int8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[month - 1] + (leap ? 1 : 0);
}

// "YYYY-MM-DD" at the front of 10 bytes.
bool ReadDate(const char* at, int64_t* days) {
  int32_t century, year, month, day;
  if (!(TwoDigits(at, &century) & TwoDigits(at + 2, &year) & TwoDigits(at + 5, &month) &
        TwoDigits(at + 8, &day)) ||
      at[4] != '-' || at[7] != '-') {
    return false;
  }
  year += century * 100;
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  if (day > 28 && day > DaysInMonth(year, month)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

// ".123": reads 1 to 9 digits, keeps six.
bool ParseFraction(const char** at, const char* end, int64_t* micros) {
  int64_t value = 0;
  int digits = 0;
  const char* p = *at;
  for (; p < end && Digit(*p) <= 9; ++p, ++digits) {
    if (digits < 6) value = value * 10 + Digit(*p);
  }
  if (digits == 0 || digits > 9) return false;
  for (int i = digits; i < 6; ++i) value *= 10;
  *micros = value;
  *at = p;
  return true;
}

// "Z", "+hh", "+hhmm", "+hh:mm" and nothing after.
bool ParseZone(const char* at, const char* end, int64_t* offset_seconds) {
  const int64_t size = end - at;
  if (size == 1 && (*at == 'Z' || *at == 'z')) {
    *offset_seconds = 0;
    return true;
  }
  if ((*at != '+' && *at != '-') || (size != 3 && size != 5 && size != 6)) return false;
  int32_t hours, minutes = 0;
  if (!TwoDigits(at + 1, &hours)) return false;
  if (size == 6 && at[3] != ':') return false;
  if (size > 3 && !TwoDigits(end - 2, &minutes)) return false;
  if (hours > 15 || minutes > 59) return false;
  const int64_t seconds = int64_t(hours) * 3600 + minutes * 60;
  *offset_seconds = *at == '-' ? -seconds : seconds;
  return true;
}

}  // namespace

bool ParseTimestamp(std::string_view text, EventTime* time) {
  const char* at = text.data();
  const char* const end = at + text.size();
  int64_t days;
  if (text.size() < 10 || !ReadDate(at, &days)) return false;
  at += 10;
  int32_t hour = 0, minute = 0, second = 0;
  int64_t micros = 0, offset_seconds = 0;
  if (at < end) {
    if (*at != 'T' && *at != ' ' && *at != 't') return false;
    if (end - at < 6 || at[3] != ':' || !TwoDigits(at + 1, &hour) || !TwoDigits(at + 4, &minute)) {
      return false;
    }
    at += 6;
    if (at < end && *at == ':') {
      if (end - at < 3 || !TwoDigits(at + 1, &second)) return false;
      at += 3;
      if (at < end && (*at == '.' || *at == ',')) {
        ++at;
        if (!ParseFraction(&at, end, &micros)) return false;
      }
    }
    if (at < end && !ParseZone(at, end, &offset_seconds)) return false;
  }
  if (hour > 24 || minute > 59 || second > 60) return false;
  if (hour == 24 && (minute | second | micros) != 0) return false;
  const int64_t seconds =
      days * 86'400 + int64_t(hour) * 3600 + minute * 60 + second - offset_seconds;
  *time = EventTime(Micros(seconds * 1'000'000 + micros));
  return true;
}

bool ParseDate(std::string_view text, int32_t* days) {
  int64_t wide;
  if (text.size() != 10 || !ReadDate(text.data(), &wide)) return false;
  *days = int32_t(wide);
  return true;
}

bool ParseDateOf(std::string_view text, int32_t* days) {
  EventTime time;
  return ParseTimestamp(text, &time) && ParseDate(text.substr(0, 10), days);
}

// civil_from_days of the same source.
std::string FormatDate(int32_t days) {
  const int64_t shifted = int64_t(days) + 719'468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const int64_t of_era = shifted - era * 146'097;
  const int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * of_year + 2) / 153;
  const int day = int(of_year - (153 * month_from_march + 2) / 5) + 1;
  const int month = int(month_from_march) + (month_from_march < 10 ? 3 : -9);
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  char text[48];
  const int size = std::snprintf(text, sizeof(text), "%04lld-%02d-%02d%s",
                                 static_cast<long long>(year <= 0 ? 1 - year : year), month, day,
                                 year <= 0 ? " BC" : "");
  return std::string(text, size_t(size));
}

}  // namespace millrace
