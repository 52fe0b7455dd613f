// One value of a column as text: for people (templates) and in JSON.
#pragma once

#include <arrow/array.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

// Doubles in their shortest form, timestamps RFC 3339, null as `null`. Appends.
void AppendCellText(const arrow::Array& column, int64_t row, std::string* out);

// The same as a JSON value: text and timestamps quoted, NaN and infinities null.
void AppendCellJson(const arrow::Array& column, int64_t row, std::string* out);

// Quoted and escaped.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace millrace
