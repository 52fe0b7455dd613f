// What a thread has cost.
#pragma once

#include <time.h>

#include "engine/base/time.h"

namespace millrace {

// Time on a core that the calling thread has had since it began: waiting, and what others did
// meanwhile, do not count.
inline MonotonicTime ThreadCpuTime() {
  timespec used = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace millrace
