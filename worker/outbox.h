// The outbox of a sink shard: rows on their way to Kafka topics and files, kept in segments until
// their epoch is complete. At a barrier the segments are closed and acknowledged; nothing is
// published here. No actor: outbox_actor.cpp feeds it, on a thread of its own (it writes files).
// docs/exactly-once.md, "The outbox".
//
// Rows are encoded when they arrive, so a row that its target can never take becomes a dead letter
// of the same epoch. A file sink's segments are gathered over epochs; at the barrier at which they
// are old or large enough they are rolled: they become final files once that epoch is complete.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/files/roll_writer.h"
#include "engine/env/clock.h"
#include "engine/outbox/record_encoder.h"
#include "engine/outbox/segment.h"
#include "engine/wire/messages.h"
#include "worker/account.h"
#include "worker/frame_aligner.h"
#include "worker/row_tap.h"
#include "worker/task.h"

namespace millrace {

// A file sink while its rows are gathered.
struct OutboxFileSink {
  std::string id;  // stable: proto::FileSinkState::sink
  std::shared_ptr<arrow::Schema> schema;
  RollWriter* checker = nullptr;  // says which rows can never be written; null: all can
  int64_t roll_bytes = 64 << 20;
  MonotonicTime roll_interval = std::chrono::minutes(1);
  int64_t restored_bytes = 0;  // in segments that were restored
};

struct OutboxOptions {
  int32_t shard = 0;
  std::string file_prefix;  // of its segments: unique to this process and shard
  int64_t next_row = 0;     // of the row sequence
  size_t inputs = 1;
  std::map<int32_t, std::unique_ptr<RecordEncoder>> records;  // by sink index: Kafka sinks
  std::map<int32_t, OutboxFileSink> files;                    // by sink index
  // Dead letters: one of them, or neither where another shard has them.
  std::unique_ptr<DeadLetterEncoder> letter_records;
  std::optional<OutboxFileSink> letter_files;
  RowTap* tap = nullptr;  // outlives the outbox; null: nobody looks
};

class OutboxHost : public TaskHost {
 public:
  // The rows of an epoch, for latency and counts, just before the acknowledgement.
  virtual void Sealed(SealedRows rows) = 0;
  virtual void Rejected(const std::string& sink, const std::vector<DeadLetter>& letters) = 0;
  // Another `kGrowthTold` bytes stand in segments that are not sealed.
  virtual void Grew(int64_t unsealed_bytes) = 0;
  void GatherState(Epoch) override {}
};

class Outbox {
 public:
  // `storage`, `clock` and `account` outlive it.
  Outbox(OutboxOptions options, CheckpointStorage* storage, const Clock* clock,
         JobAccount* account);

  void Push(size_t input, std::shared_ptr<const Frame> frame);
  // Returns whether there is more to do at once.
  Result<bool> Run(OutboxHost* host, int frames_max);

  int64_t non_finite_values() const;

  static constexpr int64_t kGrowthTold = 16 << 20;

 private:
  struct FileState {
    OutboxFileSink sink;
    std::unique_ptr<RowSegmentWriter> writer;
    int64_t gathered_bytes = 0;  // in segments not rolled yet
    std::optional<MonotonicTime> gathered_since;
  };

  Status Take(const Frame& frame, OutboxHost* host);
  Status TakeRows(const DataFrame& data, OutboxHost* host);
  Status TakeLetters(const std::vector<DeadLetter>& letters);
  Status AppendRecord(const OutboxRecord& record);
  Status AppendToFile(FileState* file, const Rows& rows, std::vector<DeadLetter>* refused);
  Status AppendBatch(FileState* file, const arrow::RecordBatch& batch);
  Status ReachBarrier(Epoch epoch, OutboxHost* host);
  Status SealRecords(Epoch epoch, proto::ShardState* state);
  Status SealFile(FileState* file, Epoch epoch, proto::ShardState* state);
  int64_t unsealed_bytes() const;
  std::string NextName(const char* ending);

  OutboxOptions options_;
  CheckpointStorage* storage_;
  const Clock* clock_;
  JobAccount* account_;
  FrameAligner aligner_;
  std::unique_ptr<RecordSegmentWriter> records_;
  std::map<int32_t, FileState> files_;
  std::optional<FileState> letter_file_;
  int64_t next_row_;
  int64_t next_file_ = 0;
  int64_t told_bytes_ = 0;
  SealedRows sealed_rows_;
  bool done_ = false;
};

}  // namespace millrace
