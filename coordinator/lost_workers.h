// Workers that were lost: they were there, ended without having been let go, and have not come
// back. Each is remembered for an hour, since one that was taken away for good must not be missed
// for ever; and of more than 1,000 the oldest are forgotten first. No clock: time is handed in.
#pragma once

#include <map>
#include <string>

#include "coordinator/cluster_state.h"

namespace millrace {

class LostWorkers {
 public:
  static constexpr MonotonicTime kRemembered = std::chrono::hours(1);
  static constexpr size_t kNamesMax = 1'000;

  // Who is there now, by name: compared with the look before.
  void Look(const std::map<std::string, WorkerInfo>& workers, MonotonicTime now);
  // It has handed over what it had: its end will be no loss.
  void OnMayLeave(const WorkerInfo& worker);

  // At the last look.
  int64_t count() const { return int64_t(lost_.size()); }

 private:
  struct There {
    uint64_t session = 0;
    bool let_go = false;
  };
  void ForgetSome(MonotonicTime now);

  std::map<std::string, There> there_;
  std::map<std::string, MonotonicTime> lost_;  // when it was missed
};

}  // namespace millrace
