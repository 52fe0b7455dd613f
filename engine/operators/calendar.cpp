#include "engine/operators/calendar.h"

#include <algorithm>
#include <array>
#include <string>

namespace millrace {
namespace {

constexpr int64_t kJulianDayOfEpoch = 2'440'588;

struct CivilDate {
  int64_t year;
  int month;
  int day;
};

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
CivilDate DateFromDays(int64_t days) {
  days += 719'468;
  const int64_t era = FloorDivide(days, 146'097);
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int day = int(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  const int month = int(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

// 1 Monday .. 7 Sunday.
int IsoDayOfWeek(int64_t days) { return int(days + 3 - FloorDivide(days + 3, 7) * 7) + 1; }

struct IsoWeek {
  int64_t year;
  int week;
};

IsoWeek IsoWeekOf(int64_t days) {
  const int64_t thursday = days - (IsoDayOfWeek(days) - 1) + 3;
  const int64_t year = DateFromDays(thursday).year;
  return {year, int((thursday - DaysFromCivil(year, 1, 1)) / 7) + 1};
}

// PostgreSQL's formulas (timestamp.c) for units that count from year 1 and, backwards, from 1 BC.
int64_t Decade(int64_t year) { return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10); }
int64_t Century(int64_t year) { return year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100); }
int64_t Millennium(int64_t year) {
  return year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000);
}

int64_t FirstYear(TimeUnit unit, int64_t year) {
  switch (unit) {
    case TimeUnit::kDecade:
      return year > 0 ? year / 10 * 10 : -((8 - (year - 1)) / 10) * 10;
    case TimeUnit::kCentury:
      return year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100) * 100 + 1;
    case TimeUnit::kMillennium:
      return year > 0 ? (year + 999) / 1000 * 1000 - 999 : -((999 - (year - 1)) / 1000) * 1000 + 1;
    default:
      return year;
  }
}

std::optional<int64_t> InRange(__int128 micros) {
  if (micros < INT64_MIN || micros > INT64_MAX) return std::nullopt;
  return int64_t(micros);
}

std::optional<int64_t> FloorMicros(int64_t micros, int64_t step, int64_t offset = 0) {
  int64_t shifted;
  if (__builtin_sub_overflow(micros, offset, &shifted)) return std::nullopt;
  int64_t floored;
  if (__builtin_mul_overflow(FloorDivide(shifted, step), step, &floored)) return std::nullopt;
  return floored + offset;
}

}  // namespace

int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = FloorDivide(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

int DaysInMonth(int64_t year, int month) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[size_t(month - 1)];
}

CivilTime ToCivil(int64_t micros) {
  const int64_t days = FloorDivide(micros, kMicrosPerDay);
  // Not from the day's beginning: that of the earliest day there is lies below the range.
  int64_t of_day = micros % kMicrosPerDay;
  if (of_day < 0) of_day += kMicrosPerDay;
  const CivilDate date = DateFromDays(days);
  CivilTime civil;
  civil.year = date.year;
  civil.month = date.month;
  civil.day = date.day;
  civil.hour = int(of_day / (3600 * kMicrosPerSecond));
  civil.minute = int(of_day / (60 * kMicrosPerSecond) % 60);
  civil.second = int(of_day / kMicrosPerSecond % 60);
  civil.micros = int(of_day % kMicrosPerSecond);
  return civil;
}

std::optional<int64_t> FromCivil(const CivilTime& civil) {
  const int64_t of_day =
      ((int64_t(civil.hour) * 60 + civil.minute) * 60 + civil.second) * kMicrosPerSecond +
      civil.micros;
  return InRange(__int128(DaysFromCivil(civil.year, civil.month, civil.day)) * kMicrosPerDay +
                 of_day);
}

std::optional<int64_t> AddInterval(int64_t micros, const Interval& interval, int sign) {
  int64_t result = micros;
  if (interval.months != 0) {
    CivilTime civil = ToCivil(micros);
    const int64_t months = civil.year * 12 + civil.month - 1 + sign * int64_t(interval.months);
    civil.year = FloorDivide(months, 12);
    civil.month = int(months - civil.year * 12) + 1;
    civil.day = std::min(civil.day, DaysInMonth(civil.year, civil.month));
    const std::optional<int64_t> moved = FromCivil(civil);
    if (!moved.has_value()) return std::nullopt;
    result = *moved;
  }
  const std::optional<int64_t> day =
      InRange(result + sign * (__int128(interval.days) * kMicrosPerDay));
  if (!day.has_value()) return std::nullopt;
  return InRange(*day + sign * __int128(interval.micros));
}

std::optional<int64_t> TruncateTime(TimeUnit unit, int64_t micros) {
  switch (unit) {
    case TimeUnit::kMicroseconds:
      return micros;
    case TimeUnit::kMilliseconds:
      return FloorMicros(micros, 1000);
    case TimeUnit::kSecond:
      return FloorMicros(micros, kMicrosPerSecond);
    case TimeUnit::kMinute:
      return FloorMicros(micros, 60 * kMicrosPerSecond);
    case TimeUnit::kHour:
      return FloorMicros(micros, 3600 * kMicrosPerSecond);
    case TimeUnit::kDay:
      return FloorMicros(micros, kMicrosPerDay);
    case TimeUnit::kWeek:  // 1970-01-05 was a Monday
      return FloorMicros(micros, 7 * kMicrosPerDay, 4 * kMicrosPerDay);
    default:
      break;
  }
  const CivilTime civil = ToCivil(micros);
  CivilTime start;
  start.year = FirstYear(unit, civil.year);
  if (unit == TimeUnit::kMonth) start.month = civil.month;
  if (unit == TimeUnit::kQuarter) start.month = (civil.month - 1) / 3 * 3 + 1;
  return FromCivil(start);
}

__int128 LengthOf(const Interval& interval) {
  return (__int128(interval.months) * 30 + interval.days) * kMicrosPerDay + interval.micros;
}

IntervalTime TimeOf(const Interval& interval) {
  IntervalTime time;
  time.negative = interval.micros < 0;
  uint64_t rest = time.negative ? 0 - uint64_t(interval.micros) : uint64_t(interval.micros);
  time.micros = int(rest % uint64_t(kMicrosPerSecond));
  rest /= uint64_t(kMicrosPerSecond);
  time.seconds = int(rest % 60);
  time.minutes = int(rest / 60 % 60);
  time.hours = rest / 3600;
  return time;
}

double TimePart(TimeUnit unit, int64_t micros) {
  const CivilTime civil = ToCivil(micros);
  const int64_t days = FloorDivide(micros, kMicrosPerDay);
  switch (unit) {
    case TimeUnit::kMicroseconds:
      return double(civil.second * kMicrosPerSecond + civil.micros);
    case TimeUnit::kMilliseconds:
      return double(civil.second * kMicrosPerSecond + civil.micros) / 1000.0;
    case TimeUnit::kSecond:
      return double(civil.second * kMicrosPerSecond + civil.micros) / 1e6;
    case TimeUnit::kMinute:
      return civil.minute;
    case TimeUnit::kHour:
      return civil.hour;
    case TimeUnit::kDay:
      return civil.day;
    case TimeUnit::kWeek:
      return IsoWeekOf(days).week;
    case TimeUnit::kMonth:
      return civil.month;
    case TimeUnit::kQuarter:
      return (civil.month - 1) / 3 + 1;
    case TimeUnit::kYear:
      return double(civil.year > 0 ? civil.year : civil.year - 1);
    case TimeUnit::kDecade:
      return double(Decade(civil.year));
    case TimeUnit::kCentury:
      return double(Century(civil.year));
    case TimeUnit::kMillennium:
      return double(Millennium(civil.year));
    case TimeUnit::kEpoch:
      return double(micros) / 1e6;
    case TimeUnit::kDayOfWeek:
      return IsoDayOfWeek(days) % 7;
    case TimeUnit::kIsoDayOfWeek:
      return IsoDayOfWeek(days);
    case TimeUnit::kDayOfYear:
      return double(days - DaysFromCivil(civil.year, 1, 1) + 1);
    case TimeUnit::kIsoYear: {
      const int64_t year = IsoWeekOf(days).year;
      return double(year > 0 ? year : year - 1);
    }
    case TimeUnit::kJulian:
      return double(days + kJulianDayOfEpoch) +
             double(micros - days * kMicrosPerDay) / double(kMicrosPerDay);
    case TimeUnit::kTimezone:
    case TimeUnit::kTimezoneHour:
    case TimeUnit::kTimezoneMinute:
      return 0;
  }
  return 0;
}

}  // namespace millrace
