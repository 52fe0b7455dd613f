// How often a line may be logged that others can cause: so many in a window of time, which begins
// with the first; the rest are counted. Pure; used under its owner's lock.
#pragma once

#include <cstdint>

#include "engine/base/time.h"

namespace millrace {

class LogLimit {
 public:
  LogLimit(int64_t lines_max, MonotonicTime window) : lines_max_(lines_max), window_(window) {}

  // Whether a line may be logged now; else it counts as left out.
  bool Take(MonotonicTime now);
  // How many lines were left out of a window that is over; told once.
  int64_t TakeLeftOut(MonotonicTime now);

 private:
  bool is_over(MonotonicTime now) const { return now - begun_ >= window_; }

  int64_t lines_max_;
  MonotonicTime window_;
  MonotonicTime begun_{0};
  int64_t lines_ = 0;
  int64_t left_out_ = 0;
};

}  // namespace millrace
