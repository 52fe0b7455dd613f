// A direct publisher: writes what reaches one sink at once, without waiting for a checkpoint: rows
// of the console, and alerts with `delivery: at_least_once`. Runs on a thread of its own (writing
// blocks); publisher_actor.cpp feeds it.
//
// It acknowledges an epoch once everything before its barrier has been taken by the target, so
// after a crash rows may repeat and none is lost.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/connectors/sink.h"
#include "engine/env/clock.h"
#include "engine/wire/frame.h"
#include "worker/frame_aligner.h"
#include "worker/row_tap.h"
#include "worker/task.h"

namespace millrace {

// What a publisher tells besides what a task does.
class PublisherHost : public TaskHost {
 public:
  // Rows that the target can never take; they become dead letters.
  virtual void Rejected(const std::vector<DeadLetter>& letters) {}
  // `rows` rows were delivered `after` they were fetched.
  virtual void Delivered(int64_t rows, MonotonicTime after) = 0;
  void GatherState(Epoch) override {}
};

class Publisher {
 public:
  // `tap` outlives it; null: nobody looks.
  Publisher(std::unique_ptr<SinkWriter> writer, size_t inputs, const Clock* clock,
            RowTap* tap = nullptr);

  void Push(size_t input, std::shared_ptr<const Frame> frame);
  // Returns whether there is more to do at once.
  Result<bool> Run(PublisherHost* host, int frames_max);
  // Delivers what was written: called when nothing waits, so that latency is the transport's.
  Status FlushWritten(PublisherHost* host);

  SinkStats stats() const { return writer_->stats(); }
  std::string description() const { return writer_->description(); }

 private:
  Status Take(const Frame& frame, PublisherHost* host);
  Status ReachBarrier(Epoch epoch, PublisherHost* host);
  Status Finish(PublisherHost* host);

  std::unique_ptr<SinkWriter> writer_;
  FrameAligner aligner_;
  const Clock* clock_;
  RowTap* const tap_;
  struct Written {
    int64_t rows = 0;
    MonotonicTime fetched{0};
  };
  std::vector<Written> written_;  // since the last flush
  bool done_ = false;
};

}  // namespace millrace
