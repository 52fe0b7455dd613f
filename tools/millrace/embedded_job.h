// A job in one process: coordinator and worker actors together, no network between them. Makes
// sources and sinks, wires the actors' channels, and waits for the end. `millrace run` is this.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/coordinator_actor.h"
#include "coordinator/job_claim.h"
#include "coordinator/led_job_metrics.h"
#include "engine/endpoints/connectors.h"
#include "engine/endpoints/job_lookups.h"
#include "engine/endpoints/job_sinks.h"
#include "engine/endpoints/job_sources.h"
#include "engine/metrics/metrics.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "tools/millrace/job_actors.h"
#include "worker/account.h"
#include "worker/actors.h"
#include "worker/job_metrics.h"
#include "worker/run_figures.h"
#include "worker/worker_report.h"

namespace millrace {

struct EmbeddedJobOptions {
  ConnectorOptions connectors;
  std::string state_dir;  // holds a folder for each job
  bool new_generation = false;
  std::optional<std::string> savepoint;
  std::optional<Epoch> from;
  int32_t parallelism = 1;  // tasks a window; readers a source at most
  std::optional<Micros> end_when_idle;
};

class EmbeddedJob final : private JobObserver {
 public:
  // `job`, `plan`, `clock` and `metrics` outlive it.
  EmbeddedJob(const JobSpec& job, const JobPlan& plan, EmbeddedJobOptions options,
              const Clock* clock, Metrics* metrics);
  ~EmbeddedJob() override;

  // Claims the job's state, finds sources, opens sinks, starts the actors. Waits for a broker that
  // is not there (with backoff, telling so) until `stopping` is set.
  Status Start(const std::atomic<bool>* stopping);
  // After Start: the checkpoint says that the job ended with every window closed; nothing runs.
  bool already_finished() const { return already_finished_; }

  // Sees whether another process wants a savepoint; called now and then.
  void PollRequests();
  // An orderly end: one more checkpoint, open windows are left for the next start.
  void RequestStop();
  // Whether the job has ended within `timeout`.
  bool WaitFor(std::chrono::milliseconds timeout);
  // After the end: OK, or what failed.
  Status status() const;

  bool running() const { return running_; }
  // Every source ends by itself.
  bool bounded() const { return bounded_; }
  // The job's account since its generation began: what was restored and what was done since.
  std::unique_ptr<JobAccount> account() const;
  RunFigures figures() const;
  // Brings the metrics up to date; called now and then, by one thread.
  void UpdateMetrics();
  // "sink.0: kafka topic smoke_alerts", for people.
  std::vector<std::string> Describe() const;

 private:
  Status OpenState(const std::atomic<bool>* stopping);
  Status OpenSinks(const std::atomic<bool>* stopping);
  JobAccount* NewAccount();

  // JobObserver
  void OnCheckpoint(const CompletedCheckpoint& checkpoint) override;
  void OnSavepoint(const std::string& name, const Status& status) override;
  void OnAbandoned(Epoch epoch, const std::string& why) override;
  void OnUnpublished(int64_t epochs, int64_t bytes) override;
  void OnCheckpointsBlocked(Blocked why, MonotonicTime since) override;
  void OnEnded(const Status& status) override;

  const JobSpec& job_;
  const JobPlan& plan_;
  EmbeddedJobOptions options_;
  const Clock* clock_;
  Metrics* const metrics_;
  const JobMetricFamilies families_;
  JobMetrics job_metrics_;  // of UpdateMetrics's thread
  LedJobMetrics led_metrics_;
  WorkerReport report_;
  std::deque<JobAccount> accounts_;  // the restored one, then one a participant; fixed by Start
  bool bounded_ = true;
  bool already_finished_ = false;
  std::atomic<bool> running_{false};

  std::unique_ptr<JobClaim> claim_;
  std::unique_ptr<JobLookups> lookups_;  // ends after the actors
  std::vector<OpenedSource> sources_;
  Leftovers leftovers_;
  std::unique_ptr<JobSinks> sinks_;
  std::unique_ptr<JobActors> actors_;

  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  // Guarded by mutex_.
  bool ended_ = false;
  Status status_;
  int64_t checkpoints_ = 0;
  MonotonicTime blocked_told_{0};
};

}  // namespace millrace
