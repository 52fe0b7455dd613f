// What the side that leads a job shows of it: its checkpoints, what waits to be published, and its
// state. In a cluster that is the coordinator, else `millrace run`. docs/metrics.md.
#pragma once

#include "coordinator/cluster_state.h"
#include "engine/checkpoint/checkpoint_coordinator.h"
#include "engine/metrics/job_metric_families.h"

namespace millrace {

// Any thread. One for each start of the job; with it ends what is said of its next checkpoint.
class LedJobMetrics {
 public:
  // Counters are there from now on, with zero, so that their first event is seen as a rise.
  explicit LedJobMetrics(JobMetricFamilies families);
  ~LedJobMetrics();
  LedJobMetrics(const LedJobMetrics&) = delete;
  LedJobMetrics& operator=(const LedJobMetrics&) = delete;

  // `wall`: now.
  void OnCheckpoint(const CompletedCheckpoint& checkpoint, EventTime wall);
  void OnAbandoned();
  void OnUnpublished(int64_t epochs, int64_t bytes);
  // The next checkpoint has been due for so long, and waits for the one before.
  void OnDelayed(MonotonicTime by);

 private:
  const JobMetricFamilies families_;
};

// 1 for this state, 0 for each of the others.
void ShowJobState(const JobMetricFamilies& families, JobPhase phase);

}  // namespace millrace
