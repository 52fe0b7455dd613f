// The actors of a job that run in this process, made and connected as the job's layout says: all of
// them with `millrace run`, a worker's share in a cluster. docs/architecture.md, "Actors".
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/checkpoint/register_decision.h"
#include "engine/connectors/source.h"
#include "engine/endpoints/job_sinks.h"
#include "engine/env/clock.h"
#include "engine/layout/job_layout.h"
#include "engine/lookups/lookup.h"
#include "engine/wire/actor_system.h"
#include "worker/account.h"
#include "worker/actors.h"
#include "worker/row_tap.h"
#include "worker/task_states.h"

namespace millrace {

// Nothing here is owned except what is moved out: the rest outlives the host.
struct HostedJob {
  const JobSpec* job = nullptr;
  const JobPlan* plan = nullptr;
  const JobLayout* layout = nullptr;
  const Clock* clock = nullptr;
  WorkerObserver* observer = nullptr;
  // Which actors run here; those of a shard together. Null: all.
  std::function<bool(Address)> is_here;
  // An account for one more participant.
  std::function<JobAccount*()> new_account;
  Lineage lineage;
  TaskStates* states = nullptr;  // with the storage, the checkpoint to go on from, and the attempt
  int32_t parallelism = 1;       // tasks of a keyed node
  std::map<NodeId, EventTime> watermarks;  // of sources, of the checkpoint
  std::map<NodeId, Source*> sources;       // of readers that run here
  JobSinks* sinks = nullptr;               // moved out, but for what makes more
  LookupTables lookups = {};               // those of the plan
  RowTap* tap = nullptr;                   // of rows on their way to sinks; null: none
  // Partitions of an unbounded source count as ended when they have been idle for so long.
  std::optional<Micros> end_when_idle;
};

class JobHost {
 public:
  explicit JobHost(HostedJob hosted) : hosted_(std::move(hosted)) {}
  // Ends every actor that it made and waits for them.
  ~JobHost();

  // Makes the actors: restores state, opens stores. Nothing runs yet.
  Status Spawn();
  // Null where it does not run here.
  caf::actor ActorAt(Address address) const;
  caf::actor_system& system() { return *system_; }
  // Gives every actor its channels: `resolve` gives the actor at an address that is not here, which
  // may stand for one in another process. Readers wait for StartReading.
  void Connect(const std::function<caf::actor(Address)>& resolve);

 private:
  bool IsHere(Address address) const { return !hosted_.is_here || hosted_.is_here(address); }
  Status SpawnActor(Address address);
  Status SpawnReaderAt(Address address);
  Status SpawnTaskAt(Address address);
  Status SpawnDirectAt(Address address);
  Status SpawnOutboxAt(Address address);
  Status SpawnSegmentPublisherAt(Address address);
  Status SpawnRollPublisherAt(Address address);
  FileSinkParts& FilePartsOf(int32_t sink);
  const proto::ShardState* RestoredShard(int32_t shard) const;
  OutboxOptions OutboxOf(const ActorPlan& actor);

  HostedJob hosted_;
  size_t tasks_here_ = 0;
  ActorSystem system_;  // ends after all that refers to its actors
  std::map<Address, caf::actor> actors_;
};

}  // namespace millrace
