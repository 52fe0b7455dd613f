// What a coordinator that leads shows of its cluster: its term, its workers, and of each job the
// state and the restarts (a job's checkpoints: LedJobMetrics). docs/metrics.md.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "coordinator/cluster_state.h"
#include "coordinator/lost_workers.h"
#include "engine/metrics/metrics.h"

namespace millrace {

// Of the thread that decides.
class ClusterMetrics {
 public:
  // `metrics` outlives it.
  explicit ClusterMetrics(Metrics* metrics) : metrics_(metrics) {}

  // The job has entered a phase.
  void OnPhase(const ClusterState::Job& job);
  void OnMayLeave(const WorkerInfo& worker) { lost_.OnMayLeave(worker); }
  // To be called often: looks a few times a second. A job that is not there any more goes with all
  // that was shown of it, so no attempt of it may live.
  void Update(const ClusterState& state, int64_t term, MonotonicTime now);

 private:
  struct Shown {
    int64_t restarts = 0;
    std::optional<JobPhase> phase;
  };
  Shown& ShownOf(const std::string& job);
  void UpdateJobs(const std::map<std::string, ClusterState::Job>& jobs);
  void UpdateWorkers(const std::map<std::string, WorkerInfo>& workers, MonotonicTime now);

  Metrics* const metrics_;
  std::optional<MonotonicTime> updated_;
  std::map<std::string, Shown> shown_;  // by job
  LostWorkers lost_;
};

}  // namespace millrace
