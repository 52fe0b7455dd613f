// A publisher: writes what reaches one sink (or the dead letters), and says when an epoch is safe
// there. Runs on a thread of its own (writing blocks); publisher_actor.h feeds it.
//
// An epoch is safe once everything before its barrier is acknowledged by the target or stands in a
// complete file. A file sink keeps files open over epochs and acknowledges when it rolls them: at a
// barrier, or in between (RollIfDue), because no barrier comes once too many epochs are pending.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/checkpoint/aligner.h"
#include "engine/connectors/sink.h"
#include "engine/env/clock.h"
#include "engine/wire/frame.h"
#include "worker/task.h"

namespace millrace {

// What a publisher tells besides what a task does.
class PublisherHost : public TaskHost {
 public:
  // Everything up to `epoch` is safe.
  virtual void EpochIsSafe(Epoch epoch) = 0;
  // Rows that the target can never take; they become dead letters.
  virtual void Rejected(const std::vector<DeadLetter>& letters) {}
  // `rows` rows were delivered `after` they were fetched.
  virtual void Delivered(int64_t rows, MonotonicTime after) = 0;
};

class Publisher {
 public:
  // Exactly one of the writers is there. `roll_interval`: how long an unfinished file may hold an
  // epoch back.
  Publisher(std::unique_ptr<SinkWriter> writer, std::unique_ptr<DeadLetterWriter> dead_letters,
            size_t inputs, Micros roll_interval, const Clock* clock);

  Status Open();
  void Push(size_t input, std::shared_ptr<const Frame> frame);
  // Returns whether there is more to do at once.
  Result<bool> Run(PublisherHost* host, int frames_max);
  // Delivers what was written: called when nothing waits, so that latency is the transport's.
  Status FlushWritten(PublisherHost* host);

  // Completes files that have held an epoch back for the roll interval. Called now and then.
  Status RollIfDue(PublisherHost* host);

  SinkStats stats() const;
  std::string description() const;

 private:
  using Item = std::shared_ptr<const Frame>;
  Status Take(const Frame& frame, PublisherHost* host);
  Status ReachBarrier(Epoch epoch, PublisherHost* host);
  Status Finish(PublisherHost* host);
  bool unfinished() const;
  bool roll_is_due() const;

  std::unique_ptr<SinkWriter> writer_;
  std::unique_ptr<DeadLetterWriter> dead_letters_;
  BarrierAligner<Item> aligner_;
  MonotonicTime roll_interval_;
  const Clock* clock_;
  struct Written {
    int64_t rows = 0;
    MonotonicTime fetched{0};
  };
  std::vector<Written> written_;     // since the last flush
  std::optional<Epoch> held_epoch_;  // passed, but not safe yet
  std::optional<MonotonicTime> unfinished_since_;
  bool done_ = false;
};

}  // namespace millrace
