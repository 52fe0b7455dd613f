// The coordinator of a cluster: knows its workers, leads its jobs. One thread decides, by
// ClusterState; what blocks has threads of its own. docs/cluster.md.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/cluster_log.h"
#include "coordinator/cluster_metrics.h"
#include "coordinator/cluster_state.h"
#include "coordinator/job_placements.h"
#include "coordinator/job_view.h"
#include "coordinator/led_attempt.h"
#include "engine/env/event_queue.h"
#include "engine/exchange/exchange_metrics.h"
#include "engine/metrics/loop_pulse.h"
#include "engine/metrics/metrics.h"

namespace millrace {

struct ClusterCoordinatorOptions {
  LinkOptions link;
  LedSurroundings surroundings;  // but for the exchange
  Metrics* metrics = nullptr;
  LoopPulse* pulse = nullptr;  // of the thread that decides
};

struct WorkerView {
  WorkerInfo info;
  MonotonicTime beat_ago{0};
  std::vector<std::string> jobs;  // that have something there
};

enum class ApplyAction { kCreated, kChanged, kUnchanged };

class ClusterCoordinator final : private ExchangeObserver, private ClusterHost {
 public:
  // `log` leads, and outlives it.
  static Result<std::unique_ptr<ClusterCoordinator>> Start(ClusterCoordinatorOptions options,
                                                           ClusterLog* log);
  // Attempts end where they stand.
  ~ClusterCoordinator() override;

  uint16_t port() const { return exchange_->network().port(); }
  // It no longer leads, or cannot write its log: the process must end.
  std::optional<Status> failure() const;

  int64_t term() const { return log_->term(); }

  // Any thread; they wait for the thread that decides. User errors: what ClusterState's are,
  // "too_many_jobs".
  Result<ApplyAction> Apply(const std::string& name, const std::string& file_name,
                            const std::string& file, bool dry_run);
  Status SetDesire(const std::string& name, proto::JobDesire desire);
  Status Rescale(const std::string& name, int32_t parallelism);
  Status Restore(const std::string& name, const proto::RestorePoint& point);
  Status Remove(const std::string& name);
  std::vector<JobView> Jobs();
  // "job_unknown" (user, names the nearest).
  Result<JobView> Job(const std::string& name);
  size_t JobCount();
  // Lines of a job's log, and rows on their way to its sinks (`sink`: of that one only), which are
  // shown for a while from the first request on. Empty where there is no such job.
  JobLog::Page LogOf(const std::string& name, int64_t after, size_t limit, bool warnings_only);
  std::vector<JobLog::Entry> LastLines(const std::string& name, size_t count);
  JobRows::Page RowsOf(const std::string& name, int64_t after, size_t limit,
                       const std::string& sink);
  // Begins a savepoint of a running job. User errors: "job_unknown", "job_not_running" (it has no
  // attempt that runs).
  Status BeginSavepoint(const std::string& name, const std::string& savepoint);
  // Savepoints that were begun here, by name.
  std::map<std::string, proto::SavepointStatus> SavepointsOf(const std::string& name);
  std::vector<WorkerView> Workers();

 private:
  // What one job's attempt tells, with the attempt it is of.
  class Observer;
  struct Led {
    std::unique_ptr<Observer> observer;
    std::unique_ptr<LedAttempt> attempt;
    bool prepared = false;
    std::jthread thread;  // prepares it
    int64_t checkpoints = 0;
    int64_t last_epoch = 0;
    std::optional<MonotonicTime> last_checkpoint;
    int64_t unpublished_epochs = 0;
    int64_t unpublished_bytes = 0;
    Blocked blocked = Blocked::kNo;
    MonotonicTime blocked_since{0};
    MonotonicTime blocked_told{0};
    std::vector<SourceProgress> sources;
    // By sink and by who told it: until when it is shown.
    std::map<std::string, std::pair<int64_t, MonotonicTime>> latencies;
    std::map<std::string, std::pair<std::string, MonotonicTime>> warnings;
  };
  // What stays of a job from attempt to attempt.
  struct Told {
    JobLog log{kLogLinesMax};
    JobRows rows{kRowsMax};
    MonotonicTime watched{0};  // when somebody last asked for rows
    std::map<std::string, proto::SavepointStatus> savepoints;
    std::vector<std::string> misfits;  // of its last attempt
  };
  static constexpr size_t kLogLinesMax = 2000;
  static constexpr size_t kRowsMax = 1000;
  static constexpr size_t kSavepointsTold = 100;
  static constexpr size_t kJobsMax = 1000;

  ClusterCoordinator(ClusterCoordinatorOptions options, ClusterLog* log);
  // Runs `what` on the thread that decides, and gives what it gives.
  template <typename What>
  auto Ask(const What& what) -> decltype(what()) {
    std::packaged_task<decltype(what())()> task(what);
    events_.Post([&task] { task(); });
    return task.get_future().get();
  }
  Status AskWhoLeads(const std::function<Status()>& wish);
  void Run(const std::stop_token& stop);
  MonotonicTime now() const { return options_.surroundings.clock->Monotonic(); }
  // Whether it leads, as the log has it; where another does, this process must end.
  bool StillLeads();
  void EndWith(const Status& status);
  void LoseSilentWorkers(MonotonicTime turn);
  void LoseSilent(const WorkerInfo& worker);
  void TakeControl(LinkSessionId session, const proto::ClusterMessage& message);
  void TakeBeat(LinkSessionId session, const proto::Beat& beat);
  const WorkerInfo* WorkerOf(LinkSessionId session) const;
  void Send(uint64_t session, proto::ClusterMessage message);
  void OnJobEnded(const std::string& job, int64_t serial, const Status& status);
  // Of the attempt that began with `serial`; null where it is over.
  Led* LedOf(const std::string& job, int64_t serial);
  void Tell(const std::string& job, bool is_warning, const std::string& where, std::string message);
  void TakeLines(const std::string& worker, const proto::Beat& beat);
  void TakeRows(const proto::WatchedRows& watched);
  void WatchJobs();
  void OnSavepoint(const std::string& job, const std::string& savepoint, const Status& status);
  JobView ViewOf(const std::string& name, const ClusterState::Job& job);
  void ViewAttempt(const Led& led, JobView* view);
  void Place(const std::string& job, LedAttempt* attempt);
  // Once, and again when they are others.
  void TellMisfits(const std::string& job, std::vector<std::string> misfits);

  // ExchangeObserver
  void OnPeerOpened(LinkSessionId session, const LinkPeer& peer) override;
  void OnPeerLost(LinkSessionId session, const LinkPeer& peer, const Status& why) override;
  void OnControl(LinkSessionId session, proto::ClusterMessage message) override;

  // ClusterHost
  void Prepare(const proto::JobRecord& job, const std::vector<WorkerInfo>& workers) override;
  void AbandonPreparation(const std::string& job) override;
  void Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) override;
  void Launch(const std::string& job, int64_t attempt) override;
  void RequestStop(const std::string& job, int64_t attempt) override;
  void EndLeading(const std::string& job) override;
  void EndOnWorker(const std::string& job, int64_t attempt, const WorkerInfo& worker) override;
  bool WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) override;
  void MayLeave(const WorkerInfo& worker) override;
  void Drop(const WorkerInfo& worker) override;
  Status Persist() override;
  void OnPhase(const std::string& job, JobPhase phase, const std::string& why) override;
  void OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) override;

  ClusterCoordinatorOptions options_;
  ClusterLog* const log_;

  EventQueue events_;
  mutable std::mutex mutex_;
  std::optional<Status> failure_;  // guarded by mutex_

  // Of the thread that decides.
  ClusterState state_;
  ClusterMetrics metrics_;
  ExchangeMetrics exchange_metrics_;
  MonotonicTime lead_checked_{0};
  int64_t serial_ = 0;  // of attempts that were begun here
  std::map<std::string, Led> led_;
  // Attempts that are being ended, on a thread each: the next one of the job waits for it.
  struct Ending {
    std::shared_future<void> done;
    std::jthread thread;
  };
  std::map<std::string, Ending> endings_;
  std::map<std::string, Told> told_;
  MonotonicTime watches_sent_{0};
  JobPlacements placements_;
  std::map<std::string, MonotonicTime> beats_;
  std::map<std::string, std::map<std::string, proto::AttemptLoad>> loads_;  // by job and worker

  std::unique_ptr<Exchange> exchange_;
  std::jthread thread_;
};

}  // namespace millrace
