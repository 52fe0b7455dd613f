// Timestamps and dates as text, as sensors and CSV files write them; shared by every format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace millrace {

// Reads ISO 8601 / RFC 3339: "2022-06-13T14:14:45.123+02:00". 'T', 't' or one space between date
// and time; seconds and fraction may be missing, and so may the time as a whole (midnight). The
// fraction has 1 to 9 digits after '.' or ','; what is finer than a microsecond is cut off. The
// zone is 'Z', 'z', +hh:mm, +hhmm or +hh (up to 15:59); without one the text is UTC. Second 60 and
// 24:00:00 mean what follows, as in PostgreSQL. Years 1 to 9999. The whole text must match.
bool ParseTimestamp(std::string_view text, EventTime* time);

// Dates, in days since 1970-01-01: those that timestamps have as a whole.
inline constexpr int32_t kDayMax = int32_t(INT64_MAX / 86'400'000'000);
inline constexpr int32_t kDayMin = -kDayMax;
constexpr bool IsDay(int64_t days) { return (days >= kDayMin) & (days <= kDayMax); }

// "2022-06-13" and nothing else, as days since 1970-01-01. Years 1 to 9999.
bool ParseDate(std::string_view text, int32_t* days);
// A date, or the date of what ParseTimestamp reads, as it is written there: the zone moves nothing.
bool ParseDateOf(std::string_view text, int32_t* days);
// Days since 1970-01-01 as "2022-06-13"; years of more than four digits and BC as PostgreSQL has
// them.
std::string FormatDate(int32_t days);

}  // namespace millrace
