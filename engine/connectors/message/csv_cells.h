// Cells of text as values of a column's type, strictly: the whole cell, or a refusal.
#pragma once

#include <arrow/array/array_binary.h>
#include <arrow/array/builder_base.h>

#include <functional>
#include <memory>
#include <string_view>

#include "engine/base/status.h"
#include "engine/json/json_text.h"
#include "engine/model/job.h"

namespace millrace {

//   boolean          true, false, t, f, 1, 0 in any letter case
//   integer, bigint  digits, or a number without a fraction ("21.0", as pandas writes columns with
//                    gaps), in range
//   real, double     as ParseReal, ParseDouble
//   text             UTF-8
//   timestamp        ISO 8601 (ParseTimestamp), or a number since the epoch in the declared unit,
//                    rounded down to microseconds; years 1 to 9999
//   date             as ParseDate
//   json             one JSON value
bool CellToBoolean(std::string_view cell, bool* value);
bool CellToInteger(std::string_view cell, int32_t* value);
bool CellToBigint(std::string_view cell, int64_t* value);
bool CellToTimestamp(std::string_view cell, TimestampUnit unit, int64_t* micros);

// "column level: expected integer, found 'x'", the cell cut after a few bytes.
std::string CellMismatch(const Field& field, std::string_view cell);

// A column of cells. Empty ones and `null_text` are null. A cell that does not convert becomes null
// and is told to `refuse` with its row of `cells`.
Result<std::shared_ptr<arrow::Array>> ConvertCells(
    const arrow::BinaryArray& cells, const SourceColumn& column, std::string_view null_text,
    const std::function<void(int64_t row, std::string_view cell)>& refuse);

}  // namespace millrace
