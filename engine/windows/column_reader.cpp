#include "engine/windows/column_reader.h"

namespace millrace {

Result<ColumnReader> ColumnReader::Make(const arrow::Array& array) {
  ColumnReader column;
  const arrow::ArrayData& data = *array.data();
  switch (array.type_id()) {
    case arrow::Type::NA:
      return column;
    case arrow::Type::BOOL:
      column.type_ = Type::kBoolean;
      break;
    case arrow::Type::INT32:
      column.type_ = Type::kInteger;
      break;
    case arrow::Type::INT64:
      column.type_ = Type::kBigint;
      break;
    case arrow::Type::DOUBLE:
      column.type_ = Type::kDouble;
      break;
    case arrow::Type::FLOAT:
      column.type_ = Type::kReal;
      break;
    case arrow::Type::DATE32:
      column.type_ = Type::kDate;
      break;
    case arrow::Type::STRING:
      column.type_ = Type::kText;
      break;
    case arrow::Type::TIMESTAMP:
      column.type_ = Type::kTimestamp;
      break;
    default:
      return InternalError("bad_column_type",
                           "a column of type " + array.type()->ToString() + " cannot be read");
  }
  column.offset_ = data.offset;
  if (array.null_count() > 0) column.validity_ = data.buffers[0]->data();
  const size_t values = column.is_text() ? 2 : 1;
  if (data.buffers[values] != nullptr) column.data_ = data.buffers[values]->data();
  if (column.is_text()) {
    static constexpr int32_t kEmptyOffsets[1] = {0};
    const auto& offsets = data.buffers[1];
    column.text_offsets_ = offsets != nullptr && offsets->size() > 0
                               ? reinterpret_cast<const int32_t*>(offsets->data())
                               : kEmptyOffsets;
  }
  return column;
}

Status AppendBits(uint64_t bits, arrow::ArrayBuilder* builder) {
  switch (builder->type()->id()) {
    case arrow::Type::BOOL:
      return static_cast<arrow::BooleanBuilder*>(builder)->Append(bits != 0);
    case arrow::Type::INT32:
      return static_cast<arrow::Int32Builder*>(builder)->Append(int32_t(bits));
    case arrow::Type::INT64:
      return static_cast<arrow::Int64Builder*>(builder)->Append(int64_t(bits));
    case arrow::Type::DOUBLE:
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(std::bit_cast<double>(bits));
    case arrow::Type::FLOAT:
      return static_cast<arrow::FloatBuilder*>(builder)->Append(float(std::bit_cast<double>(bits)));
    case arrow::Type::DATE32:
      return static_cast<arrow::Date32Builder*>(builder)->Append(int32_t(bits));
    case arrow::Type::TIMESTAMP:
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(int64_t(bits));
    default:
      return InternalError("bad_column_type", "no value of type " + builder->type()->ToString());
  }
}

}  // namespace millrace
