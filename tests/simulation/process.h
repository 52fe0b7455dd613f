// One process of a simulation: recovers, builds the product's cores as the checkpoint says, and
// runs them, until it ends by itself or is killed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/recovery.h"
#include "tests/simulation/participants.h"
#include "tests/simulation/publishing.h"
#include "tests/simulation/simulated_job.h"
#include "tests/simulation/simulated_kafka.h"

namespace millrace::simulation {

// What outlives processes.
struct Universe {
  explicit Universe(World* the_world) : world(the_world), log(the_world), kafka(the_world, &log) {}
  World* const world;
  Disk disk;
  LogState log;
  Kafka kafka;
  Readings readings;
};

// How a process is started.
struct Start {
  int readers = 2;
  int tasks = 2;
  int64_t credit_bytes = 1 << 20;
  int64_t state_bytes_max = INT64_MAX;
  size_t retain = 3;
  CheckpointLimits limits;
  MonotonicTime roll_interval{0};
  std::optional<std::string> savepoint;
};

class Process {
 public:
  Process(Universe* universe, int number, Start start);
  ~Process();

  // One step of one of its actors, if one is ready.
  bool Step();
  // When something is due by itself.
  std::optional<MonotonicTime> next() const;
  void RequestStop();
  // Nothing of it has any effect any more.
  void Kill();

  // How it ended by itself; none: it runs.
  const std::optional<Status>& ended() const { return ended_; }
  // It found that the job had ended before.
  bool found_finished() const { return found_finished_; }
  // The checkpoint that it goes on from, once that is known.
  bool running() const { return running_; }
  const Site& site() const { return site_; }
  const std::string& name() const { return name_; }

 private:
  class Starter;
  Status Begin();
  Result<Recovered> Recover();
  void MakeActors(const Recovered& recovered);
  CoordinatorPlan PlanOf(const Recovered& recovered) const;
  Status BeginReaders();
  Status BeginTasks();
  Result<std::shared_ptr<TaskParts>> MakeTask(int index);
  Status MakeStore(int index, TaskParts* parts, TaskStateOptions* options,
                   std::unique_ptr<TableStore>* store);
  Status GatherGroups(int index, TableStore* store);
  void BeginOutboxes();
  Status BeginPublishers();
  void ConnectAll();
  LeaderPeers Peers() const;
  const proto::ShardState& SavedShard(int32_t shard) const;
  std::string Prefix(const std::string& what, int index) const;
  int ids() const { return start_.readers + start_.tasks + kShards; }

  Universe* const universe_;
  Site site_;
  const Start start_;
  const std::string name_;
  const JobPlan plan_;
  std::unique_ptr<CheckpointStorage> storage_;
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<RollWriter> roll_writer_;
  RecoveryPlan recovered_;
  proto::Manifest restored_;  // empty at a fresh start
  EventTime watermark_ = kEventTimeMin;

  std::vector<std::unique_ptr<JobAccount>> accounts_;
  std::vector<std::unique_ptr<Actor>> actors_;
  Leader* leader_ = nullptr;
  CommitterActor* committer_ = nullptr;
  std::vector<ReaderActor*> readers_;
  std::vector<TaskActor*> tasks_;
  std::vector<StoreActor*> stores_;
  std::vector<OutboxActor*> outboxes_;
  std::vector<SegmentActor*> segments_;
  RollActor* rolls_ = nullptr;

  bool running_ = false;
  bool found_finished_ = false;
  std::optional<Status> ended_;
};

}  // namespace millrace::simulation
