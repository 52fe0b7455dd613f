// Publisher side of a sink shard: what to do next so that every released row is in the topics
// exactly once. Pure: the caller carries actions out and tells how they ended.
// docs/exactly-once.md, "Publishing to Kafka".
//
//   unsettled --permission--> initialising --> reading the register --> settled <--> publishing
//       ^------------------- fate unknown, fenced, trouble -----------------------------|
//
// Invariants: a producer is made only with the coordinator's permission for the current term (a
// process that was stopped and woken must not fence its successor); after it is made the register
// is read before anything is published; rows go in order, and each transaction carries the register
// of its last row; nothing is published that was not released.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "engine/checkpoint/outbox_ledger.h"
#include "engine/checkpoint/register_decision.h"

namespace millrace {

struct PublisherAction {
  enum class Kind {
    kNone,           // wait for a message, or until `not_before`
    kAskPermission,  // once; then wait for it
    kInitialise,     // a new producer, which fences every other
    kReadRegister,
    kPublish,  // a transaction of rows of `segment` from `first_row` on, at most as much as fits
    kTell,     // everything up to `epoch` and below `first_row` is published
  };
  Kind kind = Kind::kNone;
  proto::Segment segment;
  int64_t first_row = 0;
  Epoch epoch;
  MonotonicTime not_before{0};
};

class ShardPublisher {
 public:
  ShardPublisher(Lineage lineage, ShardKnowledge known);

  // ---- facts ----
  void OnReleased(const ReleasedSegments& released);
  void OnPermitted();
  void OnInitialised(const Status& status, MonotonicTime now);
  // `found`: none where the shard has no register. A failed status with Retry::kYes is tried again.
  Status OnRegister(const Result<std::optional<proto::Register>>& found, MonotonicTime now);
  // A transaction ended. `next_row`: the row after its last.
  enum class Outcome { kCommitted, kAborted, kUnknown, kFenced };
  void OnTransaction(Outcome outcome, int64_t next_row, MonotonicTime now);

  // What to do next. Calling it again without a fact in between gives the same, except that asking
  // and telling happen once.
  PublisherAction Next(MonotonicTime now);

  // What the transaction that ends before `next_row` must carry.
  proto::Register RegisterFor(int64_t next_row) const;
  Epoch published() const { return told_epoch_; }
  int64_t next_row() const { return next_row_; }
  bool settled() const { return state_ == State::kSettled; }

  static constexpr MonotonicTime kBackoffMin = std::chrono::milliseconds(100);
  static constexpr MonotonicTime kBackoffMax = std::chrono::seconds(5);

 private:
  enum class State { kUnsettled, kAsked, kPermitted, kInitialised, kSettled };
  void Unsettle();
  void BackOff(MonotonicTime now);
  void DropPublished();
  // The newest epoch of which nothing is left, given that rows below next_row_ are published.
  Epoch PublishedEpoch() const;

  Lineage lineage_;
  ShardKnowledge known_;
  State state_ = State::kUnsettled;
  std::deque<proto::Segment> segments_;  // released and not published, oldest first
  Epoch released_;
  int64_t next_row_ = 0;
  Epoch told_epoch_;
  int64_t told_row_ = -1;
  MonotonicTime backoff_{0};
  MonotonicTime not_before_{0};
};

}  // namespace millrace
