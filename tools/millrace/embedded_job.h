// A job in one process: coordinator and worker actors together, no network between them. Makes
// sources and sinks, wires the actors' channels, and waits for the end. `millrace run` is this.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/coordinator_actor.h"
#include "engine/metrics/metrics.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "tools/millrace/connectors.h"
#include "tools/millrace/job_actors.h"
#include "tools/millrace/job_metrics.h"
#include "tools/millrace/job_sources.h"
#include "tools/millrace/run_figures.h"
#include "worker/account.h"
#include "worker/actors.h"

namespace millrace {

struct EmbeddedJobOptions {
  ConnectorOptions connectors;
  int32_t parallelism = 1;  // tasks a window; readers a source at most
  std::optional<Micros> end_when_idle;
};

class EmbeddedJob final : private WorkerObserver, private JobObserver {
 public:
  // `job`, `plan`, `clock` and `metrics` outlive it.
  EmbeddedJob(const JobSpec& job, const JobPlan& plan, EmbeddedJobOptions options,
              const Clock* clock, Metrics* metrics);
  ~EmbeddedJob() override;

  // Finds sources, opens sinks, starts the actors. Waits for a broker that is not there (with
  // backoff, telling so) until `stopping` is set.
  Status Start(const std::atomic<bool>* stopping);

  // An orderly end: one more checkpoint, open windows are left for the next start.
  void RequestStop();
  // Whether the job has ended within `timeout`.
  bool WaitFor(std::chrono::milliseconds timeout);
  // After the end: OK, or what failed.
  Status status() const;

  bool running() const { return running_; }
  // Every source ends by itself.
  bool bounded() const { return bounded_; }
  const JobAccount& account() const { return account_; }
  RunFigures figures() const;
  // Copies counters into the metrics; called now and then, by one thread.
  void UpdateMetrics();
  // "sink.0: kafka topic smoke_alerts", for people.
  std::vector<std::string> Describe() const;

 private:
  Status OpenSinks(const std::atomic<bool>* stopping);

  // WorkerObserver
  void OnWarning(const std::string& who, const std::string& message) override;
  void OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) override;
  void OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) override;
  void OnSinkStats(const std::string& sink, const SinkStats& stats) override;
  void OnTaskStats(const std::string& task, const WindowAggregateStats& stats,
                   const TaskTimes& times) override;
  void OnAligned(const std::string& task, MonotonicTime took) override;
  void OnLag(const std::string& reader, int64_t records) override;
  // JobObserver
  void OnCheckpoint(const CompletedCheckpoint& checkpoint) override;
  void OnPendingEpochs(size_t epochs) override;
  void OnCheckpointsBlocked(MonotonicTime since) override;
  void OnEnded(const Status& status) override;

  const JobSpec& job_;
  const JobPlan& plan_;
  EmbeddedJobOptions options_;
  const Clock* clock_;
  Metrics* metrics_;
  JobMetrics job_metrics_;  // of UpdateMetrics's thread
  JobAccount account_;
  bool bounded_ = true;
  std::atomic<bool> running_{false};

  std::vector<OpenedSource> sources_;
  std::vector<std::unique_ptr<SinkWriter>> sinks_;  // by sink index; moved to the publishers
  std::unique_ptr<DeadLetterWriter> dead_letters_;
  std::vector<std::string> descriptions_;
  std::unique_ptr<JobActors> actors_;

  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  // Guarded by mutex_.
  bool ended_ = false;
  Status status_;
  RunFigures figures_;
  std::map<std::string, WindowAggregateStats> task_stats_;
  std::map<std::string, int64_t> lag_;
  MonotonicTime blocked_told_{0};
};

}  // namespace millrace
