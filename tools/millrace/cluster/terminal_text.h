// Text of others (log lines, rows, what a server says) made safe to show: control characters move a
// terminal's cursor, change its title or colours, or turn what is read around, so none reaches it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace {

// In one line: control characters (C0, C1, those of text direction) as \n, \t, \x1b or \u202e,
// bytes that are no UTF-8 as \xff.
std::string EscapeLine(std::string_view text);
// The same, but line breaks and tabs stay: every line after the first begins with `indent`, so that
// none can pass for a line of ours. Breaks at the end are dropped.
std::string EscapeLines(std::string_view text, std::string_view indent);
// A JSON text in one line: control characters as \u001b, which inside its strings means the same.
std::string EscapeJson(std::string_view json);

// How many columns it takes: a column a code point.
size_t DisplayWidth(std::string_view text);
// At most `width` columns of it.
std::string_view CutToWidth(std::string_view text, size_t width);

}  // namespace millrace
