// The two kinds of time, kept apart by type. Event time is the readings' own (microseconds since
// the Unix epoch, UTC); monotonic time is the process's and only measures how long something took.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace millrace {

using Micros = std::chrono::microseconds;
using EventTime = std::chrono::sys_time<Micros>;

// Nothing has been seen yet; and the end of a bounded input, which closes every window.
inline constexpr EventTime kEventTimeMin = EventTime(Micros(INT64_MIN));
inline constexpr EventTime kEventTimeMax = EventTime(Micros(INT64_MAX));

// Since an arbitrary start; never goes back. From env::Clock, never read in pure code.
using MonotonicTime = std::chrono::nanoseconds;

// The largest multiple of `step` (plus `offset`) that is not after `time`. `step` > 0. Floors also
// before 1970. kEventTimeMin where it would lie before that.
constexpr EventTime FloorTo(EventTime time, Micros step, Micros offset = Micros(0)) {
  const __int128 ticks = __int128(time.time_since_epoch().count()) - offset.count();
  const __int128 quotient = ticks / step.count() - (ticks % step.count() < 0 ? 1 : 0);
  const __int128 floor = quotient * step.count() + offset.count();
  return floor < INT64_MIN ? kEventTimeMin : EventTime(Micros(int64_t(floor)));
}

// `time` moved back; the ends of time stay where they are.
constexpr EventTime MovedBack(EventTime time, Micros by) {
  if (time == kEventTimeMin || time == kEventTimeMax) return time;
  int64_t moved = 0;
  if (__builtin_sub_overflow(time.time_since_epoch().count(), by.count(), &moved)) {
    return kEventTimeMin;
  }
  return EventTime(Micros(moved));
}

// What has a calendar date here: years 0..9999. std::chrono counts years in 16 bits, so what is
// outside must not reach it.
inline constexpr EventTime kCalendarFirst =
    std::chrono::sys_days(std::chrono::year(0) / std::chrono::January / 1);
inline constexpr EventTime kCalendarEnd =
    std::chrono::sys_days(std::chrono::year(10'000) / std::chrono::January / 1);

// "2022-06-15T13:55:00.000000Z" (RFC 3339, always six digits and Z). Years outside 0..9999 are
// written as the raw microseconds.
std::string FormatTimestamp(EventTime time);

// Reads "10m", "30s", "250ms", "2h", "1d", "1h30m"; units us, ms, s, m, h, d. A bare "0" is zero.
// Negative durations are refused. Fails with code "bad_duration".
Result<Micros> ParseDuration(std::string_view text);
// "10m", "1h30m", "250ms": the shortest form that ParseDuration reads back.
std::string FormatDuration(Micros duration);

}  // namespace millrace
