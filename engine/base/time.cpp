#include "engine/base/time.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace millrace {
namespace {

struct Unit {
  std::string_view name;
  int64_t micros;
};

// Longest names first, so that "ms" is not read as "m" followed by "s".
constexpr std::array<Unit, 6> kUnits = {{{"us", 1},
                                         {"ms", 1000},
                                         {"d", 86'400'000'000},
                                         {"h", 3'600'000'000},
                                         {"m", 60'000'000},
                                         {"s", 1'000'000}}};

Status BadDuration(std::string_view text) {
  return UserError("bad_duration", "'" + std::string(text) +
                                       "' is not a duration; expected a number and a unit, such "
                                       "as 250ms, 30s, 10m, 2h or 1d");
}

}  // namespace

std::string FormatTimestamp(EventTime time) {
  using namespace std::chrono;
  if (time < kCalendarFirst || time >= kCalendarEnd) {
    return std::to_string(time.time_since_epoch().count());
  }
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss<Micros> clock(time - day);
  std::array<char, 40> buffer;
  const int size = std::snprintf(
      buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", int(date.year()),
      unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
      int(clock.minutes().count()), int(clock.seconds().count()), int(clock.subseconds().count()));
  return std::string(buffer.data(), size_t(size));
}

Result<Micros> ParseDuration(std::string_view text) {
  if (text == "0") return Micros(0);
  if (text.empty()) return BadDuration(text);
  int64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0) return BadDuration(text);
    rest.remove_prefix(size_t(end - rest.data()));
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (rest.starts_with(candidate.name)) {
        unit = &candidate;
        break;
      }
    }
    if (unit == nullptr) return BadDuration(text);
    rest.remove_prefix(unit->name.size());
    int64_t part = 0;
    if (__builtin_mul_overflow(number, unit->micros, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return BadDuration(text);
    }
  }
  return Micros(total);
}

std::string FormatDuration(Micros duration) {
  int64_t rest = duration.count();
  if (rest == 0) return "0";
  std::string text;
  if (rest < 0) {
    text = "-";
    rest = -rest;
  }
  constexpr std::array<Unit, 6> kLargestFirst = {{{"d", 86'400'000'000},
                                                  {"h", 3'600'000'000},
                                                  {"m", 60'000'000},
                                                  {"s", 1'000'000},
                                                  {"ms", 1000},
                                                  {"us", 1}}};
  for (const Unit& unit : kLargestFirst) {
    if (rest < unit.micros) continue;
    text += std::to_string(rest / unit.micros);
    text += unit.name;
    rest %= unit.micros;
  }
  return text;
}

}  // namespace millrace
