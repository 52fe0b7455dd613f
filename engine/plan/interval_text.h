// Intervals as text, read as PostgreSQL 15 does (datetime.c), oddities included.
#pragma once

#include <optional>
#include <string_view>

#include "engine/plan/expression.h"

namespace millrace {

// "1 minute", "2 hours 30 min", "1 day 02:03:04", "-1.5 s", "1-2" (years and months), "1 day ago",
// and ISO 8601's "P1DT2H" and "P0001-02-03T04:05:06". Weeks are 7 days; fractions of a month go to
// days of 30 a month, those of a day to the time. A number without a unit counts seconds, or days
// in front of a time. Nothing where the text is no interval, has a unit twice or does not fit.
//
// `unit`, of year, month, day, hour, minute and second: that of INTERVAL '90' MINUTE. A number
// without one counts it, and what is finer is cut off.
std::optional<Interval> ParseInterval(std::string_view text, std::string_view unit = "");

}  // namespace millrace
