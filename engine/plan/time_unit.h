// Units of time by name: what date_trunc truncates to and date_part (extract) takes out. Names are
// looked up when a query is bound, where they are literals, and else a row at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

enum class TimeUnit {
  kMicroseconds,
  kMilliseconds,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  kDecade,
  kCentury,
  kMillennium,
  // Fields only, not units to truncate to.
  kEpoch,
  kDayOfWeek,
  kIsoDayOfWeek,
  kDayOfYear,
  kIsoYear,
  kJulian,
  kTimezone,
  kTimezoneHour,
  kTimezoneMinute,
};

// In any letter case, with PostgreSQL's abbreviations and plurals.
std::optional<TimeUnit> TimeUnitFromName(std::string_view name);
// Their names, to suggest from: all, or those that a time can be truncated to.
std::vector<std::string> TimeUnitNames(bool to_truncate);

// Whether an interval has it; epoch is a field that it has, not a unit.
constexpr bool IsOfInterval(TimeUnit unit) {
  return (unit <= TimeUnit::kMillennium && unit != TimeUnit::kWeek) || unit == TimeUnit::kEpoch;
}
constexpr bool CanTruncateTo(TimeUnit unit) { return unit <= TimeUnit::kMillennium; }

}  // namespace millrace
