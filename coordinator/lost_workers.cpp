#include "coordinator/lost_workers.h"

#include <algorithm>

namespace millrace {

void LostWorkers::Look(const std::map<std::string, WorkerInfo>& workers, MonotonicTime now) {
  std::erase_if(there_, [&](const auto& entry) {
    if (workers.contains(entry.first)) return false;
    if (!entry.second.let_go) lost_[entry.first] = now;
    return true;
  });
  for (const auto& [name, worker] : workers) {
    There& there = there_[name];
    if (there.session != worker.session) there = {worker.session};
    lost_.erase(name);
  }
  ForgetSome(now);
}

void LostWorkers::OnMayLeave(const WorkerInfo& worker) {
  there_[worker.name] = {worker.session, /*let_go=*/true};
}

void LostWorkers::ForgetSome(MonotonicTime now) {
  std::erase_if(lost_, [&](const auto& entry) { return now - entry.second > kRemembered; });
  while (lost_.size() > kNamesMax) {
    lost_.erase(
        std::ranges::min_element(lost_, {}, [](const auto& entry) { return entry.second; }));
  }
}

}  // namespace millrace
