#include "tests/simulation/fleet/fleet_attempt.h"

#include <algorithm>

#include "coordinator/checkpoint_committer.h"

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Between two checkpoints.
constexpr auto kInterval = seconds(2);

}  // namespace

int32_t FleetParallelism(int32_t wanted, int32_t kept, const std::vector<WorkerInfo>& workers) {
  int32_t offered = 0;
  for (const WorkerInfo& worker : workers) offered += worker.slots;
  return std::clamp(wanted > 0 ? wanted : std::max(offered, kept), 1, kPartitions);
}

FleetSlots PlaceFleetSlots(int32_t wanted, int32_t kept, const std::vector<WorkerInfo>& workers) {
  FleetSlots slots(size_t(FleetParallelism(wanted, kept, workers)));
  std::vector<std::string> names;
  for (const WorkerInfo& worker : workers) names.push_back(worker.name);
  std::ranges::sort(names);
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = names[i % names.size()];
  return slots;
}

FleetAttempt::FleetAttempt(FleetSurroundings* fleet, NetworkNode* process, FleetAttemptHost* host,
                           int64_t serial, proto::JobRecord record, std::vector<WorkerInfo> workers,
                           bool keeps_parallelism, MonotonicTime patience)
    : fleet_(fleet),
      process_(process),
      host_(host),
      serial_(serial),
      record_(std::move(record)),
      workers_(std::move(workers)),
      keeps_parallelism_(keeps_parallelism),
      patience_(patience),
      owner_("attempt " + std::to_string(serial)) {}

FleetAttempt::~FleetAttempt() {
  if (attempt_ > 0) job()->OnGivenUp(attempt_);
  if (lease_ != nullptr && lease_->holder == process_->incarnation() && lease_->owner == owner_) {
    lease_->holder.clear();
  }
}

int32_t FleetAttempt::wanted() const {
  if (record_.parallelism() > 0) return record_.parallelism();
  return FleetJobFile::Read(record_.file()).parallelism;
}

// ---- preparing ----------------------------------------------------------------------------------

void FleetAttempt::Prepare(std::function<void(Status)> done) {
  prepared_ = std::move(done);
  const MonotonicTime takes = fleet_->world->Between(milliseconds(2), milliseconds(200));
  After(takes, [this] {
    SharedLease* const lease = fleet_->store->LeaseOf("job " + record_.name());
    taker_ = std::make_unique<LeaseTaker>(process_, lease, owner_, patience_,
                                          [this, lease](const Status& status) {
                                            if (!status.ok()) return prepared_(status);
                                            lease_ = lease;
                                            Claim();
                                          });
  });
}

void FleetAttempt::Claim() {
  claimer_ = std::make_unique<TermClaimer>(process_, &job()->log, "the job",
                                           [this](const Result<ClaimedTerm>& claimed) {
                                             if (!claimed.ok()) return prepared_(claimed.status());
                                             attempt_ = claimed->term;
                                             next_index_ = claimed->next_index;
                                             job()->OnClaimed(attempt_, process_->incarnation());
                                             ++fleet_->events->attempts;
                                             MakeDeployment(*claimed);
                                           });
}

// Waits for its brokers first.
void FleetAttempt::MakeDeployment(const ClaimedTerm& claimed) {
  if (giving_up_) {
    return prepared_(ExternalError("stopped", "the preparation is given up", Retry::kYes));
  }
  if (fleet_->world->broker_away) {
    return After(milliseconds(500), [this, claimed] { MakeDeployment(claimed); });
  }
  last_ = job()->Restored(claimed);
  epoch_ = last_.epoch;
  kept_ = keeps_parallelism_ ? last_.slots : 0;
  slots_ = PlaceFleetSlots(wanted(), kept_, workers_);
  FleetDeployment deployment;
  deployment.job = record_.name();
  deployment.attempt = attempt_;
  deployment.slots = slots_;
  deployment.restored = last_;
  for (const WorkerInfo& worker : workers_) {
    if (std::ranges::find(slots_, worker.name) == slots_.end()) continue;
    deployment.workers.push_back({worker.name, worker.incarnation});
  }
  deployment_ = std::make_shared<const FleetDeployment>(std::move(deployment));
  // Workers may come and go before it is heard.
  After(fleet_->world->Between(milliseconds(0), milliseconds(200)),
        [this] { prepared_(Status::OK()); });
}

PreparedAttempt FleetAttempt::Prepared() const {
  PreparedAttempt prepared;
  prepared.attempt = attempt_;
  prepared.finished = last_.finished;
  prepared.restart.attempts = FleetJobFile::Read(record_.file()).attempts;
  prepared.from = "epoch " + std::to_string(last_.epoch);
  for (const WorkerInfo& worker : workers_) {
    if (std::ranges::find(slots_, worker.name) != slots_.end()) prepared.workers.push_back(worker);
  }
  return prepared;
}

// ---- running ------------------------------------------------------------------------------------

void FleetAttempt::ToWorkers(const std::function<void(FleetWorker*)>& what) {
  for (const WorkerInfo& worker : Prepared().workers) {
    NetworkNode* const peer = fleet_->network->PeerOf(worker.session, process_);
    fleet_->network->Send(worker.session, process_,
                          [what, to = static_cast<FleetWorker*>(peer)] { what(to); });
  }
}

void FleetAttempt::Launch() {
  // Publishers ask for permission.
  if (!job()->Leads(attempt_)) return Finish(Superseded("publishing"));
  // What was complete before this attempt is published first.
  for (const FleetDeployment::Worker& worker : deployment_->workers)
    publishing_.insert(worker.name);
  ToWorkers([name = record_.name(), attempt = attempt_](FleetWorker* worker) {
    worker->StartReading(name, attempt);
  });
}

void FleetAttempt::RequestStop() {
  if (fleet_->world->bug == FleetBug::kLostStop && under_way_) return;
  stopping_ = true;
  if (publishing_.empty() && !under_way_) OpenEpoch();
}

void FleetAttempt::OpenEpoch() {
  if (ended_ || under_way_ || last_epoch_) return;
  const Positions& rows = last_.rows;
  const auto at_end = [this](int64_t row) { return row >= job()->Limit(); };
  under_way_ = true;
  last_epoch_ = stopping_ || std::ranges::all_of(rows, at_end);
  ++epoch_;
  acks_.clear();
  ToWorkers([name = record_.name(), attempt = attempt_, epoch = epoch_](FleetWorker* worker) {
    worker->Barrier(name, attempt, epoch);
  });
}

void FleetAttempt::TakeAck(const std::string& worker, const FleetAck& ack) {
  if (ended_ || ack.epoch != epoch_ || !under_way_) return;
  const std::string who = worker + " " + std::to_string(ack.share.attempt);
  acks_[who] = ack;
  const auto all = [this] {
    return std::ranges::all_of(deployment_->workers, [this](const auto& of) {
      return acks_.contains(of.name + " " + std::to_string(attempt_));
    });
  };
  if (!all()) return;
  After(fleet_->world->Between(milliseconds(1), milliseconds(100)), [this] { Commit(); });
}

void FleetAttempt::Commit() {
  if (ended_ || !under_way_) return;
  FleetManifest manifest;
  manifest.attempt = attempt_;
  manifest.epoch = epoch_;
  manifest.slots = int32_t(slots_.size());
  std::vector<FleetShare> shares;
  for (const auto& [who, ack] : acks_) {
    shares.push_back(ack.share);
    for (const auto& [group, rows] : ack.share.rows) manifest.rows[size_t(group)] = rows;
  }
  if (!Add(manifest, shares)) return;
  under_way_ = false;
  for (const FleetDeployment::Worker& worker : deployment_->workers)
    publishing_.insert(worker.name);
  ToWorkers([name = record_.name(), attempt = attempt_, epoch = epoch_, rows = last_.rows](
                FleetWorker* worker) { worker->Release(name, attempt, epoch, rows); });
  host_->OnCompleted(record_.name(), serial_);
}

bool FleetAttempt::Add(const FleetManifest& manifest, const std::vector<FleetShare>& shares) {
  if (job()->Commit(next_index_, manifest, shares) == AppendResult::kTaken) {
    Finish(Superseded("completing epoch " + std::to_string(manifest.epoch)));
    return false;
  }
  ++next_index_;
  ++fleet_->events->commits;
  last_ = manifest;
  return true;
}

// The last checkpoint knows that everything is published.
void FleetAttempt::Confirm() {
  FleetManifest manifest = last_;
  ++manifest.epoch;
  const auto at_end = [this](int64_t row) { return row >= job()->Limit(); };
  manifest.finished = std::ranges::all_of(manifest.rows, at_end);
  std::vector<FleetShare> shares;
  for (const auto& [who, ack] : acks_) shares.push_back(ack.share);
  if (Add(manifest, shares)) Finish(Status::OK());
}

void FleetAttempt::TakePublished(const std::string& worker, int64_t epoch) {
  if (ended_ || under_way_) return;
  const bool first = epoch == 0 && last_.attempt != attempt_;
  if (!first && epoch != epoch_) return;
  publishing_.erase(worker);
  if (!publishing_.empty()) return;
  if (last_epoch_) return Confirm();
  if (stopping_) return OpenEpoch();
  After(kInterval, [this] { OpenEpoch(); });
}

void FleetAttempt::TakeFailed(const Status& status) {
  Finish(job()->Leads(attempt_) ? status : Superseded("publishing"));
}

void FleetAttempt::Finish(const Status& status) {
  if (std::exchange(ended_, true)) return;
  // It may be what ends this attempt.
  After(milliseconds(1), [host = host_, name = record_.name(), serial = serial_, status] {
    host->OnDone(name, serial, status);
  });
}

}  // namespace millrace::simulation
