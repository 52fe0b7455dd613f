// Where readings come from: the interface of a reader's input, implemented by connectors/kafka and
// connectors/files. One SourceReader serves some partitions of one source; it is used by one
// reader (one thread at a time).
#pragma once

#include <arrow/record_batch.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/rows.h"

namespace millrace {

// The original bytes of a batch's records; views stay valid as long as it lives.
class OriginalRecords {
 public:
  virtual ~OriginalRecords() = default;
  // Value of the record that decoded row `row` came from; of a record that holds several readings
  // its part that is this one. For files whose rows are not separate records (CSV, Parquet): the
  // row written again in its format.
  virtual std::string_view ValueOfRow(int64_t row) const = 0;
  virtual std::string_view KeyOfRow(int64_t row) const = 0;
  // What keeping them takes, approximately; 0 where nobody asks.
  virtual int64_t bytes() const { return 0; }
};

// A record that could not be decoded.
struct RejectedRecord {
  int64_t offset = 0;
  std::string reason;  // "malformed", "type_mismatch", "missing_event_time", "too_large", ...
  std::string message;
  std::string value;  // original bytes
  std::string key;
  int32_t index = -1;  // of the reading in a record that holds several; -1: all of the record
};

struct SourceBatch {
  TopicPartition partition;
  Rows rows;                               // columns of SourceNode::used_columns; origins set
  std::vector<int64_t> record_timestamps;  // microseconds, one a row; INT64_MIN: none
  std::vector<RejectedRecord> rejected;
  std::shared_ptr<const OriginalRecords> originals;
  int64_t next_offset = 0;    // position after this batch
  int64_t bytes = 0;          // of the records' values
  int64_t empty_records = 0;  // that held no reading: an empty array, no line
  // The last record read, decoded or not: with its hash (of timestamp and value) it is known again
  // after a restart, see Source::VerifyRecord. -1: the batch only moves the position.
  int64_t last_record_offset = -1;
  uint64_t last_record_hash = 0;
};

// Something other than records.
struct SourceEvent {
  enum class Kind {
    kPartitionAdded,  // a new partition; read from `offset`
    kEndConfirmed,    // the broker answered that the position is the end, just now
    kInterrupted,     // the partition is failing (broker away, leader lost)
    kPartitionEnded,  // bounded input: nothing follows
    kDataLost,        // records between `offset` and `until` are gone (on_data_loss: continue)
    kWarning,         // told in the log, once
  };
  Kind kind = Kind::kWarning;
  TopicPartition partition;
  int64_t offset = 0;
  int64_t until = 0;
  std::string message;
};

struct Polled {
  std::vector<SourceBatch> batches;
  std::vector<SourceEvent> events;
  // More is at hand: poll again at once. Otherwise wait for the wake-up.
  bool more = false;
};

// Where reading begins, a partition.
struct StartPosition {
  TopicPartition partition;
  std::optional<int64_t> offset;  // unset: as the source's start_from says
};

// A committed position with what goes with it (opaque to the connector).
struct CommittedPosition {
  TopicPartition partition;
  int64_t offset = 0;
  std::string metadata;
};

class SourceReader {
 public:
  virtual ~SourceReader() = default;

  // Begins to read. Called once, before Poll.
  virtual Status Start(const std::vector<StartPosition>& positions) = 0;

  // Begins to read a partition that was announced by kPartitionAdded. After Start, on its thread.
  virtual Status AddPartition(const StartPosition& position) {
    return InternalError("no_new_partitions", position.partition.topic + " gains no partitions");
  }

  // At most about `rows_max` rows, without blocking on a network. A failed status ends the job
  // (data loss with on_data_loss: fail, a topic deleted); passing trouble is an event.
  virtual Result<Polled> Poll(int64_t rows_max) = 0;

  // `wake_up` is called from any thread, possibly often, when Poll may have something again after
  // it said `more == false`. Set before Start.
  virtual void SetWakeUp(std::function<void()> wake_up) = 0;

  // Stores positions under the job's name for the next start; asynchronous, the latest wins.
  // Sources that keep none (files) do nothing.
  virtual Status Commit(const std::vector<CommittedPosition>& positions) = 0;

  // Records behind the end, over all partitions; -1 where not known.
  virtual int64_t LagRecords() const = 0;

  // Stops reading; waits at most 2 s for commits under way.
  virtual void Stop() = 0;
};

// Made once a source: finds partitions and committed positions, and makes the readers.
class Source {
 public:
  virtual ~Source() = default;
  struct Partitions {
    std::vector<TopicPartition> partitions;
    std::vector<CommittedPosition> committed;
  };
  // Blocks until the source answers or `timeout` passes: "broker_unreachable" (retry) or
  // "topic_missing" (user), "path_missing", ...
  virtual Result<Partitions> Discover(Micros timeout) = 0;
  // Readers share the client where that is cheaper; at most one reader per partition.
  virtual Result<std::unique_ptr<SourceReader>> MakeReader() = 0;
  // Whether the record at `offset` is the one that had `hash` (SourceBatch::last_record_hash):
  // false means that the topic was deleted and made again, also where `offset` is at its end or
  // beyond. True where the record is gone (retention, compaction), because nothing speaks against
  // it then. Blocks; "broker_unreachable" (retry).
  virtual Result<bool> VerifyRecord(const TopicPartition& partition, int64_t offset, uint64_t hash,
                                    Micros timeout) {
    return true;
  }
  // Ends by itself.
  virtual bool bounded() const = 0;
};

}  // namespace millrace
