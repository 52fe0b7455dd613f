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
#include "coordinator/cluster_state.h"
#include "coordinator/led_attempt.h"
#include "engine/env/event_queue.h"
#include "engine/metrics/metrics.h"

namespace millrace {

struct ClusterCoordinatorOptions {
  LinkOptions link;
  LedSurroundings surroundings;  // but for the exchange
  Metrics* metrics = nullptr;
};

// A job as people see it.
struct JobView {
  proto::JobRecord record;
  JobPhase phase = JobPhase::kWaiting;
  std::string why;
  int64_t attempt = 0;
  int64_t restarts = 0;
  std::string last_failure;
  std::vector<std::string> workers;  // of the attempt
  std::vector<std::string> slots;    // each slot's worker, while an attempt lives
  MonotonicTime in_phase{0};
  int64_t checkpoints = 0;  // of the attempt
  int64_t last_epoch = 0;
  int64_t lag_records = -1;  // -1: not known
  int64_t state_bytes = 0;
};

struct WorkerView {
  WorkerInfo info;
  MonotonicTime beat_ago{0};
};

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

  // Any thread; they wait for the thread that decides.
  Status Apply(const std::string& name, const std::string& file_name, const std::string& file);
  Status SetDesire(const std::string& name, proto::JobDesire desire);
  Status Rescale(const std::string& name, int32_t parallelism);
  Status Remove(const std::string& name);
  std::vector<JobView> Jobs();
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
  };

  ClusterCoordinator(ClusterCoordinatorOptions options, ClusterLog* log);
  // Runs `what` on the thread that decides, and waits for it.
  void Ask(const std::function<void()>& what);
  void Run(const std::stop_token& stop);
  MonotonicTime now() const { return options_.surroundings.clock->Monotonic(); }
  void LoseSilentWorkers();
  void TakeControl(LinkSessionId session, const proto::ClusterMessage& message);
  void TakeBeat(LinkSessionId session, const proto::Beat& beat);
  const WorkerInfo* WorkerOf(LinkSessionId session) const;
  void Send(uint64_t session, proto::ClusterMessage message);
  void OnJobEnded(const std::string& job, int64_t serial, const Status& status);
  void UpdateMetrics();

  // ExchangeObserver
  void OnPeerOpened(LinkSessionId session, const LinkPeer& peer) override;
  void OnPeerLost(LinkSessionId session, const LinkPeer& peer, const Status& why) override;
  void OnControl(LinkSessionId session, proto::ClusterMessage message) override;

  // ClusterHost
  void Prepare(const proto::JobRecord& job, const std::vector<WorkerInfo>& workers) override;
  void Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) override;
  void Launch(const std::string& job, int64_t attempt) override;
  void RequestStop(const std::string& job, int64_t attempt) override;
  void EndLeading(const std::string& job) override;
  void EndOnWorker(const std::string& job, int64_t attempt, const WorkerInfo& worker) override;
  bool WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) override;
  void MayLeave(const WorkerInfo& worker) override;
  void Drop(const WorkerInfo& worker) override;
  void Persist() override;
  void OnPhase(const std::string& job, JobPhase phase, const std::string& why) override;

  ClusterCoordinatorOptions options_;
  ClusterLog* const log_;

  EventQueue events_;
  mutable std::mutex mutex_;
  std::optional<Status> failure_;  // guarded by mutex_

  // Of the thread that decides.
  ClusterState state_;
  int64_t serial_ = 0;  // of attempts that were begun here
  std::map<std::string, Led> led_;
  std::map<std::string, SlotWorkers> slots_;  // of each job's last attempt
  std::map<std::string, MonotonicTime> beats_;
  std::map<std::string, std::map<std::string, proto::AttemptLoad>> loads_;  // by job and worker

  std::unique_ptr<Exchange> exchange_;
  std::jthread thread_;
};

}  // namespace millrace
