// The side of a running job that leads it: its coordinator and committer as actors, given what was
// claimed, the layout, and where reading begins. Those who work may be in this process or in
// others.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/coordinator_actor.h"
#include "coordinator/job_claim.h"
#include "engine/endpoints/job_sources.h"
#include "engine/layout/job_layout.h"

namespace millrace {

// Nothing here is owned: it outlives the leader.
struct LedJob {
  const JobSpec* job = nullptr;
  const JobLayout* layout = nullptr;
  JobClaim* claim = nullptr;
  const Clock* clock = nullptr;
  JobObserver* observer = nullptr;
  std::vector<OpenedSource>* sources = nullptr;  // in the plan's order; starts are moved out
};

class JobLeader {
 public:
  // The actors are made in `system`, which outlives it. `resolve` gives the actor at an address.
  JobLeader(const LedJob& led, caf::actor_system& system,
            const std::function<caf::actor(Address)>& resolve);
  // Tells its actors to end.
  ~JobLeader();

  caf::actor coordinator() const { return coordinator_; }
  // Once every actor of the job has its channels: readers begin.
  void Launch();
  // Asks for an orderly end.
  void RequestStop();
  // Asks for a savepoint; told by JobObserver::OnSavepoint.
  void RequestSavepoint(const std::string& name);

 private:
  CoordinatorPlan PlanOf() const;

  const LedJob led_;
  std::map<Address, caf::actor> readers_;
  caf::actor committer_;
  caf::actor coordinator_;
};

}  // namespace millrace
