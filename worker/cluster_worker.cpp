#include "worker/cluster_worker.h"

#include "engine/env/crash_point.h"
#include "engine/metrics/log.h"
#include "engine/wire/control_codec.h"

namespace millrace {
namespace {

constexpr auto kBeatEvery = std::chrono::milliseconds(500);
constexpr auto kMetricsEvery = std::chrono::milliseconds(500);
constexpr auto kTurn = std::chrono::milliseconds(50);
// For sessions to the other workers of a deployment.
constexpr auto kPeersTimeout = std::chrono::seconds(5);

}  // namespace

Result<std::unique_ptr<ClusterWorker>> ClusterWorker::Start(ClusterWorkerOptions options) {
  std::unique_ptr<ClusterWorker> worker(new ClusterWorker(std::move(options)));
  ClusterWorkerOptions& own = worker->options_;
  own.link.self.role = LinkRole::kWorker;
  own.link.accept_roles = {LinkRole::kWorker};
  own.link.self.attributes = own.offer.SerializeAsString();
  ARROW_ASSIGN_OR_RAISE(worker->exchange_,
                        Exchange::Start(own.link, worker.get(), own.surroundings.clock));
  own.surroundings.exchange = worker->exchange_.get();
  worker->thread_ =
      std::jthread([self = worker.get()](const std::stop_token& stop) { self->Run(stop); });
  for (const LinkAddress& coordinator : own.coordinators) {
    ARROW_RETURN_NOT_OK(worker->exchange_->network().Connect(coordinator, LinkRole::kCoordinator));
  }
  return worker;
}

ClusterWorker::~ClusterWorker() {
  thread_ = {};
  for (auto& [id, running] : attempts_) {
    if (running->attempt != nullptr) running->attempt->GiveUp();
  }
  attempts_.clear();  // waits for their threads
  if (exchange_ != nullptr) exchange_->network().Stop();
}

void ClusterWorker::Run(const std::stop_token& stop) {
  const Clock& clock = *options_.surroundings.clock;
  MonotonicTime beat{0};
  MonotonicTime updated{0};
  while (!stop.stop_requested()) {
    options_.pulse->Beat();
    HoldPoint("worker_turn");
    events_.RunWithin(kTurn, stop);
    StartWhenPeersAreThere();
    const MonotonicTime now = clock.Monotonic();
    if (now - beat >= kBeatEvery) {
      beat = now;
      Beat();
    }
    if (now - updated >= kMetricsEvery) {
      updated = now;
      UpdateMetrics();
    }
  }
  options_.pulse->End();
}

// Also of what runs on without a coordinator.
void ClusterWorker::UpdateMetrics() {
  for (const auto& [id, running] : attempts_) {
    if (running->started) running->attempt->UpdateMetrics();
  }
  exchange_metrics_.Update(exchange_.get(), options_.surroundings.clock->Monotonic());
}

void ClusterWorker::Beat() {
  if (!coordinator_.has_value()) return;
  proto::ClusterMessage message;
  message.mutable_beat()->set_sequence(++beats_);
  for (const auto& [id, running] : attempts_) {
    if (running->ending) continue;
    if (running->started) {
      running->attempt->Report(message.mutable_beat());
      continue;
    }
    proto::AttemptLoad& load = *message.mutable_beat()->add_attempts();
    load.set_job(id.job);
    load.set_attempt(id.attempt);
    load.set_lag_records(-1);
  }
  for (std::string& name : peers_.TakeUntold()) {
    message.mutable_beat()->add_peers(std::move(name));
  }
  Send(*coordinator_, message);
  SendWatchedRows();
  if (!leaving_) return;
  message.mutable_leave();  // again, in case that another coordinator has come
  Send(*coordinator_, message);
}

void ClusterWorker::SendWatchedRows() {
  for (const auto& [id, running] : attempts_) {
    if (!running->started) continue;
    RowTap::Taken taken = running->attempt->TakeRows();
    if (taken.rows.empty() && taken.dropped == 0) continue;
    proto::ClusterMessage message;
    proto::WatchedRows& rows = *message.mutable_watched_rows();
    rows.set_job(id.job);
    rows.set_attempt(id.attempt);
    rows.set_dropped(taken.dropped);
    for (RowTap::Row& row : taken.rows) {
      proto::WatchedRow& watched = *rows.add_rows();
      watched.set_sink(std::move(row.sink));
      watched.set_row(std::move(row.json));
    }
    Send(*coordinator_, message);
  }
}

void ClusterWorker::RequestLeave() {
  events_.Post([this] {
    leaving_ = true;
    Beat();
  });
}

bool ClusterWorker::MayLeaveWithin(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return may_leave_; });
}

void ClusterWorker::OnPeerOpened(LinkSessionId session, const LinkPeer& peer) {
  events_.Post([this, session, peer] {
    const LinkIdentity& of = peer.identity;
    if (of.role == LinkRole::kCoordinator) {
      proto::CoordinatorOffer offer;
      if (!offer.ParseFromString(of.attributes)) offer.Clear();
      coordinators_[session] = {of.node, offer.term() > 0 ? offer.term() : term_, peer.protocol};
      return ChooseCoordinator();
    }
    LogInfo("connected with a worker", {{"worker", of.node}, {"protocol", peer.protocol}});
    peers_.OnOpened(of.node, {session.value(), of.incarnation});
  });
}

void ClusterWorker::ChooseCoordinator() {
  std::optional<LinkSessionId> chosen;
  for (const auto& [session, known] : coordinators_) {
    if (known.term < term_) continue;
    term_ = known.term;
    chosen = session;
  }
  if (chosen == coordinator_) return;
  coordinator_ = chosen;
  registered_ = chosen.has_value();
  if (!chosen.has_value()) return;
  const KnownCoordinator& known = coordinators_.at(*chosen);
  LogInfo("registered with the coordinator",
          {{"coordinator", known.name}, {"term", known.term}, {"protocol", known.protocol}});
  // Their coordinator is gone, or has lost this worker: nobody can go on with them.
  for (const AttemptId& id : Attempts()) {
    if (attempts_.at(id)->coordinator != *chosen) EndAttempt(id);
  }
  peers_.TellAllAnew();
  Beat();
}

std::vector<AttemptId> ClusterWorker::Attempts() const {
  std::vector<AttemptId> ids;
  ids.reserve(attempts_.size());
  for (const auto& [id, running] : attempts_) ids.push_back(id);
  return ids;
}

void ClusterWorker::OnPeerLost(LinkSessionId session, const LinkPeer& peer, const Status& why) {
  events_.Post([this, session, peer, why] {
    const std::string& name = peer.identity.node;
    LogStatus(LogLevel::kWarn, "a session is lost", why, {{"peer", name}});
    // What runs goes on: the next coordinator decides.
    if (coordinators_.erase(session) > 0) return ChooseCoordinator();
    peers_.OnLost(name, session.value());
    for (const auto& [id, running] : attempts_) {
      const bool concerned = std::ranges::any_of(
          running->deploy.workers(), [&](const auto& worker) { return worker.name() == name; });
      if (!concerned || running->ending || !coordinator_.has_value()) continue;
      proto::ClusterMessage message;
      proto::PeerLost& lost = *message.mutable_peer_lost();
      lost.set_job(id.job);
      lost.set_attempt(id.attempt);
      lost.set_peer(name);
      EncodeStatus(why, lost.mutable_why());
      Send(*coordinator_, message);
      peers_.TellAnew(name);
    }
  });
}

void ClusterWorker::OnControl(LinkSessionId session, proto::ClusterMessage message) {
  events_.Post([this, session, message = std::move(message)]() mutable {
    if (message.term() < term_) {
      LogWarn("a coordinator that no longer leads is not listened to",
              {{"term", message.term()}, {"known_term", term_}});
      return;
    }
    term_ = message.term();
    switch (message.kind_case()) {
      case proto::ClusterMessage::kDeploy:
        return TakeDeploy(session, std::move(*message.mutable_deploy()));
      case proto::ClusterMessage::kEndAttempt:
        return EndAttempt({message.end_attempt().job(), message.end_attempt().attempt()});
      case proto::ClusterMessage::kWatchRows: {
        const AttemptId id{message.watch_rows().job(), message.watch_rows().attempt()};
        const auto found = attempts_.find(id);
        if (found != attempts_.end() && found->second->started) found->second->attempt->Watch();
        return;
      }
      case proto::ClusterMessage::kForgetJob:
        deleted_.insert(message.forget_job().job());
        return ForgetIfEnded(message.forget_job().job());
      case proto::ClusterMessage::kMayLeave: {
        {
          const std::lock_guard lock(mutex_);
          may_leave_ = true;
        }
        changed_.notify_all();
        return;
      }
      default:
        LogWarn("a message of the coordinator is not known here",
                {{"kind", int64_t(message.kind_case())}});
    }
  });
}

void ClusterWorker::Send(LinkSessionId session, const proto::ClusterMessage& message) {
  const Status status = exchange_->SendControl(session, message);
  if (!status.ok()) LogStatus(LogLevel::kWarn, "the coordinator is not told", status);
}

void ClusterWorker::TakeDeploy(LinkSessionId session, proto::Deploy deploy) {
  const AttemptId id{deploy.job(), deploy.attempt()};
  if (attempts_.contains(id)) return;
  // An older attempt of the job that nobody has ended: its coordinator is gone.
  for (const AttemptId& other : Attempts()) {
    if (other.job == id.job) EndAttempt(other);
  }
  const std::string& self = options_.surroundings.worker;
  for (const proto::PeerWorker& peer : deploy.workers()) {
    // Of two workers the one whose name is less dials.
    if (peer.name() <= self) continue;
    if (const Status status = Dial(peer); !status.ok())
      LogStatus(LogLevel::kError, "a worker cannot be reached", status);
  }
  auto running = std::make_unique<Running>();
  running->deploy = std::move(deploy);
  running->coordinator = session;
  running->asked = options_.surroundings.clock->Monotonic();
  attempts_[id] = std::move(running);
  StartWhenPeersAreThere();
}

// Not at its former address any more, where another worker may be by now: two ways to one worker
// would end each other's sessions for ever.
Status ClusterWorker::Dial(const proto::PeerWorker& peer) {
  ARROW_ASSIGN_OR_RAISE(const LinkAddress address, ParseLinkAddress(peer.exchange_address()));
  const auto [dialed, is_new] = dialed_.try_emplace(peer.name(), address);
  if (!is_new && dialed->second != address) {
    exchange_->network().Disconnect(dialed->second);
    dialed->second = address;
  }
  return exchange_->network().Connect(address, LinkRole::kWorker);
}

void ClusterWorker::StartWhenPeersAreThere() {
  const std::string& self = options_.surroundings.worker;
  for (auto& [id, running] : attempts_) {
    if (running->starting || running->ending) continue;
    const bool before = std::ranges::any_of(attempts_, [&, &of = id](const auto& other) {
      return other.first.job == of.job && other.first.attempt < of.attempt;
    });
    if (before) continue;  // until it has ended
    std::map<std::string, LinkSessionId> sessions;
    std::string missing;
    for (const proto::PeerWorker& peer : running->deploy.workers()) {
      if (peer.name() == self) continue;
      const KnownPeers::Peer* const known = peers_.Find(peer.name());
      if (known == nullptr || known->incarnation != peer.incarnation()) {
        missing = peer.name();
      } else {
        sessions[peer.name()] = LinkSessionId(known->session);
      }
    }
    if (!missing.empty()) {
      const MonotonicTime now = options_.surroundings.clock->Monotonic();
      if (now - running->asked < kPeersTimeout) continue;
      running->starting = true;
      TellDeployed(*running,
                   ExternalError("peer_unreachable",
                                 "worker '" + self + "' has no session to worker '" + missing + "'",
                                 Retry::kYes),
                   missing);
      peers_.TellAnew(missing);
      continue;
    }
    running->starting = true;
    running->attempt = std::make_unique<Attempt>(options_.surroundings, running->deploy,
                                                 std::move(sessions), running->coordinator);
    running->thread = std::jthread([this, of = id, attempt = running->attempt.get()] {
      const Status status = attempt->Start();
      events_.Post([this, of, status] { OnStarted(of, status); });
    });
  }
}

void ClusterWorker::OnStarted(const AttemptId& id, const Status& status) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  Running& running = *found->second;
  if (running.ending) return;  // it is another thread's already
  running.started = status.ok();
  TellDeployed(running, status);
}

void ClusterWorker::TellDeployed(const Running& running, const Status& status,
                                 const std::string& unreachable) {
  proto::ClusterMessage message;
  proto::Deployed& deployed = *message.mutable_deployed();
  deployed.set_job(running.deploy.job());
  deployed.set_attempt(running.deploy.attempt());
  if (!status.ok()) EncodeStatus(status, deployed.mutable_status());
  deployed.set_unreachable(unreachable);
  Send(running.coordinator, message);
}

void ClusterWorker::EndAttempt(AttemptId id) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return OnEnded(std::move(id));
  Running& running = *found->second;
  if (std::exchange(running.ending, true)) return;
  running.started = false;
  if (running.attempt == nullptr) return OnEnded(std::move(id));
  running.attempt->GiveUp();
  running.attempt->RemoveGauges();
  // Its own thread is done with it first, then it is ended beside what goes on here.
  running.thread = std::jthread([this, id, attempt = std::move(running.attempt),
                                 starting = std::move(running.thread)]() mutable {
    starting = {};
    attempt.reset();
    events_.Post([this, id] { OnEnded(id); });
  });
}

// A new job of its name may be deployed already, and waits for the old one's end to start.
void ClusterWorker::ForgetIfEnded(const std::string& job) {
  const bool lives = std::ranges::any_of(attempts_, [&](const auto& attempt) {
    return attempt.first.job == job && attempt.second->starting;
  });
  if (lives || deleted_.erase(job) == 0) return;
  JobMetricFamilies(options_.surroundings.metrics, job).Remove();
}

void ClusterWorker::OnEnded(AttemptId id) {
  attempts_.erase(id);
  ForgetIfEnded(id.job);
  if (!coordinator_.has_value()) return;
  proto::ClusterMessage message;
  message.mutable_attempt_ended()->set_job(id.job);
  message.mutable_attempt_ended()->set_attempt(id.attempt);
  Send(*coordinator_, message);
}

}  // namespace millrace
