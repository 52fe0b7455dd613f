#include "coordinator/led_attempt.h"

#include <algorithm>

#include "coordinator/job_placements.h"
#include "engine/endpoints/job_sinks.h"
#include "engine/endpoints/plan_fingerprint.h"

namespace millrace {
namespace {

constexpr int kPartitionsTold = 4;

// "epoch 17 (sensors/0 at offset 120, sensors/1 at offset 98, and 6 more)".
std::string ResumePoint(const proto::Manifest* restored) {
  if (restored == nullptr) return "the start";
  std::string told;
  int count = 0;
  for (const proto::ReaderState& reader : restored->readers()) {
    for (const proto::PartitionPosition& partition : reader.partitions()) {
      if (++count > kPartitionsTold) continue;
      told += (told.empty() ? "" : ", ") + partition.topic() + "/" +
              std::to_string(partition.partition()) + " at offset " +
              std::to_string(partition.next_offset());
    }
  }
  if (count > kPartitionsTold) told += ", and " + std::to_string(count - kPartitionsTold) + " more";
  return "epoch " + std::to_string(restored->epoch()) + (told.empty() ? "" : " (" + told + ")");
}

}  // namespace

LedAttempt::LedAttempt(const LedSurroundings& surroundings, proto::JobRecord record,
                       std::vector<WorkerInfo> workers, bool keeps_parallelism,
                       JobObserver* observer)
    : surroundings_([&] {
        LedSurroundings own = surroundings;
        own.connectors.stopping = &giving_up_;
        return own;
      }()),
      record_(std::move(record)),
      workers_(std::move(workers)),
      keeps_parallelism_(keeps_parallelism),
      observer_(observer) {}

LedAttempt::~LedAttempt() {
  giving_up_ = true;
  if (leader_ != nullptr) surroundings_.exchange->Unregister({record_.name(), attempt()});
  leader_.reset();
  for (const auto& [address, proxy] : proxies_) caf::anon_send(proxy, Stop::value);
  proxies_.clear();
  system_.reset();
}

Status LedAttempt::Prepare() {
  std::string warnings;
  ARROW_ASSIGN_OR_RAISE(
      job_, CheckJobText(record_.file_name(), record_.file(), SystemSecrets(), &warnings));
  ARROW_ASSIGN_OR_RAISE(const Leftovers leftovers,
                        ListLeftovers(job_->spec, job_->plan, surroundings_.connectors));
  JobClaimOptions claim;
  claim.folder = surroundings_.storage;
  if (!record_.restore().savepoint().empty()) claim.savepoint = record_.restore().savepoint();
  if (record_.restore().epoch() > 0) claim.from = Epoch(record_.restore().epoch());
  // A coordinator that was stopped may have it, and wake up; the cluster's log says who leads.
  claim.lease = Micros(0);
  ARROW_ASSIGN_OR_RAISE(claim_, ClaimJob(job_->spec, job_->plan, surroundings_.connectors,
                                         std::move(claim), surroundings_.clock, giving_up_));
  if (claim_->finished()) return Status::OK();
  // Once here, so that workers do not make the same topics at the same time.
  ARROW_RETURN_NOT_OK(AttemptWithBackoff(*surroundings_.clock, giving_up_, "opening sinks", [&] {
    return OpenJobSinks(job_->spec, job_->plan, surroundings_.connectors, leftovers,
                        surroundings_.clock)
        .status();
  }));
  if (keeps_parallelism_ && claim_->restored() != nullptr) {
    for (const proto::TaskState& task : claim_->restored()->tasks()) {
      kept_ = std::max(kept_, task.parallelism());
    }
  }
  const int32_t readers_max =
      ParallelismOf(wanted(), /*partitions=*/0, CapacitiesOf(workers_), kept_);
  ARROW_ASSIGN_OR_RAISE(sources_,
                        OpenSources(job_->spec, job_->plan, surroundings_.connectors, readers_max,
                                    claim_->restored(), surroundings_.clock, giving_up_));
  for (const OpenedSource& source : sources_) {
    partitions_ = std::max(partitions_, int32_t(source.spread.size()));
  }
  return Status::OK();
}

void LedAttempt::Place(SlotWorkers slots) {
  slots_ = std::move(slots);
  LayoutRequest request;
  for (const OpenedSource& source : sources_) {
    request.readers[source.node] = int32_t(source.starts.size());
  }
  request.parallelism = int32_t(slots_.size());
  layout_ = LayOut(job_->spec, job_->plan, request);
  placed_ = PlaceActors(layout_, slots_);
  MakeDeployment();
}

std::vector<std::string> LedAttempt::Misfits() const {
  std::vector<std::string> misfits;
  for (const OpenedSource& source : sources_) {
    if (!source.misfit.empty()) misfits.push_back(source.misfit);
  }
  return misfits;
}

int32_t LedAttempt::wanted() const {
  if (record_.parallelism() > 0) return record_.parallelism();
  return job_->spec.parallelism.value_or(0);
}

PreparedAttempt LedAttempt::Prepared() const {
  PreparedAttempt prepared;
  prepared.attempt = claim_->term();
  prepared.finished = claim_->finished();
  for (const WorkerInfo& worker : workers_) {
    if (std::ranges::find(placed_, worker.name) != placed_.end()) {
      prepared.workers.push_back(worker);
    }
  }
  prepared.restart = job_->spec.restart;
  prepared.from = ResumePoint(claim_->restored());
  return prepared;
}

void LedAttempt::MakeDeployment() {
  const RecoveryPlan& recovery = claim_->plan();
  proto::Deploy& deploy = deployment_;
  deploy.set_job(record_.name());
  deploy.set_attempt(claim_->term());
  deploy.set_file_name(record_.file_name());
  deploy.set_file(record_.file());
  deploy.set_plan_fingerprint(PlanFingerprint(job_->plan));
  deploy.set_parallelism(int32_t(slots_.size()));
  for (const OpenedSource& source : sources_) {
    proto::SourceDeployment& of = *deploy.add_sources();
    of.set_node(job_->plan.node(source.node).name);
    of.set_readers(int32_t(source.starts.size()));
    of.set_watermark(source.watermark.time_since_epoch().count());
  }
  std::map<std::string, int32_t> indexes;
  for (const WorkerInfo& worker : Prepared().workers) {
    indexes[worker.name] = deploy.workers_size();
    proto::PeerWorker& peer = *deploy.add_workers();
    peer.set_name(worker.name);
    peer.set_exchange_address(worker.exchange_address);
    peer.set_incarnation(worker.incarnation);
  }
  for (const std::string& worker : placed_) deploy.add_worker_of(indexes.at(worker));
  deploy.set_generation(recovery.generation);
  deploy.mutable_ancestors()->Assign(recovery.ancestors.begin(), recovery.ancestors.end());
  deploy.set_accept_foreign(recovery.accept_foreign);
  if (claim_->restored() != nullptr) *deploy.mutable_restored() = *claim_->restored();
}

void LedAttempt::TakeTheLead() {
  if (leader_ != nullptr) return;
  system_ = std::make_unique<ActorSystem>();
  const AttemptId id{record_.name(), attempt()};
  std::map<std::string, LinkSessionId> sessions;
  for (const WorkerInfo& worker : workers_) sessions[worker.name] = LinkSessionId(worker.session);
  const auto proxy = [&](Address address) {
    proxies_[address] = surroundings_.exchange->MakeProxy(
        **system_, sessions.at(placed_[size_t(address.value())]), id, address);
    return proxies_[address];
  };
  leader_ = std::make_unique<JobLeader>(
      LedJob{&job_->spec, &layout_, claim_.get(), surroundings_.clock, observer_, &sources_},
      **system_, proxy);
  surroundings_.exchange->Register(id, {{kCoordinatorAddress, leader_->coordinator()}});
  ActorSystem::LeaveThread();
}

void LedAttempt::Launch() { leader_->Launch(); }

void LedAttempt::RequestSavepoint(const std::string& name) { leader_->RequestSavepoint(name); }

void LedAttempt::RequestStop() {
  if (leader_ != nullptr) leader_->RequestStop();
}

}  // namespace millrace
