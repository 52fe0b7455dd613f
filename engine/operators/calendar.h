// The proleptic Gregorian calendar in UTC over the whole range of 64-bit microseconds, which
// std::chrono's years do not cover. Years are astronomical: 0 is 1 BC.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/model/timestamp.h"
#include "engine/plan/expression.h"
#include "engine/plan/time_unit.h"

namespace millrace {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

struct CivilTime {
  int64_t year = 1970;
  int month = 1;  // 1..12
  int day = 1;    // 1..31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int micros = 0;  // of the second
};

constexpr int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

CivilTime ToCivil(int64_t micros);
// Days since 1970-01-01.
int64_t DaysFromCivil(int64_t year, int month, int day);
int DaysInMonth(int64_t year, int month);
// Nothing where 64 bits do not hold it.
std::optional<int64_t> FromCivil(const CivilTime& civil);

// Months first (the day is cut to the month's last), then days, then time, as PostgreSQL.
std::optional<int64_t> AddInterval(int64_t micros, const Interval& interval, int sign);

// Start of the unit that holds `micros`; nothing where 64 bits do not hold it.
std::optional<int64_t> TruncateTime(TimeUnit unit, int64_t micros);
// extract(unit FROM micros).
double TimePart(TimeUnit unit, int64_t micros);

// What two intervals are compared by, in microseconds: a month is 30 days, a day 24 hours.
__int128 LengthOf(const Interval& interval);
// The fields of an interval's time, its hours not cut at a day.
struct IntervalTime {
  bool negative = false;  // then all below are of its opposite
  uint64_t hours = 0;
  int minutes = 0;
  int seconds = 0;
  int micros = 0;
};
IntervalTime TimeOf(const Interval& interval);

}  // namespace millrace
