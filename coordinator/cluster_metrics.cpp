#include "coordinator/cluster_metrics.h"

#include <algorithm>

#include "coordinator/led_job_metrics.h"

namespace millrace {
namespace {

constexpr auto kUpdateEvery = std::chrono::milliseconds(100);

}  // namespace

// Counters are there from the start, with zero, so that their first event is seen as a rise.
ClusterMetrics::Shown& ClusterMetrics::ShownOf(const std::string& job) {
  const auto [shown, is_new] = shown_.try_emplace(job);
  if (is_new) {
    const JobMetricFamilies families(metrics_, job);
    for (const RestartCause cause : kRestartCauses) families.JobRestarts(RestartCauseName(cause));
  }
  return shown->second;
}

void ClusterMetrics::OnPhase(const ClusterState::Job& job) {
  const std::string& name = job.record.name();
  Shown& shown = ShownOf(name);
  if (job.restarts > shown.restarts) {
    JobMetricFamilies(metrics_, name)
        .JobRestarts(RestartCauseName(job.cause))
        .Increment(double(job.restarts - shown.restarts));
  }
  shown.restarts = job.restarts;
}

void ClusterMetrics::Update(const ClusterState& state, int64_t term, MonotonicTime now) {
  if (updated_.has_value() && now - *updated_ < kUpdateEvery) return;
  updated_ = now;
  metrics_->CoordinatorTerm().Set(double(term));
  UpdateWorkers(state.workers(), now);
  UpdateJobs(state.jobs());
}

void ClusterMetrics::UpdateWorkers(const std::map<std::string, WorkerInfo>& workers,
                                   MonotonicTime now) {
  lost_.Look(workers, now);
  const auto leaving =
      std::ranges::count_if(workers, [](const auto& entry) { return entry.second.leaving; });
  metrics_->Workers("active").Set(double(int64_t(workers.size()) - leaving));
  metrics_->Workers("leaving").Set(double(leaving));
  metrics_->Workers("lost").Set(double(lost_.count()));
}

void ClusterMetrics::UpdateJobs(const std::map<std::string, ClusterState::Job>& jobs) {
  std::erase_if(shown_, [&](const auto& entry) {
    if (jobs.contains(entry.first)) return false;
    JobMetricFamilies(metrics_, entry.first).Remove();
    return true;
  });
  for (const auto& [name, job] : jobs) {
    Shown& shown = ShownOf(name);
    if (shown.phase == job.phase) continue;
    shown.phase = job.phase;
    ShowJobState(JobMetricFamilies(metrics_, name), job.phase);
  }
}

}  // namespace millrace
