// Logs which connections were refused: of each reason (engine/link/link_refusals.h) ten lines in
// ten seconds, and after those how many more there were. A stranger that connects again and again
// can neither fill the log nor hide what else is refused.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/metrics/log_limit.h"

namespace millrace {

// Any thread.
class RefusalLog {
 public:
  static constexpr int64_t kLinesMax = 10;
  static constexpr MonotonicTime kWindow = std::chrono::seconds(10);

  void OnRefused(const std::string& address, const Status& why, MonotonicTime now);
  // To be called now and then: says how many were left out, when their window is over.
  void TellLeftOut(MonotonicTime now);

 private:
  std::mutex mutex_;
  std::map<std::string_view, LogLimit> limits_;  // by reason; guarded by mutex_
};

}  // namespace millrace
