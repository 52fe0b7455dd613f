#include "engine/plan/time_unit.h"

#include <algorithm>
#include <array>
#include <string>

namespace millrace {
namespace {

struct UnitName {
  std::string_view name;
  TimeUnit unit;
};

constexpr std::array kUnitNames = std::to_array<UnitName>({
    {"c", TimeUnit::kCentury},
    {"cent", TimeUnit::kCentury},
    {"centuries", TimeUnit::kCentury},
    {"century", TimeUnit::kCentury},
    {"d", TimeUnit::kDay},
    {"day", TimeUnit::kDay},
    {"days", TimeUnit::kDay},
    {"dec", TimeUnit::kDecade},
    {"decade", TimeUnit::kDecade},
    {"decades", TimeUnit::kDecade},
    {"decs", TimeUnit::kDecade},
    {"dow", TimeUnit::kDayOfWeek},
    {"doy", TimeUnit::kDayOfYear},
    {"epoch", TimeUnit::kEpoch},
    {"h", TimeUnit::kHour},
    {"hour", TimeUnit::kHour},
    {"hours", TimeUnit::kHour},
    {"hr", TimeUnit::kHour},
    {"hrs", TimeUnit::kHour},
    {"isodow", TimeUnit::kIsoDayOfWeek},
    {"isoyear", TimeUnit::kIsoYear},
    {"j", TimeUnit::kJulian},
    {"jd", TimeUnit::kJulian},
    {"julian", TimeUnit::kJulian},
    {"m", TimeUnit::kMinute},
    {"microsecond", TimeUnit::kMicroseconds},
    {"microseconds", TimeUnit::kMicroseconds},
    {"mil", TimeUnit::kMillennium},
    {"millennia", TimeUnit::kMillennium},
    {"millennium", TimeUnit::kMillennium},
    {"millisecond", TimeUnit::kMilliseconds},
    {"milliseconds", TimeUnit::kMilliseconds},
    {"mils", TimeUnit::kMillennium},
    {"min", TimeUnit::kMinute},
    {"mins", TimeUnit::kMinute},
    {"minute", TimeUnit::kMinute},
    {"minutes", TimeUnit::kMinute},
    {"mon", TimeUnit::kMonth},
    {"mons", TimeUnit::kMonth},
    {"month", TimeUnit::kMonth},
    {"months", TimeUnit::kMonth},
    {"ms", TimeUnit::kMilliseconds},
    {"msec", TimeUnit::kMilliseconds},
    {"msecs", TimeUnit::kMilliseconds},
    {"qtr", TimeUnit::kQuarter},
    {"quarter", TimeUnit::kQuarter},
    {"s", TimeUnit::kSecond},
    {"sec", TimeUnit::kSecond},
    {"second", TimeUnit::kSecond},
    {"seconds", TimeUnit::kSecond},
    {"secs", TimeUnit::kSecond},
    {"timezone", TimeUnit::kTimezone},
    {"timezone_hour", TimeUnit::kTimezoneHour},
    {"timezone_minute", TimeUnit::kTimezoneMinute},
    {"us", TimeUnit::kMicroseconds},
    {"usec", TimeUnit::kMicroseconds},
    {"usecs", TimeUnit::kMicroseconds},
    {"w", TimeUnit::kWeek},
    {"week", TimeUnit::kWeek},
    {"weeks", TimeUnit::kWeek},
    {"y", TimeUnit::kYear},
    {"year", TimeUnit::kYear},
    {"years", TimeUnit::kYear},
    {"yr", TimeUnit::kYear},
    {"yrs", TimeUnit::kYear},
});

}  // namespace

std::optional<TimeUnit> TimeUnitFromName(std::string_view name) {
  std::array<char, 16> lower;
  if (name.size() > lower.size()) return std::nullopt;
  std::ranges::transform(name, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  const std::string_view wanted(lower.data(), name.size());
  const auto found = std::ranges::find(kUnitNames, wanted, &UnitName::name);
  if (found == kUnitNames.end()) return std::nullopt;
  return found->unit;
}

std::vector<std::string> TimeUnitNames(bool to_truncate) {
  std::vector<std::string> names;
  for (const UnitName& known : kUnitNames) {
    if (!to_truncate || CanTruncateTo(known.unit)) names.emplace_back(known.name);
  }
  return names;
}

}  // namespace millrace
