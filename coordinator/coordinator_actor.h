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
  virtual void OnPendingEpochs(size_t epochs) = 0;
  virtual void OnCheckpointsBlocked(MonotonicTime since) = 0;
  virtual void OnEnded(const Status& status) = 0;
};

// `readers`: the actor of every reader among the participants. Begins when it receives Tick, ends
// at Stop; StopJob asks for an orderly end. `clock` and `observer` outlive it.
caf::actor SpawnCoordinator(caf::actor_system& system, CoordinatorPlan plan,
                            std::map<ParticipantId, caf::actor> readers, const Clock* clock,
                            JobObserver* observer);

using StopJob = caf::atom_constant<caf::atom("stopjob")>;

}  // namespace millrace
