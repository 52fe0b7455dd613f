// Segments of the outbox: rows of one epoch, as they will be published. docs/exactly-once.md,
// "Bytes on disk". Two kinds:
//   records   what goes to Kafka, encoded: topic, key, value, timestamp, headers; and dead letters
//             that go to files (value: the line)
//   rows      an Arrow IPC stream of a file sink's record batches
// Written and read in order, from one thread; a reader holds one block (records: 1 MiB and the
// largest record; rows: one batch) in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"
#include "engine/storage/checkpoint_storage.h"

namespace millrace {

class BlockFileWriter;

// Larger records are refused ("record_too_large", internal: who makes them leaves those out).
inline constexpr int64_t kRecordBytesMax = 128 << 20;

using RecordHeaders = std::vector<std::pair<std::string, std::string>>;

// A record for a topic; views, valid as long as what they were given from.
struct OutboxRecord {
  std::string_view topic;
  bool has_key = false;
  std::string_view key;
  std::string_view value;
  int64_t timestamp_ms = 0;  // 0: the time of publishing
  std::vector<std::pair<std::string_view, std::string_view>> headers;
};

class RecordSegmentWriter {
 public:
  explicit RecordSegmentWriter(std::unique_ptr<StoredFileWriter> file);
  ~RecordSegmentWriter();
  Status Append(const OutboxRecord& record);
  int64_t rows() const { return rows_; }
  int64_t bytes() const;
  // Epoch and first_row are the caller's to set.
  Result<proto::Segment> Finish();

 private:
  Status FlushBuffer();
  std::unique_ptr<BlockFileWriter> file_;
  std::vector<std::string> topics_;  // of the block
  std::string buffer_;               // the block
  int64_t block_rows_ = 0;
  int64_t rows_ = 0;
};

class RecordSegmentReader {
 public:
  // "segment_damaged", "format_too_new".
  static Result<std::unique_ptr<RecordSegmentReader>> Open(CheckpointStorage* storage,
                                                           const proto::Segment& segment);
  virtual ~RecordSegmentReader() = default;
  // Leaves out the next `rows` without giving them.
  virtual Status Skip(int64_t rows) = 0;
  // The next record; none at the end. Views are valid until the next call.
  virtual Result<std::optional<OutboxRecord>> Next() = 0;
};

class RowSegmentWriter {
 public:
  static Result<std::unique_ptr<RowSegmentWriter>> Make(
      std::unique_ptr<StoredFileWriter> file, const std::shared_ptr<arrow::Schema>& schema);
  virtual ~RowSegmentWriter() = default;
  virtual Status Append(const arrow::RecordBatch& batch) = 0;
  virtual int64_t rows() const = 0;
  virtual int64_t bytes() const = 0;
  virtual Result<proto::Segment> Finish() = 0;
};

// Every batch in order, until `visit` fails.
Status ReadRowSegment(
    CheckpointStorage* storage, const proto::Segment& segment,
    const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& visit);

}  // namespace millrace
