// A job in one process: coordinator and worker actors together, no network between them. Makes
// sources and sinks, wires the actors' channels, and waits for the end. `millrace run` is this.
#pragma once

#include <caf/all.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/coordinator_actor.h"
#include "engine/metrics/latency_histogram.h"
#include "engine/metrics/metrics.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "tools/millrace/connectors.h"
#include "worker/account.h"
#include "worker/actors.h"

namespace millrace {

struct EmbeddedJobOptions {
  ConnectorOptions connectors;
  int32_t parallelism = 1;  // tasks a window; readers a source at most
  std::optional<Micros> end_when_idle;
};

// What a run knows at its end (and, roughly, while it goes on).
struct RunFigures {
  LatencyHistogram latency;                    // fetched to delivered
  std::map<std::string, SinkStats> sinks;      // by publisher name
  int64_t checkpoints = 0;
  int64_t state_bytes = 0;
  int64_t keys = 0;
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
  struct SourceParts {
    NodeId node;
    std::unique_ptr<Source> source;
    Source::Partitions found;
    std::vector<ParticipantId> readers;
    std::map<TopicPartition, size_t> spread;
    std::vector<StartReading> starts;  // one a reader
    EventTime horizon = kEventTimeMin;
  };
  // An actor with its channels while they are wired.
  struct Wired {
    caf::actor actor;
    Connect connect;
  };

  Status OpenSources(const std::atomic<bool>* stopping);
  Status PlanStart(SourceParts* parts);
  Status PlanRestart(const CommittedPosition& committed, SourceParts* parts,
                     StartReading::Partition* start);
  Status OpenSinks(const std::atomic<bool>* stopping);
  Status Retry(const std::atomic<bool>* stopping, const std::string& what,
               const std::function<Status()>& attempt);
  Status SpawnActors();
  void WireChannels();
  void Link(size_t sender, size_t receiver, int32_t sink, NodeId node, TaskIndex task);
  size_t InputsOf(NodeId window) const;
  int32_t TasksOf(NodeId) const { return options_.parallelism; }

  // WorkerObserver
  void OnWarning(const std::string& who, const std::string& message) override;
  void OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) override;
  void OnSinkStats(const std::string& sink, const SinkStats& stats) override;
  void OnTaskStats(const std::string& task, const WindowAggregateStats& stats,
                   MonotonicTime busy) override;
  void OnLag(const std::string& reader, int64_t records) override;
  // JobObserver
  void OnCheckpoint(const CompletedCheckpoint& checkpoint) override;
  void OnCheckpointsBlocked(MonotonicTime since) override;
  void OnEnded(const Status& status) override;

  const JobSpec& job_;
  const JobPlan& plan_;
  EmbeddedJobOptions options_;
  const Clock* clock_;
  Metrics* metrics_;
  JobAccount account_;
  bool bounded_ = true;
  std::atomic<bool> running_{false};

  std::vector<SourceParts> sources_;
  std::vector<std::unique_ptr<SinkWriter>> sinks_;  // by sink index; moved to the publishers
  std::unique_ptr<DeadLetterWriter> dead_letters_;
  std::vector<std::string> descriptions_;

  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  // Index = participant.
  std::vector<Wired> wired_;
  std::map<NodeId, std::vector<size_t>> readers_of_;  // source node -> participants
  std::map<NodeId, std::vector<size_t>> tasks_of_;    // window node -> participants
  std::map<int32_t, size_t> publisher_of_;            // sink index -> participant
  caf::actor coordinator_;

  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  // Guarded by mutex_.
  bool ended_ = false;
  Status status_;
  RunFigures figures_;
  std::map<std::string, WindowAggregateStats> task_stats_;
  std::map<std::string, MonotonicTime> task_busy_;
  std::map<std::string, int64_t> lag_;
  MonotonicTime blocked_told_{0};

  // Of UpdateMetrics: what was added last time.
  std::map<std::string, double> exported_;
};

}  // namespace millrace
