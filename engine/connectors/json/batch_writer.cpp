#include "engine/connectors/json/batch_writer.h"

#include <utility>

namespace millrace {

BatchWriter::BatchWriter(const Schema& schema) : schema_(schema.ToArrow()) {
  columns_.reserve(schema.fields.size());
  for (const Field& field : schema.fields) columns_.emplace_back(field.type);
}

Status BatchWriter::Reserve(int64_t rows) {
  for (ColumnWriter& column : columns_) ARROW_RETURN_NOT_OK(column.Reserve(rows_ + rows, rows_));
  reserved_ = rows_ + rows;
  return Status::OK();
}

void BatchWriter::Rewind() {
  for (ColumnWriter& column : columns_) column.Rewind(rows_);
}

void BatchWriter::DropRows(int64_t rows) {
  while (rows_ > rows) {
    --rows_;
    Rewind();
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> BatchWriter::Finish() {
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  arrays.reserve(columns_.size());
  for (ColumnWriter& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(auto array, column.Finish(rows_));
    arrays.push_back(std::move(array));
  }
  reserved_ = 0;
  return arrow::RecordBatch::Make(schema_, std::exchange(rows_, 0), std::move(arrays));
}

}  // namespace millrace
