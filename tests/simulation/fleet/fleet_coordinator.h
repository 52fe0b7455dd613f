// A coordinator of a simulated fleet: stands by, claims a term, and leads with the product's
// ClusterState, as coordinator/cluster_log and coordinator/cluster_coordinator do. What is wrong on
// purpose is in how it does what the state asks for.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "tests/simulation/fleet/fleet_attempt.h"

namespace millrace::simulation {

// Looks at every catalog that is written.
class CatalogWitness {
 public:
  virtual ~CatalogWitness() = default;
  virtual void OnCatalog(const proto::Catalog& catalog, const std::string& by) = 0;
};

class FleetCoordinator final : public NetworkNode, private ClusterHost, private FleetAttemptHost {
 public:
  // `impatience`: how much too fast the clock goes that it waits for others' leases by.
  FleetCoordinator(FleetSurroundings* fleet, CatalogWitness* witness, std::string name, int life,
                   double rate, double impatience);
  ~FleetCoordinator() override;

  bool leads() const { return state_ != nullptr; }
  // It is about to lead.
  bool claims() const { return claimer_ != nullptr && !leads(); }
  int64_t term() const { return term_; }
  // While it leads.
  const ClusterState& state() const { return *state_; }
  const FleetAttempt* AttemptOf(const std::string& job) const;
  // The next catalog cannot be written.
  void BreakStorage() { storage_broken_ = true; }
  void MendStorage() { storage_broken_ = false; }
  // Takes no lease any more that its holder still beats for.
  void BePatient() { patience_ = MonotonicTime(Lease::kTime); }

  // What people ask for, while it leads.
  Status Apply(const std::string& name, const std::string& file, int64_t wall_micros);
  Status SetDesire(const std::string& name, proto::JobDesire desire);
  Status Rescale(const std::string& name, int32_t parallelism);
  Status Remove(const std::string& name);

  // What workers tell, each in its session.
  void TakeBeat(uint64_t session, const std::vector<AttemptOnWorker>& attempts,
                const std::set<std::string>& peers);
  void TakeLeave(uint64_t session);
  void TakeDeployed(uint64_t session, const std::string& job, int64_t attempt, const Status& status,
                    const std::string& unreachable);
  void TakeAttemptEnded(uint64_t session, const std::string& job, int64_t attempt);
  void TakePeerLost(uint64_t session, const std::string& job, int64_t attempt,
                    const std::string& peer);
  // What an attempt's actors tell who leads it.
  void TakeAck(const std::string& job, int64_t attempt, const std::string& worker,
               const FleetAck& ack);
  void TakePublished(const std::string& job, int64_t attempt, const std::string& worker,
                     int64_t epoch);
  void TakeFailed(const std::string& job, int64_t attempt, const Status& status);

  // NetworkNode
  bool listening() const override;
  void OnOpened(uint64_t session, NetworkNode* peer) override;
  void OnLost(uint64_t session, const std::string& peer, const std::string& why) override;

 private:
  Status Ask(const std::function<Status()>& wish);
  void StandBy();
  void Claim();
  void Lead(const ClaimedTerm& claimed);
  void Turn();
  void LoseSilent(const WorkerInfo& worker);
  void LookWhoLeads();
  FleetAttempt* Find(const std::string& job, int64_t attempt);
  const WorkerInfo* WorkerOf(uint64_t session) const;
  FleetWorker* ProcessOf(const WorkerInfo& worker) const;
  void ToWorker(const WorkerInfo& worker, std::function<void(FleetWorker*)> what);
  void NoteOrder(const std::string& job, bool must_follow);
  void CheckTimes();
  void CheckEnded(const std::string& job);
  void CheckSlots(const std::string& job, const FleetAttempt& attempt, bool may_shrink,
                  bool must_follow) const;
  void NoteGivenUp(const std::string& job, const std::string& why);
  void CheckDeployed(const std::string& job, const FleetAttempt& attempt);

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

  // FleetAttemptHost
  void OnCompleted(const std::string& job, int64_t serial) override;
  void OnDone(const std::string& job, int64_t serial, const Status& status) override;

  FleetSurroundings* const fleet_;
  CatalogWitness* const witness_;
  MonotonicTime patience_;
  std::unique_ptr<LeaseTaker> taker_;
  std::unique_ptr<TermClaimer> claimer_;
  std::string catalog_read_early_;  // kForgottenCatalog: the path
  int64_t term_ = 0;
  int64_t next_index_ = 0;
  bool storage_broken_ = false;

  std::unique_ptr<ClusterState> state_;
  int64_t serial_ = 0;
  MonotonicTime looked_{0}, ticked_{0}, led_since_{0};
  std::map<std::string, std::unique_ptr<FleetAttempt>> led_;
  std::map<std::string, MonotonicTime> beats_;
  std::map<std::string, JobPhase> phases_;
  std::map<std::string, int64_t> stopped_as_asked_;  // by job: an attempt
  // By job: the workers of the attempt that ends.
  std::map<std::string, std::map<std::string, WorkerInfo>> ending_;
  // Orders, by job: the serial number of the last attempt before. They stand until one after them
  // has completed a checkpoint.
  std::map<std::string, int64_t> may_shrink_;   // to less than the slots of its checkpoint
  std::map<std::string, int64_t> must_follow_;  // what is offered
};

}  // namespace millrace::simulation
