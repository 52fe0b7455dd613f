// Reads one file chunk by chunk into batches of a source's used columns. One thread at a time;
// memory is bounded by a block of the file (CSV: `block_bytes`; Parquet: a page a column; JSON
// lines: a line of at most 16 MiB) and a chunk of rows.
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/connectors/source.h"
#include "engine/model/job.h"

namespace millrace {

class FileReader {
 public:
  virtual ~FileReader() = default;
  // At most `rows_max` rows, next_offset set; none at the end of the file. Offsets count from 0:
  // rows (CSV, Parquet) or lines (JSON). User error "bad_file".
  virtual Result<std::optional<SourceBatch>> Next(int64_t rows_max) = 0;
};

// What a reader of any format needs of its source.
struct FileColumns {
  std::vector<SourceColumn> columns;  // the used ones, in output order
  int event_time = -1;                // among them; rows without it are rejected
  CsvSpec csv;
  std::shared_ptr<arrow::Schema> schema;
};

// User error "bad_file" where the file can't be read as its format or lacks a column.
Result<std::unique_ptr<FileReader>> OpenCsvFile(const FileColumns& columns, const std::string& path,
                                                int32_t block_bytes,
                                                arrow::fs::FileSystem* filesystem);
Result<std::unique_ptr<FileReader>> OpenParquetFile(const FileColumns& columns,
                                                    const std::string& path,
                                                    arrow::fs::FileSystem* filesystem);
Result<std::unique_ptr<FileReader>> OpenLinesFile(const SourceStreamSpec& spec,
                                                  const std::vector<int>& used_columns,
                                                  const std::string& path,
                                                  arrow::fs::FileSystem* filesystem);

// The used columns of a source.
FileColumns FileColumnsOf(const SourceStreamSpec& spec, const std::vector<int>& used_columns);
// By the source's format. `columns` are FileColumnsOf.
Result<std::unique_ptr<FileReader>> OpenSourceFile(const SourceStreamSpec& spec,
                                                   const std::vector<int>& used_columns,
                                                   const FileColumns& columns,
                                                   const std::string& path, int32_t block_bytes,
                                                   arrow::fs::FileSystem* filesystem);

Status BadFile(const std::string& path, const std::string& message);

// A chunk whose rows were all converted, some of which are refused.
struct DecodedChunk {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::vector<int64_t> offsets;                             // one a row
  std::vector<std::pair<int64_t, RejectedRecord>> refused;  // by row, ascending; no value, offset
  // Writes a row of the chunk again in its format.
  std::function<void(int64_t row, std::string* text)> write_again;
};
// Leaves out the refused rows, which become RejectedRecords with their value and offset.
Result<SourceBatch> ToSourceBatch(DecodedChunk chunk, const std::string& path);

}  // namespace millrace
