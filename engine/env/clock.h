// Where time comes from. Handed to whatever needs it, so that a test can hold and move time; pure
// parts (plan, event_time, checkpoint) take time as an argument instead.
#pragma once

#include <atomic>

#include "engine/base/time.h"

namespace millrace {

// All methods may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual EventTime Wall() const = 0;
  virtual MonotonicTime Monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  EventTime Wall() const override {
    return std::chrono::time_point_cast<Micros>(std::chrono::system_clock::now());
  }
  MonotonicTime Monotonic() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
};

// Stands still until it is moved.
class ManualClock final : public Clock {
 public:
  EventTime Wall() const override { return EventTime(Micros(wall_.load())); }
  MonotonicTime Monotonic() const override { return MonotonicTime(monotonic_.load()); }

  void SetWall(EventTime time) { wall_ = time.time_since_epoch().count(); }
  // Moves both.
  void Advance(Micros by) {
    wall_ += by.count();
    monotonic_ += std::chrono::nanoseconds(by).count();
  }

 private:
  std::atomic<int64_t> wall_{0};
  std::atomic<int64_t> monotonic_{0};
};

}  // namespace millrace
