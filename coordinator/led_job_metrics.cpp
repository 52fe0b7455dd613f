#include "coordinator/led_job_metrics.h"

#include <string_view>
#include <vector>

namespace millrace {
namespace {

double Seconds(MonotonicTime time) { return std::chrono::duration<double>(time).count(); }

// Numbers of phases have no gap, and the first that is none has no name.
std::vector<std::string_view> PhaseNames() {
  const std::string_view none = JobPhaseName(JobPhase(-1));
  std::vector<std::string_view> names;
  for (int phase = 0; JobPhaseName(JobPhase(phase)) != none; ++phase) {
    names.push_back(JobPhaseName(JobPhase(phase)));
  }
  return names;
}

}  // namespace

LedJobMetrics::LedJobMetrics(JobMetricFamilies families) : families_(std::move(families)) {
  families_.Checkpoints("completed");
  families_.Checkpoints("abandoned");
  families_.CheckpointDelaySeconds().Set(0);
}

LedJobMetrics::~LedJobMetrics() { families_.CheckpointDelaySeconds().Set(0); }

void LedJobMetrics::OnCheckpoint(const CompletedCheckpoint& checkpoint, EventTime wall) {
  families_.CheckpointDurationSeconds().Observe(Seconds(checkpoint.completed - checkpoint.opened));
  families_.Checkpoints("completed").Increment();
  families_.LastCheckpointTimestampSeconds().Set(double(wall.time_since_epoch().count()) * 1e-6);
  families_.CheckpointSizeBytes().Set(double(checkpoint.bytes));
  families_.CheckpointDelaySeconds().Set(0);
}

void LedJobMetrics::OnAbandoned() {
  families_.Checkpoints("abandoned").Increment();
  families_.CheckpointDelaySeconds().Set(0);
}

void LedJobMetrics::OnUnpublished(int64_t epochs, int64_t bytes) {
  families_.UnpublishedEpochs().Set(double(epochs));
  families_.UnpublishedBytes().Set(double(bytes));
}

void LedJobMetrics::OnDelayed(MonotonicTime by) {
  families_.CheckpointDelaySeconds().Set(Seconds(by));
}

void ShowJobState(const JobMetricFamilies& families, JobPhase phase) {
  static const std::vector<std::string_view> names = PhaseNames();
  const std::string_view current = JobPhaseName(phase);
  for (const std::string_view name : names) families.JobState(name).Set(name == current ? 1 : 0);
}

}  // namespace millrace
