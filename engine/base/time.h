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

// The largest multiple of `step` (plus `offset`) that is not after `time`. `step` > 0.
// Floors also before 1970.
constexpr EventTime FloorTo(EventTime time, Micros step, Micros offset = Micros(0)) {
  const int64_t ticks = (time.time_since_epoch() - offset).count();
  int64_t quotient = ticks / step.count();
  if (ticks % step.count() < 0) --quotient;
  return EventTime(Micros(quotient * step.count()) + offset);
}

// "2022-06-15T13:55:00.000000Z" (RFC 3339, always six digits and Z). Years outside 0..9999 are
// written as the raw microseconds.
std::string FormatTimestamp(EventTime time);

// Reads "10m", "30s", "250ms", "2h", "1d", "1h30m"; units us, ms, s, m, h, d. A bare "0" is zero.
// Negative durations are refused. Fails with code "bad_duration".
Result<Micros> ParseDuration(std::string_view text);
// "10m", "1h30m", "250ms": the shortest form that ParseDuration reads back.
std::string FormatDuration(Micros duration);

}  // namespace millrace
