// Values as people read them on a terminal: short numbers, windows as 13:55-14:00, nothing that a
// terminal would obey.
#pragma once

#include <arrow/record_batch.h>

#include <string>
#include <string_view>

#include "engine/base/time.h"
#include "engine/model/types.h"

namespace millrace {

// Characters, as far as a terminal's columns go (UTF-8 code points).
int TextWidth(std::string_view text);
// Control characters replaced by a middle dot; cut to `width_max` with an ellipsis.
std::string CleanText(std::string_view text, int width_max);

// Two decimals from 1 on, four below; with an exponent where either would mislead.
std::string ShortNumber(double value);
// "12,345".
std::string GroupedNumber(int64_t value);
// "13:55-14:00", with seconds where they are not zero, with dates where it is a day or longer.
std::string WindowText(EventTime start, EventTime end);
std::string TimeOfDay(EventTime time);  // "13:55:07"
std::string DateOf(EventTime time);     // "2022-06-13"

// One cell; null is a dash.
std::string CellText(const arrow::Array& array, Type type, int64_t row, int width_max);

}  // namespace millrace
