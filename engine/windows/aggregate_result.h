// From accumulators to the values of aggregates. Over no non-null argument every aggregate is null,
// except those that count, which are 0.
#pragma once

#include <arrow/builder.h>

#include <span>
#include <string_view>

#include "engine/base/status.h"
#include "engine/windows/accumulator_layout.h"

namespace millrace {

// Appends the value of `output` to a builder of its result's type. Percentiles and what depends on
// the order of readings reorder the values that the row holds. A sum that does not fit its type and
// a joined text that is too long are null and add one to `out_of_range`.
Status AppendResult(const AccumulatorLayout& layout, const AggregateOutput& output, char* row,
                    EventTime window_end, arrow::ArrayBuilder* builder, int64_t* out_of_range);

struct WindowTimes {
  EventTime start;
  EventTime end;
};

// One row of a window's output: its times, the columns of `key` (KeyTable's bytes), the aggregates
// of `row`, as AppendResult says.
Status AppendWindow(const AccumulatorLayout& layout, WindowTimes times, std::string_view key,
                    size_t key_columns, char* row, std::span<arrow::ArrayBuilder* const> columns,
                    int64_t* out_of_range);

}  // namespace millrace
