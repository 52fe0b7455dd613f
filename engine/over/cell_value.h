// A value of one column of one row, outside of any batch.
#pragma once

#include <arrow/builder.h>

#include <bit>
#include <cstdint>
#include <string_view>

#include "engine/base/status.h"

namespace millrace {

// Whatever the type: integers, booleans, dates and timestamps as 64 bits, reals and doubles as the
// bits of a double as it stands, texts as their bytes, which it does not own.
struct CellValue {
  bool is_null = true;
  uint64_t bits = 0;
  std::string_view text;
};

// To a builder of the cell's type.
inline Status AppendCell(const CellValue& cell, arrow::ArrayBuilder* builder) {
  if (cell.is_null) return builder->AppendNull();
  switch (builder->type()->id()) {
    case arrow::Type::STRING:
      return static_cast<arrow::StringBuilder*>(builder)->Append(cell.text);
    case arrow::Type::DOUBLE:
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(std::bit_cast<double>(cell.bits));
    case arrow::Type::FLOAT:
      return static_cast<arrow::FloatBuilder*>(builder)->Append(
          float(std::bit_cast<double>(cell.bits)));
    case arrow::Type::INT64:
      return static_cast<arrow::Int64Builder*>(builder)->Append(int64_t(cell.bits));
    case arrow::Type::INT32:
      return static_cast<arrow::Int32Builder*>(builder)->Append(int32_t(cell.bits));
    case arrow::Type::BOOL:
      return static_cast<arrow::BooleanBuilder*>(builder)->Append(cell.bits != 0);
    case arrow::Type::DATE32:
      return static_cast<arrow::Date32Builder*>(builder)->Append(int32_t(cell.bits));
    case arrow::Type::TIMESTAMP:
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(int64_t(cell.bits));
    default:
      return InternalError("bad_column_type", "no column of type " + builder->type()->ToString());
  }
}

}  // namespace millrace
