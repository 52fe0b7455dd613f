// Literals: the text forms of values, read and written as PostgreSQL does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"
#include "engine/plan/expression.h"

namespace millrace {

std::string FormatInterval(const Interval& interval);

// The interval as a fixed time (days of 24 hours); nothing with months or beyond 64 bits.
std::optional<Micros> FixedLength(const Interval& interval);

// A string literal that takes the type it meets: '80' > integer_column.
std::optional<Literal> ParseLiteral(std::string_view text, Type type);

// As it may be written in SQL: 'it''s', 1.5, TIMESTAMP '2022-06-13 14:14:45', NULL.
std::string FormatLiteral(const Literal& literal, Type type);

}  // namespace millrace
