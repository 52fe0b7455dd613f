// The rows of a batch under construction, written in place, column by column.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/status.h"
#include "engine/connectors/json/column_writer.h"
#include "engine/model/types.h"

namespace millrace {

// One thread at a time.
class BatchWriter {
 public:
  BatchWriter() = default;
  // A column a field; none of kNull or kInterval.
  explicit BatchWriter(const Schema& schema);

  // Room for `rows` more rows.
  Status Reserve(int64_t rows);
  // Room for the next row: where there is none, for as many again as there are, at least
  // `rows_min`.
  Status ReserveNext(int64_t rows_min) {
    if (rows_ < reserved_) [[likely]]
      return Status::OK();
    return Reserve(rows_ > rows_min ? rows_ : rows_min);
  }

  // Columns are written at row rows(), which counts once KeepRow was called.
  std::vector<ColumnWriter>& columns() { return columns_; }
  int64_t rows() const { return rows_; }
  void KeepRow() { ++rows_; }
  // Takes back what was written of the next row.
  void Rewind();
  // Takes back the last rows, so that `rows` are left.
  void DropRows(int64_t rows);

  // The rows since the last call; the writer begins anew, without room.
  Result<std::shared_ptr<arrow::RecordBatch>> Finish();

 private:
  std::vector<ColumnWriter> columns_;
  std::shared_ptr<arrow::Schema> schema_;
  int64_t rows_ = 0;
  int64_t reserved_ = 0;
};

}  // namespace millrace
