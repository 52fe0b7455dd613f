// A job in one process: those who work and the one who leads them, with no network between them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job_claim.h"
#include "coordinator/job_leader.h"
#include "worker/job_host.h"

namespace millrace {

// Nothing here is owned except what is moved out: the rest outlives the actors.
struct JobParts {
  const JobSpec* job = nullptr;
  const JobPlan* plan = nullptr;
  const Clock* clock = nullptr;
  WorkerObserver* worker_observer = nullptr;
  JobObserver* job_observer = nullptr;
  int32_t parallelism = 1;  // tasks of a keyed node
  std::optional<Micros> end_when_idle;
  // An account for one more participant.
  std::function<JobAccount*()> new_account;
  JobClaim* claim = nullptr;
  int64_t state_memory_bytes = int64_t(1) << 30;
  std::vector<OpenedSource>* sources = nullptr;  // starts are moved out
  JobSinks* sinks = nullptr;                     // moved out, but for what makes more
  LookupTables lookups = {};                     // those of the plan
};

class JobActors {
 public:
  explicit JobActors(const JobParts& parts);
  // Ends every actor and waits for them.
  ~JobActors();

  // Everything runs when it returns OK.
  Status Start();
  // Asks for an orderly end.
  void RequestStop();
  // Asks for a savepoint; told by JobObserver::OnSavepoint.
  void RequestSavepoint(const std::string& name);

 private:
  const JobParts parts_;
  JobLayout layout_;
  std::unique_ptr<TaskStates> states_;
  std::unique_ptr<JobHost> host_;      // ends before what its actors use
  std::unique_ptr<JobLeader> leader_;  // its actors are the host's system's
};

}  // namespace millrace
