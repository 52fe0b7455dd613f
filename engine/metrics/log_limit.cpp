#include "engine/metrics/log_limit.h"

#include <utility>

namespace millrace {

bool LogLimit::Take(MonotonicTime now) {
  if (lines_ == 0 || is_over(now)) {
    begun_ = now;
    lines_ = 0;
  }
  if (lines_ >= lines_max_) {
    ++left_out_;
    return false;
  }
  ++lines_;
  return true;
}

int64_t LogLimit::TakeLeftOut(MonotonicTime now) {
  return is_over(now) ? std::exchange(left_out_, 0) : 0;
}

}  // namespace millrace
