#include "tests/simulation/fleet/fleet_worker.h"

#include <algorithm>

#include "tests/simulation/fleet/fleet_coordinator.h"

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kBeatEvery = milliseconds(500);
constexpr auto kTurn = milliseconds(100);
constexpr auto kPeersTimeout = seconds(5);
constexpr auto kLeaveTimeout = seconds(30);
constexpr int64_t kRowsMax = 5;  // of a key group, between two barriers

}  // namespace

FleetWorker::FleetWorker(FleetSurroundings* fleet, std::string name, int life, double rate,
                         int32_t slots)
    : NetworkNode(fleet->world, std::move(name), life, rate), fleet_(fleet), slots_(slots) {
  fleet_->network->Attach(this);
  Trace("starts");
  Every(kTurn, [this] { StartWhenPeersAreThere(); });
  Every(kBeatEvery, [this] { Beat(); });
  for (const std::string& coordinator : fleet_->coordinators) {
    fleet_->network->Dial(this, coordinator);
  }
}

FleetWorker::~FleetWorker() { fleet_->network->Detach(this); }

// ---- sessions -----------------------------------------------------------------------------------

void FleetWorker::OnOpened(uint64_t session, NetworkNode* peer) {
  if (const auto* const coordinator = dynamic_cast<FleetCoordinator*>(peer)) {
    coordinators_[session] = coordinator->term();
    ChooseCoordinator();
  } else {
    peers_.OnOpened(peer->name(), {session, peer->incarnation()});
  }
}

void FleetWorker::ChooseCoordinator() {
  std::optional<uint64_t> chosen;
  for (const auto& [session, term] : coordinators_) {
    if (term < term_) continue;
    term_ = term;
    chosen = session;
  }
  if (chosen == coordinator_) return;
  coordinator_ = chosen;
  if (!chosen.has_value()) return;
  // Their coordinator is gone, or has lost this worker: nobody can go on with them.
  std::vector<Id> left;
  for (const auto& [id, running] : attempts_) {
    if (running.coordinator != *chosen) left.push_back(id);
  }
  if (world()->bug != FleetBug::kLeftoverActors) {
    for (const Id& id : left) EndAttempt(id);
  }
  peers_.TellAllAnew();
  Beat();
}

void FleetWorker::OnLost(uint64_t session, const std::string& peer, const std::string& why) {
  if (exited()) return;
  if (coordinators_.erase(session) > 0) return ChooseCoordinator();  // what runs goes on
  peers_.OnLost(peer, session);
  for (const auto& [id, running] : attempts_) {
    const bool concerned = std::ranges::any_of(
        running.deployment->workers, [&](const auto& worker) { return worker.name == peer; });
    if (!concerned || running.ending) continue;
    ToCoordinator([id = id, peer](FleetCoordinator* to, uint64_t by) {
      to->TakePeerLost(by, id.first, id.second, peer);
    });
    peers_.TellAnew(peer);
  }
}

void FleetWorker::ToCoordinator(std::function<void(FleetCoordinator*, uint64_t)> what) {
  if (!coordinator_.has_value()) return;
  const uint64_t session = *coordinator_;
  NetworkNode* const peer = fleet_->network->PeerOf(session, this);
  fleet_->network->Send(session, this, [what, session, to = static_cast<FleetCoordinator*>(peer)] {
    what(to, session);
  });
}

void FleetWorker::ToLeader(const Running& running, std::function<void(FleetCoordinator*)> what) {
  NetworkNode* const peer = fleet_->network->PeerOf(running.coordinator, this);
  fleet_->network->Send(running.coordinator, this,
                        [what, to = static_cast<FleetCoordinator*>(peer)] { what(to); });
}

void FleetWorker::Beat() {
  std::vector<AttemptOnWorker> attempts;
  for (const auto& [id, running] : attempts_) {
    if (!running.ending) attempts.push_back({id.first, id.second});
  }
  if (coordinator_.has_value()) {
    const std::vector<std::string> untold = peers_.TakeUntold();
    const std::set<std::string> peers(untold.begin(), untold.end());
    ToCoordinator([attempts, peers](FleetCoordinator* to, uint64_t by) {
      to->TakeBeat(by, attempts, peers);
    });
  }
  if (!leaving_) return;
  ToCoordinator([](FleetCoordinator* to, uint64_t by) { to->TakeLeave(by); });
}

void FleetWorker::RequestLeave() {
  Trace("wants to leave");
  leaving_ = true;
  Beat();
  After(kLeaveTimeout, [this] {
    Exit("it was not let go in time");
    if (fleet_->calm) world()->Fail("worker " + incarnation() + " is not let go in time");
  });
}

bool FleetWorker::Listens(int64_t term) {
  if (term < term_) return false;
  term_ = term;
  return true;
}

// ---- attempts -----------------------------------------------------------------------------------

FleetWorker::Running* FleetWorker::Find(const std::string& job, int64_t attempt) {
  const auto found = attempts_.find({job, attempt});
  return found == attempts_.end() ? nullptr : &found->second;
}

void FleetWorker::TakeDeploy(uint64_t session, int64_t term,
                             const std::shared_ptr<const FleetDeployment>& deployment) {
  if (!Listens(term)) return;
  const Id id{deployment->job, deployment->attempt};
  if (attempts_.contains(id)) return;
  std::vector<Id> older;
  for (const auto& [other, running] : attempts_) {
    if (other.first == id.first) older.push_back(other);
  }
  if (world()->bug != FleetBug::kKeyGroupTwice) {
    for (const Id& other : older) EndAttempt(other);
  }
  for (const FleetDeployment::Worker& peer : deployment->workers) {
    // Of two workers the one whose name is less dials.
    if (peer.name > name() && dialed_.insert(peer.name).second) {
      fleet_->network->Dial(this, peer.name);
    }
  }
  Running& running = attempts_[id];
  running.deployment = deployment;
  running.coordinator = session;
  running.asked = Clock();
  running.groups = deployment->GroupsOf(name());
  StartWhenPeersAreThere();
}

void FleetWorker::StartWhenPeersAreThere() {
  for (auto& [id, running] : attempts_) {
    if (running.starting || running.ending) continue;
    const bool before = std::ranges::any_of(attempts_, [&, &of = id](const auto& other) {
      return other.first.first == of.first && other.first.second < of.second;
    });
    if (before && world()->bug != FleetBug::kKeyGroupTwice) continue;  // until it has ended
    std::string missing;
    running.peers.clear();
    for (const FleetDeployment::Worker& peer : running.deployment->workers) {
      if (peer.name == name()) continue;
      const KnownPeers::Peer* const known = peers_.Find(peer.name);
      if (known == nullptr || known->incarnation != peer.incarnation) {
        missing = peer.name;
      } else {
        running.peers[peer.name] = known->session;
      }
    }
    if (missing.empty()) {
      Start(id, &running);
    } else if (Clock() - running.asked >= kPeersTimeout) {
      running.starting = true;
      TellDeployed(
          id, running,
          ExternalError("peer_unreachable", "no session to worker '" + missing + "'", Retry::kYes),
          missing);
      peers_.TellAnew(missing);
    }
  }
}

void FleetWorker::Start(const Id& id, Running* running) {
  running->starting = true;
  running->has_actors = true;
  const bool slow = world()->random.Chance(50);
  const MonotonicTime takes = world()->Between(milliseconds(5), milliseconds(slow ? 8000 : 400));
  After(takes, running->lifetime.Guard([this, id] { OnStarted(id); }));
}

void FleetWorker::OnStarted(const Id& id) {
  Running& running = attempts_.at(id);
  if (running.ending) return;
  const FleetManifest& restored = running.deployment->restored;
  for (const int group : running.groups) running.rows[group] = restored.rows[size_t(group)];
  running.started = true;
  TellDeployed(id, running, Status::OK());
}

void FleetWorker::TellDeployed(const Id& id, const Running& running, const Status& status,
                               const std::string& unreachable) {
  const uint64_t session = running.coordinator;
  ToLeader(running, [id, session, status, unreachable](FleetCoordinator* to) {
    to->TakeDeployed(session, id.first, id.second, status, unreachable);
  });
}

void FleetWorker::TakeEndAttempt(int64_t term, const std::string& job, int64_t attempt) {
  if (Listens(term)) EndAttempt({job, attempt});
}

void FleetWorker::EndAttempt(const Id& id) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return OnEnded(id);
  Running& running = found->second;
  if (std::exchange(running.ending, true)) return;
  running.started = false;
  running.reading = running.reading && world()->bug == FleetBug::kKeyGroupTwice;
  if (!running.has_actors) return OnEnded(id);
  if (world()->bug == FleetBug::kEndedEarly) TellEnded(id);
  const bool slow = world()->slow_ends && world()->random.Chance(300);
  const MonotonicTime takes = slow ? world()->Between(seconds(5), seconds(60))
                                   : world()->Between(milliseconds(1), milliseconds(300));
  After(takes, running.lifetime.Guard([this, id] { OnEnded(id); }));
}

void FleetWorker::OnEnded(const Id& id) {
  const Id ended = id;
  attempts_.erase(ended);
  TellEnded(ended);
}

void FleetWorker::TellEnded(const Id& id) {
  ToCoordinator([ended = id](FleetCoordinator* to, uint64_t by) {
    to->TakeAttemptEnded(by, ended.first, ended.second);
  });
}

void FleetWorker::TakeMayLeave(int64_t term, const std::string& by) {
  if (!Listens(term)) return;
  for (const auto& [id, running] : attempts_) {
    if (running.has_actors && JobOf(id.first)->LeaderOf(id.second) == by) {
      world()->Fail("worker " + incarnation() + " may leave, but has a part of attempt " +
                    std::to_string(id.second) + " of job " + id.first + ", which is led");
    }
  }
  ++fleet_->events->left;
  Exit("it left");
}

std::vector<AttemptOnWorker> FleetWorker::Attempts() const {
  std::vector<AttemptOnWorker> attempts;
  for (const auto& [id, running] : attempts_) attempts.push_back({id.first, id.second});
  return attempts;
}

std::vector<int> FleetWorker::Owned(const std::string& job, int64_t attempt) const {
  const auto found = attempts_.find({job, attempt});
  return found != attempts_.end() && found->second.has_actors ? found->second.groups
                                                              : std::vector<int>();
}

// ---- what actors do -----------------------------------------------------------------------------

std::vector<FleetWorker::Id> FleetWorker::Reached(const std::string& job, int64_t attempt) const {
  std::vector<Id> reached;
  for (const auto& [id, running] : attempts_) {
    const bool by_job = world()->bug == FleetBug::kKeyGroupTwice && id.second <= attempt;
    if (id.first == job && (id.second == attempt || by_job) && running.reading) {
      reached.push_back(id);
    }
  }
  return reached;
}

void FleetWorker::StartReading(const std::string& job, int64_t attempt) {
  Running* const running = Find(job, attempt);
  if (running == nullptr || !running->started) return;
  running->reading = true;
  if (!JobOf(job)->BeginPublishing(attempt, incarnation(), running->groups, &running->published)) {
    return Fail({job, attempt}, *running,
                ExternalError("fenced", "another attempt publishes", Retry::kYes));
  }
  Publish({job, attempt}, running, running->deployment->restored.rows, /*epoch=*/0);
}

void FleetWorker::Barrier(const std::string& job, int64_t attempt, int64_t epoch) {
  for (const Id& id : Reached(job, attempt)) {
    Running& running = attempts_.at(id);
    // What the others sent may be missing: the attempt is broken, and they are told so.
    const bool whole = std::ranges::all_of(running.peers, [this](const auto& peer) {
      return fleet_->network->IsOpen(peer.second, this);
    });
    if (!whole) continue;
    FleetAck ack;
    ack.epoch = epoch;
    ack.share.attempt = id.second;
    ack.share.worker = incarnation();
    if (!Read(id, &running)) return;
    ack.share.rows = running.rows;
    const MonotonicTime takes = world()->Between(milliseconds(1), milliseconds(200));
    After(takes, running.lifetime.Guard([this, ack, job, attempt] {
      const Running* const asked = Find(job, attempt);
      if (asked == nullptr) return;
      ToLeader(*asked, [job, attempt, ack, by = name()](FleetCoordinator* to) {
        to->TakeAck(job, attempt, by, ack);
      });
    }));
  }
}

// Some rows more of each key group. False: it fails.
bool FleetWorker::Read(const Id& id, Running* running) {
  const FleetJob& job = *JobOf(id.first);
  for (auto& [group, rows] : running->rows) {
    const int64_t until = std::min(rows + world()->random.Below(kRowsMax + 1), job.Limit());
    const bool poisoned = job.poison.has_value() && job.poison->group == group &&
                          rows <= job.poison->row && job.poison->row < until;
    if (poisoned && job.poison->ends_process) {
      Exit("a reading ends it");
      return false;
    }
    if (poisoned) {
      Fail(id, *running, InternalError("exception", job.poison->Text() + ": boom"));
      return false;
    }
    rows = until;
  }
  return true;
}

void FleetWorker::Release(const std::string& job, int64_t attempt, int64_t epoch,
                          const Positions& rows) {
  Running* const running = Find(job, attempt);
  if (running == nullptr || !running->reading) return;
  Publish({job, attempt}, running, rows, epoch);
}

// Rows of key groups that are complete and not published, one group after the other.
void FleetWorker::Publish(const Id& id, Running* running, const Positions& rows, int64_t epoch) {
  const bool slow = world()->random.Chance(50);
  const MonotonicTime takes = world()->Between(milliseconds(1), milliseconds(slow ? 5000 : 150));
  After(takes, running->lifetime.Guard([this, id, rows, epoch] {
    Running& of = attempts_.at(id);
    if (of.ending) return;
    for (const int group : of.groups) {
      int64_t& published = of.published.at(group);
      const int64_t to = rows[size_t(group)];
      if (to <= published) continue;
      if (!JobOf(id.first)->Publish(id.second, incarnation(), group, published, to)) {
        return Fail(id, of, ExternalError("fenced", "another attempt publishes", Retry::kYes));
      }
      published = to;
    }
    ToLeader(of, [id, epoch, by = name()](FleetCoordinator* to) {
      to->TakePublished(id.first, id.second, by, epoch);
    });
  }));
}

void FleetWorker::Fail(const Id& id, const Running& running, const Status& status) {
  ToLeader(running,
           [id, status](FleetCoordinator* to) { to->TakeFailed(id.first, id.second, status); });
}

void FleetWorker::FailTask(const Status& status) {
  for (const auto& [id, running] : attempts_) {
    if (running.started && !running.ending) return Fail(id, running, status);
  }
}

}  // namespace millrace::simulation
