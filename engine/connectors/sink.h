// Where output goes that no checkpoint publishes: the interface behind a direct publisher,
// implemented by connectors/kafka and console. One SinkWriter serves one sink; used by one
// publisher, on a thread of its own, so it may block.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/dead_letter.h"
#include "engine/model/rows.h"

namespace millrace {

struct SinkStats {
  int64_t rows_written = 0;
  int64_t bytes_written = 0;
  int64_t non_finite_values = 0;  // NaN and infinities written as null
};

class SinkWriter {
 public:
  virtual ~SinkWriter() = default;
  // Reaches the target and makes sure that it can be written: "topic_missing",
  // "broker_unreachable" (retry). Called once, before Write.
  virtual Status Open() = 0;
  // May buffer; blocks while the target takes no more. `rejected` (may be null) receives rows that
  // the target can never take (too large), as dead letters.
  virtual Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) = 0;
  // After it returns OK everything written before has been taken by the target.
  virtual Status Flush() = 0;
  // The end: nothing is written after it. Flushes, and tells what was held back to be told later.
  virtual Status Finish() { return Flush(); }
  virtual SinkStats stats() const = 0;
  // Where it goes, for people: "kafka topic smoke_alerts", "console".
  virtual std::string description() const = 0;
};

}  // namespace millrace
