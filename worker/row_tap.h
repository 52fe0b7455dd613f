// Shows rows on their way to sinks to whoever wants to look: nothing is kept, and a frame costs one
// load, while nobody does. Rows that come faster than they are taken are dropped and counted.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "engine/connectors/json/row_encoder.h"
#include "engine/env/clock.h"
#include "engine/model/rows.h"
#include "engine/plan/plan.h"

namespace millrace {

// Any thread.
class RowTap {
 public:
  struct Row {
    std::string sink;
    std::string json;
  };
  struct Taken {
    std::vector<Row> rows;
    int64_t dropped = 0;
  };

  // `clock` outlives it.
  RowTap(const JobPlan& plan, const Clock* clock);

  // From now on, for kOpenFor.
  void Open() { open_until_ = (clock_->Monotonic() + kOpenFor).count(); }
  // `sink`: its index in the job.
  void Offer(int32_t sink, const Rows& rows) {
    if (open_until_.load(std::memory_order_relaxed) != 0) Keep(sink, rows);
  }
  // What was kept since it was taken last.
  Taken Take();

  static constexpr MonotonicTime kOpenFor = std::chrono::seconds(5);
  static constexpr size_t kRowsMax = 200;
  static constexpr size_t kRowBytesMax = 16 << 10;

 private:
  struct Sink {
    std::string name;
    JsonRowEncoder encoder;
  };
  void Keep(int32_t sink, const Rows& rows);

  const Clock* const clock_;
  std::atomic<int64_t> open_until_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<int32_t, Sink> sinks_;
  Taken kept_;
};

}  // namespace millrace
