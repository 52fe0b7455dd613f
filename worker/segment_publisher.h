// Publishes a shard's released segments to Kafka: carries out what the pure ShardPublisher says,
// and reads segments from the storage. Blocking; no actor: segment_publisher_actor.cpp runs it on a
// thread of its own. docs/exactly-once.md, "Publishing to Kafka".
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/checkpoint/shard_publisher.h"
#include "engine/env/clock.h"
#include "engine/outbox/publisher_output.h"
#include "engine/outbox/segment.h"

namespace millrace {

class SegmentPublisherHost {
 public:
  virtual ~SegmentPublisherHost() = default;
  virtual void AskPermission() = 0;
  virtual void Published(Epoch epoch, int64_t next_row) = 0;
  virtual void Warn(const std::string& message) = 0;
};

class SegmentPublisher {
 public:
  // `storage`, `output` and `clock` outlive it.
  SegmentPublisher(Lineage lineage, ShardKnowledge known, CheckpointStorage* storage,
                   PublisherOutput* output, const Clock* clock);

  void OnReleased(const ReleasedSegments& released) { publisher_.OnReleased(released); }
  void OnPermitted() { publisher_.OnPermitted(); }

  // Carries out one action. Returns whether to call again at once; otherwise `wait` says until when
  // at most nothing is to be done without a message.
  Result<bool> Step(SegmentPublisherHost* host);
  MonotonicTime wait_until() const { return wait_until_; }

  // A transaction holds at most this much, or what is produced in this time.
  static constexpr int64_t kTransactionBytesMax = 16 << 20;
  static constexpr MonotonicTime kTransactionTimeMax = std::chrono::seconds(2);

 private:
  struct Progress {
    TransactionResult result;
    int64_t next_row = 0;
  };
  Result<Progress> PublishChunk(const PublisherAction& action);
  Status OpenReader(const proto::Segment& segment, int64_t first_row);
  Result<Progress> Produce(const PublisherAction& action);

  const Lineage lineage_;
  ShardPublisher publisher_;
  CheckpointStorage* storage_;
  PublisherOutput* output_;
  const Clock* clock_;
  MonotonicTime wait_until_{0};
  // Where reading stands: the next transaction of a segment goes on where the last one ended.
  std::unique_ptr<RecordSegmentReader> reader_;
  std::string reader_path_;
  int64_t reader_row_ = 0;
};

}  // namespace millrace
