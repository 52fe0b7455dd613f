#include "coordinator/cluster_coordinator.h"

#include "engine/metrics/log.h"
#include "engine/wire/control_codec.h"

namespace millrace {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(20);
// Workers beat twice a second. The link tells of a lost one sooner; this finds those whose link
// lives while they do not.
constexpr auto kBeatTimeout = std::chrono::milliseconds(2500);

}  // namespace

// Lives as long as its attempt; called from the attempt's actors.
class ClusterCoordinator::Observer final : public JobObserver {
 public:
  Observer(ClusterCoordinator* cluster, std::string job, int64_t serial)
      : cluster_(cluster), job_(std::move(job)), serial_(serial) {}
  int64_t serial() const { return serial_; }

  void OnCheckpoint(const CompletedCheckpoint& checkpoint) override {
    cluster_->options_.metrics->CheckpointDurationSeconds().Observe(
        std::chrono::duration<double>(checkpoint.completed - checkpoint.opened).count());
    cluster_->options_.metrics->Checkpoints("completed").Increment();
    cluster_->events_.Post(
        [this_ = cluster_, job = job_, serial = serial_, epoch = checkpoint.epoch] {
          const auto led = this_->led_.find(job);
          if (led == this_->led_.end() || led->second.observer->serial() != serial) return;
          ++led->second.checkpoints;
          led->second.last_epoch = epoch.value();
        });
  }
  void OnAbandoned(Epoch epoch, const std::string& why) override {
    cluster_->options_.metrics->Checkpoints("abandoned").Increment();
    LogWarn("a checkpoint was given up; the next one makes up for it",
            {{"job", job_}, {"epoch", epoch.value()}, {"why", why}});
  }
  void OnSavepoint(const std::string&, const Status&) override {}
  void OnUnpublished(int64_t, int64_t) override {}
  void OnCheckpointsBlocked(Blocked, MonotonicTime) override {}
  void OnEnded(const Status& status) override {
    cluster_->events_.Post([this_ = cluster_, job = job_, serial = serial_, status] {
      this_->OnJobEnded(job, serial, status);
    });
  }

 private:
  ClusterCoordinator* const cluster_;
  const std::string job_;
  const int64_t serial_;
};

ClusterCoordinator::ClusterCoordinator(ClusterCoordinatorOptions options, ClusterLog* log)
    : options_(std::move(options)), log_(log), state_(log->catalog()) {}

Result<std::unique_ptr<ClusterCoordinator>> ClusterCoordinator::Start(
    ClusterCoordinatorOptions options, ClusterLog* log) {
  std::unique_ptr<ClusterCoordinator> cluster(new ClusterCoordinator(std::move(options), log));
  LinkOptions link = cluster->options_.link;
  link.self.role = LinkRole::kCoordinator;
  link.accept_roles = {LinkRole::kWorker};
  ARROW_ASSIGN_OR_RAISE(cluster->exchange_, Exchange::Start(std::move(link), cluster.get(),
                                                            cluster->options_.surroundings.clock));
  cluster->options_.surroundings.exchange = cluster->exchange_.get();
  cluster->thread_ =
      std::jthread([self = cluster.get()](const std::stop_token& stop) { self->Run(stop); });
  return cluster;
}

ClusterCoordinator::~ClusterCoordinator() {
  thread_ = {};
  for (auto& [job, led] : led_) {
    if (led.attempt != nullptr) led.attempt->GiveUp();
  }
  led_.clear();  // waits for their threads
  if (exchange_ != nullptr) exchange_->network().Stop();
}

std::optional<Status> ClusterCoordinator::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void ClusterCoordinator::Ask(const std::function<void()>& what) {
  std::promise<void> done;
  events_.Post([&] {
    what();
    done.set_value();
  });
  done.get_future().wait();
}

void ClusterCoordinator::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    events_.RunWithin(kTurn, stop);
    LoseSilentWorkers();
    state_.OnTick(now(), this);
    UpdateMetrics();
  }
  // Who still asks is not left waiting.
  events_.RunWithin(std::chrono::milliseconds(0));
}

void ClusterCoordinator::UpdateMetrics() {
  options_.metrics->CoordinatorTerm().Set(double(log_->term()));
}

// ---- workers
// --------------------------------------------------------------------------------------

void ClusterCoordinator::OnPeerOpened(LinkSessionId session, const LinkPeer& peer) {
  events_.Post([this, session, peer] {
    proto::WorkerOffer offer;
    if (!offer.ParseFromString(peer.identity.attributes) || offer.slots() < 1) {
      LogWarn("a worker's offer cannot be read", {{"worker", peer.identity.node}});
      exchange_->network().Close(session);
      return;
    }
    WorkerInfo worker;
    worker.name = peer.identity.node;
    worker.incarnation = peer.identity.incarnation;
    worker.session = session.value();
    worker.slots = offer.slots();
    worker.exchange_address = offer.exchange_address();
    worker.build = offer.build();
    LogInfo("a worker has come", {{"worker", worker.name}, {"slots", worker.slots}});
    beats_[worker.name] = now();
    state_.OnWorker(std::move(worker), now(), this);
  });
}

void ClusterCoordinator::OnPeerLost(LinkSessionId session, const LinkPeer& peer,
                                    const Status& why) {
  events_.Post([this, session, name = peer.identity.node, why] {
    LogStatus(LogLevel::kWarn, "a worker is lost", why, {{"worker", name}});
    state_.OnWorkerLost(name, session.value(), why.message(), now(), this);
    for (auto& [job, loads] : loads_) loads.erase(name);
  });
}

void ClusterCoordinator::LoseSilentWorkers() {
  std::vector<WorkerInfo> silent;
  for (const auto& [name, worker] : state_.workers()) {
    if (now() - beats_[name] > kBeatTimeout) silent.push_back(worker);
  }
  for (const WorkerInfo& worker : silent) {
    LogWarn("a worker is silent", {{"worker", worker.name}});
    exchange_->network().Close(LinkSessionId(worker.session));
    state_.OnWorkerLost(worker.name, worker.session, "it is silent", now(), this);
  }
}

const WorkerInfo* ClusterCoordinator::WorkerOf(LinkSessionId session) const {
  for (const auto& [name, worker] : state_.workers()) {
    if (worker.session == session.value()) return &worker;
  }
  return nullptr;
}

void ClusterCoordinator::OnControl(LinkSessionId session, proto::ClusterMessage message) {
  events_.Post([this, session, message = std::move(message)] { TakeControl(session, message); });
}

void ClusterCoordinator::TakeControl(LinkSessionId session, const proto::ClusterMessage& message) {
  const WorkerInfo* const found = WorkerOf(session);
  if (found == nullptr) return;  // it counts as lost
  const WorkerInfo worker = *found;
  switch (message.kind_case()) {
    case proto::ClusterMessage::kBeat:
      return TakeBeat(session, message.beat());
    case proto::ClusterMessage::kLeave:
      LogInfo("a worker wants to leave", {{"worker", worker.name}});
      return state_.OnWorkerLeaving(worker.name, worker.session, now(), this);
    case proto::ClusterMessage::kDeployed: {
      const proto::Deployed& deployed = message.deployed();
      Status status = deployed.has_status() ? DecodeStatus(deployed.status()) : Status::OK();
      if (!status.ok()) status = WithContext(status, "worker '" + worker.name + "'");
      return state_.OnDeployed(deployed.job(), deployed.attempt(), worker.name, status, now(),
                               this);
    }
    case proto::ClusterMessage::kAttemptEnded:
      return state_.OnAttemptEnded(message.attempt_ended().job(), message.attempt_ended().attempt(),
                                   worker.name, now(), this);
    case proto::ClusterMessage::kPeerLost: {
      const proto::PeerLost& lost = message.peer_lost();
      return state_.OnAttemptBroken(lost.job(), lost.attempt(),
                                    "worker '" + worker.name + "' has lost worker '" + lost.peer() +
                                        "': " + DecodeStatus(lost.why()).message(),
                                    now(), this);
    }
    default:
      LogWarn("a message of a worker is not known here",
              {{"worker", worker.name}, {"kind", int64_t(message.kind_case())}});
  }
}

void ClusterCoordinator::TakeBeat(LinkSessionId session, const proto::Beat& beat) {
  const WorkerInfo* const worker = WorkerOf(session);
  beats_[worker->name] = now();
  for (auto& [job, loads] : loads_) loads.erase(worker->name);
  for (const proto::AttemptLoad& load : beat.attempts()) loads_[load.job()][worker->name] = load;
}

void ClusterCoordinator::Send(uint64_t session, proto::ClusterMessage message) {
  message.set_term(log_->term());
  const Status status = exchange_->SendControl(LinkSessionId(session), message);
  if (!status.ok()) LogStatus(LogLevel::kWarn, "a worker is not told", status);
}

// ---- ClusterHost
// ----------------------------------------------------------------------------------

void ClusterCoordinator::Prepare(const proto::JobRecord& job,
                                 const std::vector<WorkerInfo>& workers) {
  const std::string& name = job.name();
  Led& led = led_[name];
  led = Led();
  const int64_t serial = ++serial_;
  led.observer = std::make_unique<Observer>(this, name, serial);
  led.attempt = std::make_unique<LedAttempt>(options_.surroundings, job, workers, slots_[name],
                                             led.observer.get());
  led.thread = std::jthread([this, name, serial, attempt = led.attempt.get()] {
    const Status status = attempt->Prepare();
    events_.Post([this, name, serial, status] {
      const auto found = led_.find(name);
      if (found == led_.end() || found->second.observer->serial() != serial) return;
      if (!status.ok()) return state_.OnPrepareFailed(name, status, now(), this);
      found->second.prepared = true;
      state_.OnPrepared(name, found->second.attempt->Prepared(), now(), this);
    });
  });
}

void ClusterCoordinator::Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) {
  LedAttempt& led = *led_.at(job).attempt;
  led.TakeTheLead();
  proto::ClusterMessage message;
  *message.mutable_deploy() = led.deployment();
  Send(worker.session, std::move(message));
}

void ClusterCoordinator::Launch(const std::string& job, int64_t attempt) {
  Led& led = led_.at(job);
  slots_[job] = led.attempt->slots();
  led.attempt->Launch();
}

void ClusterCoordinator::RequestStop(const std::string& job, int64_t attempt) {
  led_.at(job).attempt->RequestStop();
}

void ClusterCoordinator::EndLeading(const std::string& job) {
  const auto found = led_.find(job);
  if (found == led_.end()) return;
  if (found->second.attempt != nullptr) found->second.attempt->GiveUp();
  found->second.thread = {};
  led_.erase(found);
}

void ClusterCoordinator::EndOnWorker(const std::string& job, int64_t attempt,
                                     const WorkerInfo& worker) {
  proto::ClusterMessage message;
  message.mutable_end_attempt()->set_job(job);
  message.mutable_end_attempt()->set_attempt(attempt);
  Send(worker.session, std::move(message));
}

bool ClusterCoordinator::WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) {
  const auto led = led_.find(job);
  if (led == led_.end() || workers.empty()) return false;
  const LedAttempt& attempt = *led->second.attempt;
  const int32_t slots = ParallelismOf(attempt.wanted(), attempt.partitions(), workers);
  return PlaceSlots(slots, workers, attempt.slots()) != attempt.slots();
}

void ClusterCoordinator::MayLeave(const WorkerInfo& worker) {
  proto::ClusterMessage message;
  message.mutable_may_leave();
  Send(worker.session, std::move(message));
}

void ClusterCoordinator::Drop(const WorkerInfo& worker) {
  LogWarn("a worker does not end an attempt: it counts as lost", {{"worker", worker.name}});
  exchange_->network().Close(LinkSessionId(worker.session));
  events_.Post([this, worker] {
    state_.OnWorkerLost(worker.name, worker.session, "it did not end an attempt", now(), this);
  });
}

void ClusterCoordinator::Persist() {
  const Status status = log_->Write(state_.ToCatalog());
  if (status.ok()) return;
  LogStatus(LogLevel::kError, "the catalog cannot be written", status);
  const std::lock_guard lock(mutex_);
  if (!failure_.has_value()) failure_ = status;
}

void ClusterCoordinator::OnPhase(const std::string& job, JobPhase phase, const std::string& why) {
  LogInfo("job", {{"job", job}, {"state", std::string(JobPhaseName(phase))}, {"why", why}});
}

void ClusterCoordinator::OnJobEnded(const std::string& job, int64_t serial, const Status& status) {
  const auto led = led_.find(job);
  if (led == led_.end() || led->second.observer->serial() != serial) return;
  state_.OnAttemptDone(job, led->second.attempt->attempt(), status, now(), this);
}

// ---- what people ask
// --------------------------------------------------------------------------------

Status ClusterCoordinator::Apply(const std::string& name, const std::string& file_name,
                                 const std::string& file) {
  Ask([&] {
    const int64_t wall = options_.surroundings.clock->Wall().time_since_epoch().count();
    state_.Apply(name, file_name, file, wall, now(), this);
  });
  return failure().value_or(Status::OK());
}

Status ClusterCoordinator::SetDesire(const std::string& name, proto::JobDesire desire) {
  Status status;
  Ask([&] { status = state_.SetDesire(name, desire, now(), this); });
  return status;
}

Status ClusterCoordinator::Rescale(const std::string& name, int32_t parallelism) {
  Status status;
  Ask([&] { status = state_.Rescale(name, parallelism, now(), this); });
  return status;
}

Status ClusterCoordinator::Remove(const std::string& name) {
  Status status;
  Ask([&] { status = state_.Remove(name, this); });
  return status;
}

std::vector<JobView> ClusterCoordinator::Jobs() {
  std::vector<JobView> views;
  Ask([&] {
    for (const auto& [name, job] : state_.jobs()) {
      JobView view;
      view.record = job.record;
      view.phase = job.phase;
      view.why = job.why;
      view.attempt = job.attempt;
      view.restarts = job.restarts;
      if (!job.last_failure.ok()) view.last_failure = job.last_failure.message();
      for (const auto& [worker, info] : job.workers) view.workers.push_back(worker);
      view.in_phase = now() - job.since;
      if (const auto led = led_.find(name); led != led_.end()) {
        if (led->second.prepared) view.slots = led->second.attempt->slots();
        view.checkpoints = led->second.checkpoints;
        view.last_epoch = led->second.last_epoch;
      }
      for (const auto& [worker, load] : loads_[name]) {
        if (load.attempt() != job.attempt) continue;
        if (load.lag_records() >= 0) {
          view.lag_records = std::max<int64_t>(view.lag_records, 0) + load.lag_records();
        }
        view.state_bytes += load.state_bytes();
      }
      views.push_back(std::move(view));
    }
  });
  return views;
}

std::vector<WorkerView> ClusterCoordinator::Workers() {
  std::vector<WorkerView> views;
  Ask([&] {
    for (const auto& [name, worker] : state_.workers()) {
      views.push_back({worker, now() - beats_[name]});
    }
  });
  return views;
}

}  // namespace millrace
