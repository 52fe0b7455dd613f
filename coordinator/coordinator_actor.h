// The coordinator's actor: delivers messages and time to a JobCoordinator and sends what it says.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <map>

#include "coordinator/job_coordinator.h"
#include "engine/env/clock.h"

namespace millrace {

// Called from the coordinator's thread.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  virtual void OnCheckpoint(const CompletedCheckpoint& checkpoint) = 0;
  virtual void OnAbandoned(Epoch epoch, const std::string& why) = 0;
  virtual void OnSavepoint(const std::string& name, const Status& status) = 0;
  virtual void OnUnpublished(int64_t epochs, int64_t bytes) = 0;
  virtual void OnCheckpointsBlocked(Blocked why, MonotonicTime since) = 0;
  // Each second.
  virtual void OnSources(const std::vector<SourceProgress>& sources) {}
  virtual void OnEnded(const Status& status) = 0;
};

// Whom the coordinator sends to.
struct CoordinatorPeers {
  std::map<ParticipantId, caf::actor> readers;
  std::map<int32_t, caf::actor> segment_publishers;   // by shard
  std::map<std::string, caf::actor> roll_publishers;  // by sink id
  caf::actor committer;
};

// Begins when it receives Tick, ends at Stop; StopJob asks for an orderly end. `clock` and
// `observer` outlive it.
caf::actor SpawnCoordinator(caf::actor_system& system, CoordinatorPlan plan, CoordinatorPeers peers,
                            const Clock* clock, JobObserver* observer);

// Commits manifests, on a thread of its own; answers the sender. `committer` outlives it.
class CheckpointCommitter;
caf::actor SpawnCommitter(caf::actor_system& system, CheckpointCommitter* committer);

// With the savepoint's name; told by JobObserver::OnSavepoint.
using RequestSavepoint = caf::atom_constant<caf::atom("savepoint")>;
using StopJob = caf::atom_constant<caf::atom("stopjob")>;

}  // namespace millrace
