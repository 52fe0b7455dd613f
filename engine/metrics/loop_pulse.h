// Whether a loop still turns: its thread beats at each turn, and liveness looks how long ago that
// was. docs/operations.md, "Liveness".
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "engine/env/clock.h"

namespace millrace {

class LoopPulse {
 public:
  // A turn may wait for a slow disk or have a large fleet to look at; none that is well takes so
  // long.
  static constexpr MonotonicTime kStillMax = std::chrono::seconds(30);

  // `what`: "the thread that decides". `clock` outlives it.
  LoopPulse(std::string what, const Clock* clock) : what_(std::move(what)), clock_(clock) {}

  // By the loop's thread: at each turn, and when it ends.
  void Beat() { beaten_ = clock_->Monotonic().count(); }
  void End() { beaten_ = 0; }

  // Why it counts as hanging; empty: it turns, has not begun, or has ended. Any thread.
  std::vector<std::string> Reasons() const {
    const MonotonicTime beaten(beaten_.load());
    const MonotonicTime still = clock_->Monotonic() - beaten;
    if (beaten == MonotonicTime(0) || still <= kStillMax) return {};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(still).count();
    return {what_ + " has stood still for " + std::to_string(seconds) + " s"};
  }

 private:
  const std::string what_;
  const Clock* const clock_;
  std::atomic<MonotonicTime::rep> beaten_{0};
};

}  // namespace millrace
