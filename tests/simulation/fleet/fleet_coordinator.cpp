#include "tests/simulation/fleet/fleet_coordinator.h"

#include <algorithm>

#include "coordinator/checkpoint_committer.h"

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kTurn = milliseconds(100);
constexpr auto kBeatTimeout = milliseconds(2500);
// A worker that another one has lost, and that has not beaten twice.
constexpr auto kMissedBeats = milliseconds(1200);
constexpr auto kLookEvery = milliseconds(500);
constexpr auto kLeaseBeat = milliseconds(500);
constexpr auto kStandBy = milliseconds(100);
// Of leaders with a defect.
constexpr auto kDeafFor = seconds(40);
constexpr auto kLateTurn = seconds(15);

std::string PathIn(const std::vector<IndexedEntry>& entries) {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->entry.has_catalog()) return entry->entry.catalog().path();
  }
  return "";
}

}  // namespace

FleetCoordinator::FleetCoordinator(FleetSurroundings* fleet, CatalogWitness* witness,
                                   std::string name, int life, double rate, double impatience)
    : NetworkNode(fleet->world, std::move(name), life, rate),
      fleet_(fleet),
      witness_(witness),
      patience_(MonotonicTime(int64_t(double(MonotonicTime(Lease::kTime).count()) / impatience))) {
  fleet_->network->Attach(this);
  Trace("starts");
  StandBy();
  Every(kLeaseBeat, [this] { fleet_->store->Beat(incarnation()); });
}

FleetCoordinator::~FleetCoordinator() {
  fleet_->network->Detach(this);
  led_.clear();
  fleet_->store->Detach(incarnation());
}

// ---- who leads ----------------------------------------------------------------------------------

void FleetCoordinator::StandBy() {
  SharedLease* const lease = fleet_->store->LeaseOf("cluster");
  taker_ =
      std::make_unique<LeaseTaker>(this, lease, "cluster", patience_, [this](const Status& status) {
        if (status.ok()) return Claim();
        After(kStandBy, [this] { StandBy(); });
      });
}

void FleetCoordinator::Claim() {
  SharedLog* const log = &fleet_->store->cluster_log;
  catalog_read_early_ = PathIn(log->entries());
  claimer_ = std::make_unique<TermClaimer>(this, log, "the cluster",
                                           [this](const Result<ClaimedTerm>& claimed) {
                                             if (!claimed.ok()) return Exit("superseded");
                                             Lead(*claimed);
                                           });
}

void FleetCoordinator::Lead(const ClaimedTerm& claimed) {
  term_ = claimed.term;
  next_index_ = claimed.next_index;
  const std::string path =
      world()->bug == FleetBug::kForgottenCatalog ? catalog_read_early_ : PathIn(claimed.entries);
  state_ = std::make_unique<ClusterState>(fleet_->store->catalogs[path], Clock());
  looked_ = Clock();
  ++fleet_->events->terms;
  const auto [known, is_first] = fleet_->store->leaders.emplace(term_, incarnation());
  if (!is_first) {
    world()->Fail("term " + std::to_string(term_) + " is led by " + known->second + " and by " +
                  incarnation());
  }
  led_since_ = ticked_ = Clock();
  Trace("leads by term " + std::to_string(term_));
  Every(kTurn, [this] { Turn(); });
}

void FleetCoordinator::Turn() {
  if (Clock() - looked_ >= kLookEvery) {
    looked_ = Clock();
    LookWhoLeads();
    if (exited()) return;
  }
  std::vector<WorkerInfo> silent;
  for (const auto& [name, worker] : state_->workers()) {
    if (Clock() - beats_[name] > kBeatTimeout) silent.push_back(worker);
  }
  for (const WorkerInfo& worker : silent) LoseSilent(worker);
  const bool late = world()->bug == FleetBug::kLateTurns && Clock() - ticked_ < kLateTurn;
  if (!late) {
    ticked_ = Clock();
    state_->OnTick(Clock(), this);
  }
  CheckTimes();
}

// Nothing waits longer than it may.
void FleetCoordinator::CheckTimes() {
  for (const auto& [name, job] : state_->jobs()) {
    const MonotonicTime most = job.phase == JobPhase::kDeploying  ? ClusterState::kDeployTimeout
                               : job.phase == JobPhase::kStopping ? ClusterState::kStopTimeout
                               : job.phase == JobPhase::kEnding   ? ClusterState::kEndTimeout
                                                                  : MonotonicTime::max();
    if (Clock() - job.since > most) {
      world()->Fail("job " + name + " is " + std::string(JobPhaseName(job.phase)) +
                    " for too long");
    }
  }
}

void FleetCoordinator::LoseSilent(const WorkerInfo& worker) {
  fleet_->network->Close(worker.session, this);
  state_->OnWorkerLost(worker.name, worker.session, "it is silent", Clock(), this);
}

void FleetCoordinator::LookWhoLeads() {
  if (exited() || fleet_->store->cluster_log.last_index() < next_index_) return;
  state_->LoseLead(Superseded("leading the cluster"));
  ++fleet_->events->superseded;
  Exit("superseded");
}

Status FleetCoordinator::Persist() {
  if (std::exchange(storage_broken_, false)) {
    Exit("the catalog cannot be written");
    return ExternalError("disk_full", "no space left", Retry::kNo);
  }
  const std::string path = std::to_string(term_) + "-" + std::to_string(next_index_);
  proto::LogEntry entry;
  entry.set_term(term_);
  entry.mutable_catalog()->set_path(path);
  SharedLog& log = fleet_->store->cluster_log;
  if (log.Append(next_index_, entry) == AppendResult::kTaken) {
    ++fleet_->events->superseded;
    Exit("superseded");
    return Superseded("changing the catalog");
  }
  const proto::Catalog catalog = state_->ToCatalog();
  witness_->OnCatalog(catalog, incarnation());
  log.RemoveBefore(next_index_++);
  fleet_->store->catalogs[path] = catalog;
  // What the log no longer names is removed.
  std::erase_if(fleet_->store->catalogs, [&](const auto& stored) {
    return std::ranges::none_of(log.entries(), [&](const IndexedEntry& of) {
      return of.entry.has_catalog() && of.entry.catalog().path() == stored.first;
    });
  });
  return Status::OK();
}

bool FleetCoordinator::listening() const {
  const bool deaf = world()->bug == FleetBug::kDeafLeader && Clock() - led_since_ < kDeafFor;
  return leads() && !deaf;
}

// ---- workers ------------------------------------------------------------------------------------

void FleetCoordinator::OnOpened(uint64_t session, NetworkNode* peer) {
  const auto* const worker = static_cast<FleetWorker*>(peer);
  WorkerInfo info;
  info.name = worker->name();
  info.incarnation = worker->incarnation();
  info.session = session;
  info.slots = worker->slots();
  After(MonotonicTime(0), [this, info] {
    beats_[info.name] = Clock();
    state_->OnWorker(info, Clock(), this);
  });
}

void FleetCoordinator::OnLost(uint64_t session, const std::string& peer, const std::string& why) {
  // Also after the next session has been told.
  After(world()->Between(milliseconds(0), milliseconds(30)),
        [this, session, peer, why] { state_->OnWorkerLost(peer, session, why, Clock(), this); });
}

const WorkerInfo* FleetCoordinator::WorkerOf(uint64_t session) const {
  for (const auto& [name, worker] : state_->workers()) {
    if (worker.session == session) return &worker;
  }
  return nullptr;
}

FleetWorker* FleetCoordinator::ProcessOf(const WorkerInfo& worker) const {
  return static_cast<FleetWorker*>(fleet_->network->PeerOf(worker.session, this));
}

void FleetCoordinator::ToWorker(const WorkerInfo& worker, std::function<void(FleetWorker*)> what) {
  fleet_->network->Send(worker.session, this, [what, to = ProcessOf(worker)] { what(to); });
}

void FleetCoordinator::TakeBeat(uint64_t session, const std::vector<AttemptOnWorker>& attempts,
                                const std::set<std::string>& peers) {
  const WorkerInfo* const worker = WorkerOf(session);
  if (worker == nullptr) return;
  beats_[worker->name] = Clock();
  state_->OnPeers(worker->name, peers, Clock());
  if (world()->bug == FleetBug::kLeftoverActors) return;
  state_->OnAttemptsOf(worker->name, session, attempts, this);
}

void FleetCoordinator::TakeLeave(uint64_t session) {
  const WorkerInfo* const found = WorkerOf(session);
  if (found == nullptr) return;
  const WorkerInfo worker = *found;
  if (!worker.leaving) {
    for (const auto& [name, job] : state_->jobs()) {
      NoteOrder(name, /*must_follow=*/job.workers.contains(worker.name));
    }
  }
  state_->OnWorkerLeaving(worker.name, session, Clock(), this);
  if (world()->bug == FleetBug::kEarlyLeave) MayLeave(worker);
}

void FleetCoordinator::TakeDeployed(uint64_t session, const std::string& job, int64_t attempt,
                                    const Status& status, const std::string& unreachable) {
  const WorkerInfo* const found = WorkerOf(session);
  if (found == nullptr) return;
  const WorkerInfo worker = *found;
  if (!unreachable.empty()) {
    return state_->OnPeerLost(job, attempt, worker.name, unreachable, status.message(), Clock(),
                              this);
  }
  state_->OnDeployed(job, attempt, worker.name, status, Clock(), this);
}

void FleetCoordinator::TakeAttemptEnded(uint64_t session, const std::string& job, int64_t attempt) {
  const WorkerInfo* const worker = WorkerOf(session);
  if (worker == nullptr) return;
  state_->OnAttemptEnded(job, attempt, worker->name, Clock(), this);
}

void FleetCoordinator::TakePeerLost(uint64_t session, const std::string& job, int64_t attempt,
                                    const std::string& peer) {
  const WorkerInfo* const found = WorkerOf(session);
  if (found == nullptr) return;
  const WorkerInfo worker = *found;
  const auto lost = state_->workers().find(peer);
  if (lost != state_->workers().end() && Clock() - beats_[peer] > kMissedBeats) {
    LoseSilent(WorkerInfo(lost->second));
  }
  state_->OnPeerLost(job, attempt, worker.name, peer,
                     "worker '" + worker.name + "' has lost '" + peer + "'", Clock(), this);
}

// ---- attempts -----------------------------------------------------------------------------------

FleetAttempt* FleetCoordinator::Find(const std::string& job, int64_t attempt) {
  const auto found = led_.find(job);
  if (found == led_.end() || found->second->attempt() != attempt) return nullptr;
  return found->second.get();
}

const FleetAttempt* FleetCoordinator::AttemptOf(const std::string& job) const {
  const auto found = led_.find(job);
  return found == led_.end() ? nullptr : found->second.get();
}

void FleetCoordinator::TakeAck(const std::string& job, int64_t attempt, const std::string& worker,
                               const FleetAck& ack) {
  if (FleetAttempt* const led = Find(job, attempt)) led->TakeAck(worker, ack);
}

void FleetCoordinator::TakePublished(const std::string& job, int64_t attempt,
                                     const std::string& worker, int64_t epoch) {
  if (FleetAttempt* const led = Find(job, attempt)) led->TakePublished(worker, epoch);
}

void FleetCoordinator::TakeFailed(const std::string& job, int64_t attempt, const Status& status) {
  if (FleetAttempt* const led = Find(job, attempt)) led->TakeFailed(status);
}

void FleetCoordinator::OnCompleted(const std::string& job, int64_t serial) {
  After(MonotonicTime(0), [this, job, serial] {
    const FleetAttempt* const led = AttemptOf(job);
    if (led == nullptr || led->serial() != serial) return;
    for (auto* const orders : {&may_shrink_, &must_follow_}) {
      const auto order = orders->find(job);
      if (order != orders->end() && serial > order->second) orders->erase(order);
    }
    state_->OnCheckpoint(job, led->attempt(), this);
  });
}

void FleetCoordinator::OnDone(const std::string& job, int64_t serial, const Status& status) {
  const FleetAttempt* const led = AttemptOf(job);
  if (led == nullptr || led->serial() != serial) return;
  if (status.ok()) {
    stopped_as_asked_[job] = led->attempt();
    ++fleet_->events->moves;
  }
  state_->OnAttemptDone(job, led->attempt(), status, Clock(), this);
}

// What was told is what the attempt is made of, and all of it is there.
void FleetCoordinator::CheckDeployed(const std::string& job, const FleetAttempt& attempt) {
  const std::map<std::string, WorkerInfo>& workers = state_->jobs().at(job).workers;
  const FleetDeployment& deployment = *attempt.deployment();
  const std::string what = "attempt " + std::to_string(attempt.attempt()) + " of job " + job;
  if (workers.size() != deployment.workers.size()) {
    world()->Fail(what + " is on other workers than its deployment says");
  }
  for (const FleetDeployment::Worker& told : deployment.workers) {
    const auto known = workers.find(told.name);
    if (known == workers.end()) {
      world()->Fail(what + " has something on " + told.name + ", which was not told");
      continue;
    }
    const FleetWorker* const process = ProcessOf(known->second);
    if (process != nullptr && process->incarnation() != told.incarnation) {
      world()->Fail(what + " was made for " + told.incarnation + ", and told to " +
                    process->incarnation());
    }
  }
}

// ---- ClusterHost --------------------------------------------------------------------------------

void FleetCoordinator::Prepare(const proto::JobRecord& job,
                               const std::vector<WorkerInfo>& workers) {
  LookWhoLeads();
  if (exited()) return;
  const std::string& name = job.name();
  const int64_t serial = ++serial_;
  std::unique_ptr<FleetAttempt>& led = led_[name];
  FleetAttemptHost* const host = this;
  const bool keeps =
      world()->bug != FleetBug::kCutsAfterLoss &&
      (state_->jobs().at(name).keeps_parallelism() || world()->bug == FleetBug::kNeverShrinks);
  led = std::make_unique<FleetAttempt>(fleet_, this, host, serial, job, workers, keeps, patience_);
  const bool may_shrink = may_shrink_.contains(name), must_follow = must_follow_.contains(name);
  led->Prepare([this, name, serial, may_shrink, must_follow](const Status& status) {
    After(MonotonicTime(0), [this, name, serial, may_shrink, must_follow, status] {
      const auto found = led_.find(name);
      if (found == led_.end() || found->second->serial() != serial) return;
      if (!status.ok()) return state_->OnPrepareFailed(name, status, Clock(), this);
      CheckSlots(name, *found->second, may_shrink, must_follow);
      PreparedAttempt prepared = found->second->Prepared();
      if (world()->bug == FleetBug::kStaleWorkers) {
        for (WorkerInfo& worker : prepared.workers) {
          const auto known = state_->workers().find(worker.name);
          if (known != state_->workers().end()) worker = known->second;
        }
      }
      state_->OnPrepared(name, prepared, Clock(), this);
    });
  });
}

void FleetCoordinator::AbandonPreparation(const std::string& job) { led_.at(job)->GiveUp(); }

void FleetCoordinator::Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) {
  const FleetAttempt& led = *led_.at(job);
  CheckDeployed(job, led);
  ToWorker(worker, [session = worker.session, term = term_, deployment = led.deployment()](
                       FleetWorker* to) { to->TakeDeploy(session, term, deployment); });
}

void FleetCoordinator::Launch(const std::string& job, int64_t attempt) { led_.at(job)->Launch(); }

void FleetCoordinator::RequestStop(const std::string& job, int64_t attempt) {
  led_.at(job)->RequestStop();
}

void FleetCoordinator::EndLeading(const std::string& job) { led_.erase(job); }

void FleetCoordinator::EndOnWorker(const std::string& job, int64_t attempt,
                                   const WorkerInfo& worker) {
  const auto known = state_->jobs().find(job);
  const bool ending = known != state_->jobs().end() && known->second.phase == JobPhase::kEnding &&
                      known->second.attempt == attempt;
  if (!ending) ++fleet_->events->leftovers;
  ToWorker(worker, [term = term_, job, attempt](FleetWorker* to) {
    to->TakeEndAttempt(term, job, attempt);
  });
}

bool FleetCoordinator::WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) {
  const FleetAttempt* const led = AttemptOf(job);
  if (led == nullptr || workers.empty()) return false;
  const int32_t kept = world()->bug == FleetBug::kMovesForgetKept ? 0 : led->kept();
  return PlaceFleetSlots(led->wanted(), kept, workers) != led->slots();
}

void FleetCoordinator::MayLeave(const WorkerInfo& worker) {
  if (world()->bug == FleetBug::kNeverLet) return;
  ToWorker(worker,
           [term = term_, by = incarnation()](FleetWorker* to) { to->TakeMayLeave(term, by); });
}

void FleetCoordinator::Drop(const WorkerInfo& worker) {
  ++fleet_->events->dropped;
  fleet_->network->Close(worker.session, this);
}

void FleetCoordinator::OnPhase(const std::string& job, JobPhase phase, const std::string& why) {
  Trace("job " + job + " " + std::string(JobPhaseName(phase)) + ": " + why);
  const JobPhase before = std::exchange(phases_[job], phase);
  if (phase == JobPhase::kEnding) ending_[job] = state_->jobs().at(job).workers;
  if (before == JobPhase::kEnding) CheckEnded(job);
  if (phase == JobPhase::kFailed) NoteGivenUp(job, why);
  if (!fleet_->calm) return;
  const bool ran = before == JobPhase::kRunning || before == JobPhase::kStopping;
  const bool failed =
      phase == JobPhase::kFailed || (phase == JobPhase::kEnding && ran &&
                                     stopped_as_asked_[job] != state_->jobs().at(job).attempt);
  if (failed) world()->Fail("job " + job + " fails although nothing is wrong: " + why);
}

// Nothing of it lives on workers that are there.
void FleetCoordinator::CheckEnded(const std::string& job) {
  const int64_t attempt = state_->jobs().at(job).attempt;
  for (const auto& [name, worker] : ending_[job]) {
    const auto known = state_->workers().find(name);
    if (known == state_->workers().end() || known->second.session != worker.session) continue;
    const FleetWorker* const process = ProcessOf(worker);
    if (process != nullptr && !process->Owned(job, attempt).empty()) {
      world()->Fail("attempt " + std::to_string(attempt) + " of job " + job +
                    " has ended, but lives on worker " + name);
    }
  }
}

void FleetCoordinator::NoteOrder(const std::string& job, bool must_follow) {
  may_shrink_[job] = serial_;
  if (must_follow) must_follow_[job] = serial_;
}

// A loss keeps the slots, an order changes them.
void FleetCoordinator::CheckSlots(const std::string& job, const FleetAttempt& attempt,
                                  bool may_shrink, bool must_follow) const {
  if (attempt.wanted() > 0) return;
  const auto slots = int32_t(attempt.slots().size());
  const int32_t offered = FleetParallelism(0, /*kept=*/0, attempt.workers());
  const std::string what = "attempt " + std::to_string(attempt.attempt()) + " of job " + job +
                           " has " + std::to_string(slots) + " slots, ";
  if (slots > offered) ++fleet_->events->kept;
  if (!may_shrink && slots < attempt.restored_slots()) {
    world()->Fail(what + "its checkpoint " + std::to_string(attempt.restored_slots()) +
                  ", although nobody has ordered that");
  }
  if (must_follow && slots != offered) {
    world()->Fail(what + "although " + std::to_string(offered) + " are offered");
  }
}

void FleetCoordinator::NoteGivenUp(const std::string& job, const std::string& why) {
  ++fleet_->events->given_up;
  // Nobody makes mistakes here.
  if (!why.starts_with("it failed") && why.find("attempts in a row") == std::string::npos) {
    world()->Fail("job " + job + " is given up: " + why);
  }
  if (why.find("at the same place") == std::string::npos) return;
  ++fleet_->events->named;
  if (why.find("key group") == std::string::npos) {
    world()->Fail("job " + job + " is given up, but the reading is not named: " + why);
  }
}

void FleetCoordinator::OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) {
  world()->Fail("job " + job + " goes from " + std::string(JobPhaseName(from)) + " to " +
                std::string(JobPhaseName(to)));
}

// ---- what people ask for ------------------------------------------------------------------------

Status FleetCoordinator::Ask(const std::function<Status()>& wish) {
  LookWhoLeads();
  return exited() ? Superseded("leading the cluster") : wish();
}

Status FleetCoordinator::Apply(const std::string& name, const std::string& file,
                               int64_t wall_micros) {
  return Ask([&] { return state_->Apply(name, name + ".yaml", file, wall_micros, Clock(), this); });
}
Status FleetCoordinator::SetDesire(const std::string& name, proto::JobDesire desire) {
  return Ask([&] { return state_->SetDesire(name, desire, Clock(), this); });
}
Status FleetCoordinator::Rescale(const std::string& name, int32_t parallelism) {
  return Ask([&] {
    const auto known = state_->jobs().find(name);
    if (known != state_->jobs().end() && known->second.record.parallelism() != parallelism) {
      NoteOrder(name, /*must_follow=*/true);
    }
    return state_->Rescale(name, parallelism, Clock(), this);
  });
}
Status FleetCoordinator::Remove(const std::string& name) {
  const Status removed = Ask([&] { return state_->Remove(name, this); });
  if (removed.ok()) {
    may_shrink_.erase(name);
    must_follow_.erase(name);
  }
  return removed;
}

}  // namespace millrace::simulation
