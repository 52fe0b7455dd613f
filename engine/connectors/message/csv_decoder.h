// Lines of CSV into columns, written in place: for messages, whose lines are few. Cells are read as
// those of files are (csv_cells.h).
#pragma once

#include <arrow/record_batch.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine/connectors/json/batch_writer.h"
#include "engine/connectors/json/json_decoder.h"
#include "engine/connectors/message/csv_cells.h"
#include "engine/model/job.h"

namespace millrace {

// One thread at a time.
class CsvDecoder {
 public:
  // `spec.csv.fields` has the cells of a line. If the stream's event time column is among the used
  // ones, lines in which it is null are refused.
  CsvDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns);

  Status Reserve(int64_t rows) { return batch_.Reserve(rows); }
  // Appends one row, or returns false, says why in `failure`, and leaves the batch as it was:
  // "malformed" (another number of cells), "type_mismatch", "missing_event_time", "too_large".
  bool Append(const std::vector<std::string_view>& cells, JsonFailure* failure);
  int64_t rows() const { return batch_.rows(); }
  // Takes back the rows appended last, so that `rows` are left.
  void DropRows(int64_t rows) { batch_.DropRows(rows); }
  // The rows since the last call; the decoder can go on.
  Result<std::shared_ptr<arrow::RecordBatch>> Finish() { return batch_.Finish(); }

 private:
  enum class Outcome { kWritten, kMismatch, kNoRoom };
  struct Column {
    SourceColumn source;
    size_t cell = 0;  // of a line
  };

  Outcome Write(const Column& column, std::string_view cell, ColumnWriter* writer);
  bool WriteRow(const std::vector<std::string_view>& cells, JsonFailure* failure);

  std::vector<Column> columns_;
  BatchWriter batch_;  // one column a column
  size_t cells_;
  std::string null_text_;
  int event_time_ = -1;
  JsonText json_;
};

}  // namespace millrace
