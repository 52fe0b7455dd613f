// Rows as CSV (RFC 4180, lines end in \n): cells are quoted where they must be; null is an empty
// cell and empty text is "". Numbers and timestamps as in JSON output (doubles in the shortest form
// that reads back); NaN and infinities become null and are counted.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

// Appends one cell, quoted where it must be.
void AppendCsvCell(std::string_view text, std::string* line, char delimiter = ',',
                   char quote = '"');

class CsvRowEncoder {
 public:
  explicit CsvRowEncoder(Schema schema) : schema_(std::move(schema)) {}

  // The line of column names, with its line end.
  std::string Header() const;
  // Appends a line a row to `buffer` and where each ends to `ends`.
  void Encode(const arrow::RecordBatch& batch, std::string* buffer, std::vector<size_t>* ends);
  int64_t non_finite_values() const { return non_finite_values_; }

 private:
  Schema schema_;
  int64_t non_finite_values_ = 0;
};

}  // namespace millrace
