// Where output goes: the interface behind a publisher, implemented by connectors/kafka, parquet,
// files and console. One SinkWriter serves one sink node (one shard); used by one publisher, on a
// thread of its own, so it may block.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/rows.h"

namespace millrace {

// A dead letter: the original record and why it did not count.
struct DeadLetter {
  std::string value;
  std::string key;
  std::string reason;  // lower_snake_case: "late", "future", "malformed", "division_by_zero", ...
  std::string message;
  std::string stream;
  TopicPartition source;  // topic empty: not from a source record (a window's row)
  int64_t offset = -1;
};

struct SinkStats {
  int64_t rows_written = 0;
  int64_t bytes_written = 0;
  int64_t non_finite_values = 0;  // NaN and infinities written as null
};

class SinkWriter {
 public:
  virtual ~SinkWriter() = default;
  // Reaches the target and makes sure that it can be written: "unwritable_path", "topic_missing",
  // "broker_unreachable" (retry). Called once, before Write.
  virtual Status Open() = 0;
  // May buffer; blocks while the target takes no more. `rejected` (may be null) receives rows that
  // the target can never take (too large), as dead letters.
  virtual Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) = 0;
  // After it returns OK everything written before is delivered (acknowledged, or in a complete
  // file where `close_files`; otherwise files may stay open and be rolled later).
  virtual Status Flush(bool close_files) = 0;
  // Whether rows that Flush(false) covers stand in files that are not complete yet, so that they
  // would be lost if the process died. Always false for targets that acknowledge.
  virtual bool HasUnfinishedFiles() const { return false; }
  virtual SinkStats stats() const = 0;
  // Where it goes, for people: "kafka topic smoke_alerts", "parquet files under /lake/smoke".
  virtual std::string description() const = 0;
};

class DeadLetterWriter {
 public:
  virtual ~DeadLetterWriter() = default;
  virtual Status Open() = 0;
  virtual Status Write(const std::vector<DeadLetter>& letters) = 0;
  virtual Status Flush() = 0;
  virtual std::string description() const = 0;
};

}  // namespace millrace
