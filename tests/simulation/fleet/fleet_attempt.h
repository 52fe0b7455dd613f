// An attempt of a job of a simulated fleet, on the side that leads it: what coordinator/led_attempt
// and the job's coordinator do, with rows and checkpoints by numbers. Lives in a coordinator's
// process; nothing of it happens once it is destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "tests/simulation/fleet/fleet_worker.h"

namespace millrace::simulation {

using FleetSlots = std::vector<std::string>;

// How many slots a job has, `wanted` and `kept` as JobDemand's.
int32_t FleetParallelism(int32_t wanted, int32_t kept, const std::vector<WorkerInfo>& workers);
// Each slot's worker.
FleetSlots PlaceFleetSlots(int32_t wanted, int32_t kept, const std::vector<WorkerInfo>& workers);

// Whoever leads attempts.
class FleetAttemptHost {
 public:
  virtual ~FleetAttemptHost() = default;
  virtual void OnCompleted(const std::string& job, int64_t serial) = 0;
  // OK: everything is safe.
  virtual void OnDone(const std::string& job, int64_t serial, const Status& status) = 0;
};

class FleetAttempt {
 public:
  // `keeps_parallelism`: as LedAttempt's. `patience`: for a lease that somebody else holds.
  FleetAttempt(FleetSurroundings* fleet, NetworkNode* process, FleetAttemptHost* host,
               int64_t serial, proto::JobRecord record, std::vector<WorkerInfo> workers,
               bool keeps_parallelism, MonotonicTime patience);
  // What leads it ends at once, and its lease is free.
  ~FleetAttempt();

  void Prepare(std::function<void(Status)> done);
  void GiveUp() { giving_up_ = true; }
  PreparedAttempt Prepared() const;
  int64_t serial() const { return serial_; }
  int64_t attempt() const { return attempt_; }
  const FleetSlots& slots() const { return slots_; }
  int32_t wanted() const;
  int32_t kept() const { return kept_; }
  // Of the checkpoint that it goes on from; 0: none.
  int32_t restored_slots() const { return deployment_->restored.slots; }
  const std::vector<WorkerInfo>& workers() const { return workers_; }
  const std::shared_ptr<const FleetDeployment>& deployment() const { return deployment_; }

  // All have made their share.
  void Launch();
  void RequestStop();
  void TakeAck(const std::string& worker, const FleetAck& ack);
  void TakePublished(const std::string& worker, int64_t epoch);
  void TakeFailed(const Status& status);

 private:
  void Claim();
  void MakeDeployment(const ClaimedTerm& claimed);
  void OpenEpoch();
  void Commit();
  // False: another attempt has followed.
  bool Add(const FleetManifest& manifest, const std::vector<FleetShare>& shares);
  void Confirm();
  void Finish(const Status& status);
  void ToWorkers(const std::function<void(FleetWorker*)>& what);
  FleetJob* job() { return fleet_->jobs->at(record_.name()).get(); }
  void After(MonotonicTime wait, std::function<void()> what) {
    process_->After(wait, lifetime_.Guard(std::move(what)));
  }

  FleetSurroundings* const fleet_;
  NetworkNode* const process_;
  FleetAttemptHost* const host_;
  const int64_t serial_;
  const proto::JobRecord record_;
  const std::vector<WorkerInfo> workers_;
  const bool keeps_parallelism_;
  const MonotonicTime patience_;
  const std::string owner_;
  std::function<void(Status)> prepared_;
  bool giving_up_ = false;
  SharedLease* lease_ = nullptr;
  std::unique_ptr<LeaseTaker> taker_;
  std::unique_ptr<TermClaimer> claimer_;

  int64_t attempt_ = 0;
  int64_t next_index_ = 0;
  FleetManifest last_;
  int32_t kept_ = 0;
  FleetSlots slots_;
  std::shared_ptr<const FleetDeployment> deployment_;

  int64_t epoch_ = 0;  // the last that was opened
  bool under_way_ = false;
  bool stopping_ = false;
  bool last_epoch_ = false;  // nothing is read behind it
  bool ended_ = false;
  std::map<std::string, FleetAck> acks_;
  std::set<std::string> publishing_;  // that have not said that it is done
  Lifetime lifetime_;
};

}  // namespace millrace::simulation
