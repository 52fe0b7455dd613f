// Makes a file sink's final files out of the rows of one roll. docs/exactly-once.md, "Publishing
// files".
//
// Names: <folder>/[date=2022-06-13/]<job>-<generation>-<sink>-<shard>-<epoch>-<n>.<ending>. Files
// are written aside (`.inprogress-<nonce>-...`) and renamed; one whose final name exists is done
// and is left alone. Which rows are in file n depends on the rows and the sink's settings alone, so
// a roll that was cut short by a crash is finished by doing it again.
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/dead_letter.h"
#include "engine/model/job.h"
#include "engine/model/rows.h"
#include "engine/model/types.h"

namespace millrace {

// The parts of a roll's file names.
struct RollName {
  std::string job;
  std::string generation;  // shortened by the caller or not: letters and digits
  std::string sink;        // letters, digits, '_'
  int32_t shard = 0;
  int64_t epoch = 0;
};

struct RollResult {
  int64_t files_written = 0;
  int64_t files_found = 0;        // were there already
  int64_t rows = 0;               // of both
  int64_t bytes = 0;              // of those that were written
  int64_t non_finite_values = 0;  // NaN and infinities among the rows, null in JSON and CSV
};

// One a file sink; one thread at a time.
class RollWriter {
 public:
  virtual ~RollWriter() = default;
  // What processes of the job left aside for this sink (not those of `nonce`, this one). A start
  // lists them before it claims the job and removes them after it: what is written aside later
  // may be its successor's. Fakes have none.
  virtual Result<std::vector<std::string>> Leftovers() { return std::vector<std::string>(); }
  virtual Status RemoveLeftovers(const std::vector<std::string>& leftovers) { return Status::OK(); }
  // Makes the folder and sees that a file can be made in it. "unwritable_path" (user).
  virtual Status Open() = 0;
  // Row by row what can never be written (a partition value too long for a folder's name): asked
  // when rows are sealed, so that those become dead letters of the same epoch. Empty: all can.
  virtual Status Check(const Rows& rows, std::vector<uint32_t>* refused,
                       std::vector<DeadLetter>* letters) = 0;
  // `each` calls its argument with every batch of the roll, in order; it may be called twice.
  // "disk_full", "file_write_failed".
  using Visit = std::function<Status(const arrow::RecordBatch&)>;
  virtual Result<RollResult> Write(const RollName& name,
                                   const std::function<Status(const Visit&)>& each) = 0;
  // The sink's register: a few bytes of the caller's in `<folder>/.millrace-<job>-<sink>`, replaced
  // at a stroke and safe once WriteRegister returns. None: there is none.
  virtual Result<std::optional<std::string>> ReadRegister() = 0;
  virtual Status WriteRegister(std::string_view bytes) = 0;
  virtual std::string description() const = 0;
};

struct RollWriterOptions {
  std::shared_ptr<arrow::fs::FileSystem> filesystem;
  std::string nonce;  // of this process
  std::string job;
  std::string sink;
};

// Parquet in Hive's layout: `<path>/date=2022-06-13/site=a/<name>.parquet`. `date` is the UTC date
// of the time column, unless the rows have a column of that name; other partition columns are left
// out of the files, as Hive does. Values are percent-escaped; null and empty text are
// `__HIVE_DEFAULT_PARTITION__`. Files are snappy-compressed and keep the Arrow schema with each
// field's unit.
//
// A file ends at roll_bytes of rows before compression, or where it is the least recently written
// of 100 open ones and a row of another partition comes. A row group has at most 64 Ki rows or
// 8 MiB; all open files together hold at most 32 MiB that are not written yet.
//
// time_column: of `schema`, or -1. User error "bad_partition" where a column of partition_by is
// neither in `schema` nor `date`, stands twice, leaves no column for the files, or `date` has no
// time column to come from.
Result<std::unique_ptr<RollWriter>> MakeParquetRollWriter(const ParquetSinkSpec& spec,
                                                          const Schema& schema, int time_column,
                                                          RollWriterOptions options);

// JSON lines or CSV (a line of names leads each file). A file ends with the line that fills
// roll_bytes. "bad_format" (user) for Parquet.
Result<std::unique_ptr<RollWriter>> MakeLinesRollWriter(const FilesSinkSpec& spec,
                                                        const Schema& schema,
                                                        RollWriterOptions options);

// A dead letter as a line of JSON, without its end:
//   {"reason":"late","message":...,"stream":"readings","topic":...,"partition":0,"offset":17,
//    "key":...,"value":...}
// Topic, partition and offset are there where the letter has a source record. A key or value that
// is not UTF-8 stands in base64 under key_base64, value_base64.
std::string DeadLetterLine(const DeadLetter& letter);
// Of batches of such lines: one text column, "line".
std::shared_ptr<arrow::Schema> LineSchema();
// Files of lines, whatever spec.format says. Batches have one text column: the lines, without
// their ends.
std::unique_ptr<RollWriter> MakeDeadLetterRollWriter(const FilesSinkSpec& spec,
                                                     RollWriterOptions options);

}  // namespace millrace
