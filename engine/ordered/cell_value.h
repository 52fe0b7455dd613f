// A value of one column of one row, outside of any batch.
#pragma once

#include <arrow/builder.h>

#include <bit>
#include <cstdint>
#include <string_view>

#include "engine/base/status.h"
#include "engine/windows/column_reader.h"

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
  if (builder->type()->id() == arrow::Type::STRING) {
    return static_cast<arrow::StringBuilder*>(builder)->Append(cell.text);
  }
  return AppendBits(cell.bits, builder);
}

// The same where the builder is known to be of `type`, which costs a fraction of asking it.
inline Status AppendCell(const CellValue& cell, Type type, arrow::ArrayBuilder* builder) {
  if (cell.is_null) return builder->AppendNull();
  switch (type) {
    case Type::kDouble:
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(std::bit_cast<double>(cell.bits));
    case Type::kBigint:
      return static_cast<arrow::Int64Builder*>(builder)->Append(int64_t(cell.bits));
    case Type::kTimestamp:
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(int64_t(cell.bits));
    case Type::kText:
    case Type::kJson:
      return static_cast<arrow::StringBuilder*>(builder)->Append(cell.text);
    default:
      return AppendBits(cell.bits, builder);
  }
}

}  // namespace millrace
