// What the actors of a job in this process tell, gathered for metrics, logs and summaries.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/env/clock.h"
#include "engine/metrics/job_metric_families.h"
#include "worker/actors.h"
#include "worker/run_figures.h"

namespace millrace {

// Any thread.
class WorkerReport final : public WorkerObserver {
 public:
  // `clock` outlives it.
  WorkerReport(JobMetricFamilies families, const Clock* clock)
      : families_(std::move(families)), clock_(clock) {}

  // All but what is known of checkpoints.
  RunFigures figures() const;
  // What was told since it was asked last: warnings, the oldest first, and how long rows took to
  // their sinks at most, by sink.
  struct News {
    struct Warning {
      EventTime wall;
      std::string who;  // "readings.reader.0"
      std::string message;
    };
    std::vector<Warning> warnings;
    int64_t dropped_warnings = 0;  // beyond kWarningsMax
    std::map<std::string, MonotonicTime> latencies;
  };
  News TakeNews();
  static constexpr size_t kWarningsMax = 50;

  void OnWarning(const std::string& who, const std::string& message) override;
  void OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) override;
  void OnPublished(const std::string& sink, int64_t rows, int64_t bytes) override;
  void OnSinkStats(const std::string& sink, const SinkStats& stats) override;
  void OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) override;
  void OnTaskStats(const std::string& task, const KeyedOperatorStats& stats,
                   const TaskTimes& times) override;
  void OnKeys(const std::string& stream, const std::string& task, const KeyCensus& census) override;
  void OnAligned(const std::string& task, MonotonicTime took) override;
  void OnCheckpointStall(const std::string& task, MonotonicTime took) override;
  void OnLag(const std::string& reader, int64_t records) override;
  void OnCpuTime(const std::string& actor, MonotonicTime used) override;
  void OnStateStored(const std::string& task, const TaskState::Figures& figures) override;
  void OnNonFinite(const std::string& outbox, int64_t values) override;

 private:
  const JobMetricFamilies families_;
  const Clock* const clock_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  RunFigures figures_;
  std::map<std::string, KeyedOperatorStats> task_stats_;
  std::map<std::string, int64_t> lag_;
  std::map<std::string, MonotonicTime> keys_told_;  // by stream
  News news_;
};

}  // namespace millrace
