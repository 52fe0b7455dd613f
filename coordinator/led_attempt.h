// One start of a job of a cluster, on the side that leads it: its state is claimed and its sources
// are found (Prepare), its slots are given to workers (Place), these are told what they have of it
// (deployment), and its readers begin (Launch). docs/cluster.md.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "coordinator/job_claim.h"
#include "coordinator/job_leader.h"
#include "coordinator/placement.h"
#include "engine/endpoints/connectors.h"
#include "engine/exchange/exchange.h"
#include "engine/plan/checked_job.h"
#include "engine/wire/actor_system.h"

namespace millrace {

// What the attempts of a coordinator share. All that is pointed to outlives them.
struct LedSurroundings {
  Exchange* exchange = nullptr;
  const Clock* clock = nullptr;
  ConnectorOptions connectors;
  std::string storage;  // folder of the cluster's jobs
};

class LedAttempt {
 public:
  // `keeps_parallelism`: has as many slots as the checkpoint that it goes on from, at least, unless
  // people say how many. `observer` outlives it.
  LedAttempt(const LedSurroundings& surroundings, proto::JobRecord record,
             std::vector<WorkerInfo> workers, bool keeps_parallelism, JobObserver* observer);
  // What leads it ends at once.
  ~LedAttempt();

  // Blocks on the storage and on clients, until `giving_up` is set.
  Status Prepare();
  void GiveUp() { giving_up_ = true; }

  // The job had ended: there is nothing to place.
  bool finished() const { return claim_->finished(); }
  // Each slot's worker, once it is prepared: one of `workers`.
  void Place(SlotWorkers slots);
  PreparedAttempt Prepared() const;
  // What each of its workers is told.
  const proto::Deploy& deployment() const { return deployment_; }
  const SlotWorkers& slots() const { return slots_; }
  const std::vector<WorkerInfo>& workers() const { return workers_; }
  // Of its largest source.
  int32_t partitions() const { return partitions_; }
  int32_t wanted() const;
  // Slots that it keeps, once it is prepared; 0: none.
  int32_t kept() const { return kept_; }
  int64_t attempt() const { return claim_->term(); }
  // OpenedSource::misfit of its sources, once it is prepared.
  std::vector<std::string> Misfits() const;
  // Before the first worker is told: its actors ask for permissions as soon as they are there.
  void TakeTheLead();
  // All workers have made their share.
  void Launch();
  void RequestStop();
  // Once it is launched; told by JobObserver::OnSavepoint.
  void RequestSavepoint(const std::string& name);
  // Once it is prepared.
  const CheckedJob& job() const { return *job_; }

 private:
  void MakeDeployment();

  const LedSurroundings surroundings_;
  const proto::JobRecord record_;
  const std::vector<WorkerInfo> workers_;
  const bool keeps_parallelism_;
  JobObserver* const observer_;
  std::atomic<bool> giving_up_{false};

  std::unique_ptr<CheckedJob> job_;
  std::unique_ptr<JobClaim> claim_;
  std::vector<OpenedSource> sources_;
  int32_t partitions_ = 0;
  int32_t kept_ = 0;
  SlotWorkers slots_;
  JobLayout layout_;
  std::vector<std::string> placed_;
  proto::Deploy deployment_;
  std::unique_ptr<ActorSystem> system_;
  std::map<Address, caf::actor> proxies_;
  std::unique_ptr<JobLeader> leader_;
};

}  // namespace millrace
