#include "coordinator/cluster_coordinator.h"

#include "coordinator/led_job_metrics.h"
#include "engine/env/crash_point.h"
#include "engine/layout/sink_routes.h"
#include "engine/metrics/log.h"
#include "engine/wire/control_codec.h"

namespace millrace {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(20);
// Workers beat twice a second. The link tells of a lost one sooner; this finds those whose link
// lives while they do not.
constexpr auto kBeatTimeout = std::chrono::milliseconds(2500);
// What was told lately is shown for so long.
constexpr MonotonicTime kLately = std::chrono::seconds(30);
constexpr MonotonicTime kWatchEvery = std::chrono::seconds(1);
constexpr MonotonicTime kWatchedFor = std::chrono::seconds(5);
constexpr MonotonicTime kBlockedGone = std::chrono::seconds(1);
constexpr size_t kLineBytesMax = 4096;
constexpr size_t kWarnersMax = 1000;
// A worker that another one has lost, and that has not beaten twice, is lost here, too: else it
// might be the other one that a job is taken from.
constexpr auto kMissedBeats = std::chrono::milliseconds(1200);
// One that was stopped learns from the log that another has taken its place.
constexpr auto kLeadCheckEvery = std::chrono::milliseconds(500);

}  // namespace

// Lives as long as its attempt; called from the attempt's actors.
class ClusterCoordinator::Observer final : public JobObserver {
 public:
  Observer(ClusterCoordinator* cluster, std::string job, int64_t serial)
      : cluster_(cluster),
        job_(std::move(job)),
        serial_(serial),
        metrics_(JobMetricFamilies(cluster->options_.metrics, job_)) {}
  int64_t serial() const { return serial_; }

  void OnCheckpoint(const CompletedCheckpoint& checkpoint) override {
    metrics_.OnCheckpoint(checkpoint, cluster_->options_.surroundings.clock->Wall());
    OnLed([this_ = cluster_, job = job_, epoch = checkpoint.epoch](Led* led) {
      ++led->checkpoints;
      led->last_epoch = epoch.value();
      led->last_checkpoint = this_->now();
      this_->state_.OnCheckpoint(job, led->attempt->attempt(), this_);
    });
  }
  void OnAbandoned(Epoch epoch, const std::string& why) override {
    metrics_.OnAbandoned();
    LogWarn("a checkpoint was given up; the next one makes up for it",
            {{"job", job_}, {"epoch", epoch.value()}, {"why", why}});
    cluster_->events_.Post([this_ = cluster_, job = job_, why] {
      this_->Tell(job, /*is_warning=*/true, "coordinator", "a checkpoint was given up: " + why);
    });
  }
  void OnSavepoint(const std::string& name, const Status& status) override {
    cluster_->events_.Post(
        [this_ = cluster_, job = job_, name, status] { this_->OnSavepoint(job, name, status); });
  }
  void OnUnpublished(int64_t epochs, int64_t bytes) override {
    metrics_.OnUnpublished(epochs, bytes);
    OnLed([epochs, bytes](Led* led) {
      led->unpublished_epochs = epochs;
      led->unpublished_bytes = bytes;
    });
  }
  void OnCheckpointsBlocked(Blocked why, MonotonicTime since) override {
    if (why == Blocked::kPending) metrics_.OnDelayed(cluster_->now() - since);
    OnLed([why, since, told = cluster_->now()](Led* led) {
      led->blocked = why;
      led->blocked_since = since;
      led->blocked_told = told;
    });
  }
  void OnSources(const std::vector<SourceProgress>& sources) override {
    OnLed([sources](Led* led) { led->sources = sources; });
  }
  void OnEnded(const Status& status) override {
    cluster_->events_.Post([this_ = cluster_, job = job_, serial = serial_, status] {
      this_->OnJobEnded(job, serial, status);
    });
  }

 private:
  // On the thread that decides, if the attempt is not over by then.
  template <typename What>
  void OnLed(What what) {
    cluster_->events_.Post([this_ = cluster_, job = job_, serial = serial_, what] {
      if (Led* const led = this_->LedOf(job, serial)) what(led);
    });
  }

  ClusterCoordinator* const cluster_;
  const std::string job_;
  const int64_t serial_;
  LedJobMetrics metrics_;
};

ClusterCoordinator::ClusterCoordinator(ClusterCoordinatorOptions options, ClusterLog* log)
    : options_(std::move(options)),
      log_(log),
      state_(log->catalog(), now()),
      metrics_(options_.metrics),
      exchange_metrics_(options_.metrics) {}

Result<std::unique_ptr<ClusterCoordinator>> ClusterCoordinator::Start(
    ClusterCoordinatorOptions options, ClusterLog* log) {
  std::unique_ptr<ClusterCoordinator> cluster(new ClusterCoordinator(std::move(options), log));
  LinkOptions link = cluster->options_.link;
  link.self.role = LinkRole::kCoordinator;
  link.accept_roles = {LinkRole::kWorker};
  proto::CoordinatorOffer offer;
  offer.set_term(log->term());
  link.self.attributes = offer.SerializeAsString();
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
  endings_.clear();
  if (exchange_ != nullptr) exchange_->network().Stop();
}

std::optional<Status> ClusterCoordinator::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void ClusterCoordinator::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    options_.pulse->Beat();
    HoldPoint("coordinator_turn");
    const MonotonicTime turn = now();
    if (turn - lead_checked_ > kLeadCheckEvery) StillLeads();
    events_.RunWithin(kTurn, stop);
    LoseSilentWorkers(turn);
    placements_.BeginTurn();
    state_.OnTick(now(), this);
    WatchJobs();
    metrics_.Update(state_, log_->term(), now());
    exchange_metrics_.Update(exchange_.get(), now());
  }
  // Who still asks is not left waiting.
  events_.RunWithin(std::chrono::milliseconds(0));
  options_.pulse->End();
}

bool ClusterCoordinator::StillLeads() {
  lead_checked_ = now();
  const Status status = log_->CheckLeads();
  if (status.ok()) return true;
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  if (detail == nullptr || detail->code() != "superseded") {
    LogStatus(LogLevel::kWarn, "the cluster's log cannot be read", status);
    return true;
  }
  state_.LoseLead(status);
  EndWith(status);
  return false;
}

void ClusterCoordinator::EndWith(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (!failure_.has_value()) failure_ = status;
}

// ---- workers ------------------------------------------------------------------------------------

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
    worker.metrics_address = offer.metrics_address();
    LogInfo("a worker has come",
            {{"worker", worker.name}, {"slots", worker.slots}, {"protocol", peer.protocol}});
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

// All beats that came before `turn` have been taken, however long what came with them took.
void ClusterCoordinator::LoseSilentWorkers(MonotonicTime turn) {
  std::vector<WorkerInfo> silent;
  for (const auto& [name, worker] : state_.workers()) {
    if (turn - beats_[name] > kBeatTimeout) silent.push_back(worker);
  }
  for (const WorkerInfo& worker : silent) LoseSilent(worker);
}

void ClusterCoordinator::LoseSilent(const WorkerInfo& worker) {
  LogWarn("a worker is silent", {{"worker", worker.name}});
  exchange_->network().Close(LinkSessionId(worker.session));
  state_.OnWorkerLost(worker.name, worker.session, "it is silent", now(), this);
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
      if (!deployed.unreachable().empty()) {
        return state_.OnPeerLost(deployed.job(), deployed.attempt(), worker.name,
                                 deployed.unreachable(), status.message(), now(), this);
      }
      return state_.OnDeployed(deployed.job(), deployed.attempt(), worker.name, status, now(),
                               this);
    }
    case proto::ClusterMessage::kAttemptEnded:
      return state_.OnAttemptEnded(message.attempt_ended().job(), message.attempt_ended().attempt(),
                                   worker.name, now(), this);
    case proto::ClusterMessage::kPeerLost: {
      const proto::PeerLost& lost = message.peer_lost();
      const auto peer = state_.workers().find(lost.peer());
      if (peer != state_.workers().end() && now() - beats_[lost.peer()] > kMissedBeats) {
        LoseSilent(WorkerInfo(peer->second));
      }
      return state_.OnPeerLost(lost.job(), lost.attempt(), worker.name, lost.peer(),
                               "worker '" + worker.name + "' has lost worker '" + lost.peer() +
                                   "': " + DecodeStatus(lost.why()).message(),
                               now(), this);
    }
    case proto::ClusterMessage::kWatchedRows:
      return TakeRows(message.watched_rows());
    default:
      LogWarn("a message of a worker is not known here",
              {{"worker", worker.name}, {"kind", int64_t(message.kind_case())}});
  }
}

void ClusterCoordinator::TakeBeat(LinkSessionId session, const proto::Beat& beat) {
  const WorkerInfo* const worker = WorkerOf(session);
  beats_[worker->name] = now();
  for (auto& [job, loads] : loads_) loads.erase(worker->name);
  std::vector<AttemptOnWorker> attempts;
  for (const proto::AttemptLoad& load : beat.attempts()) {
    placements_.TakeLoad(load, now());
    loads_[load.job()][worker->name] = load;
    attempts.push_back({load.job(), load.attempt()});
    const auto led = led_.find(load.job());
    if (led == led_.end()) continue;
    for (const proto::SinkLoad& sink : load.sinks()) {
      if (sink.latency() < 0) continue;
      auto& [longest, until] = led->second.latencies[sink.name()];
      longest = until < now() ? sink.latency() : std::max(longest, sink.latency());
      until = now() + kLately;
    }
  }
  TakeLines(worker->name, beat);
  if (beat.peers_size() > 0) {
    const std::set<std::string> peers(beat.peers().begin(), beat.peers().end());
    state_.OnPeers(worker->name, peers, now());
  }
  state_.OnAttemptsOf(worker->name, worker->session, attempts, this);
}

void ClusterCoordinator::TakeLines(const std::string& worker, const proto::Beat& beat) {
  for (const proto::WorkerLine& line : beat.lines()) {
    const auto told = told_.find(line.job());
    if (told == told_.end()) continue;
    const std::string message = line.message().substr(0, kLineBytesMax);
    told->second.log.Add({EventTime(Micros(line.wall())), /*is_warning=*/true, worker, message});
    const auto led = led_.find(line.job());
    const size_t end = message.find(": ");
    if (led == led_.end() || end == std::string::npos) continue;
    auto& warnings = led->second.warnings;
    const std::string who = message.substr(0, end);
    if (warnings.size() < kWarnersMax || warnings.contains(who)) {
      warnings[who] = {message.substr(end + 2), now() + kLately};
    }
  }
}

void ClusterCoordinator::TakeRows(const proto::WatchedRows& watched) {
  const auto told = told_.find(watched.job());
  if (told == told_.end()) return;
  for (const proto::WatchedRow& row : watched.rows()) {
    told->second.rows.Add({row.sink(), row.row()});
  }
  told->second.rows.Skip(watched.dropped());
}

// Workers show rows for a few seconds each time that they are asked.
void ClusterCoordinator::WatchJobs() {
  if (now() - watches_sent_ < kWatchEvery) return;
  watches_sent_ = now();
  for (const auto& [name, told] : told_) {
    if (told.watched == MonotonicTime(0) || now() - told.watched > kWatchedFor) continue;
    const auto job = state_.jobs().find(name);
    if (job == state_.jobs().end() || job->second.phase != JobPhase::kRunning) continue;
    for (const auto& [of, worker] : job->second.workers) {
      proto::ClusterMessage message;
      message.mutable_watch_rows()->set_job(name);
      message.mutable_watch_rows()->set_attempt(job->second.attempt);
      Send(worker.session, std::move(message));
    }
  }
}

void ClusterCoordinator::Tell(const std::string& job, bool is_warning, const std::string& where,
                              std::string message) {
  if (message.size() > kLineBytesMax) message.resize(kLineBytesMax);
  told_[job].log.Add({options_.surroundings.clock->Wall(), is_warning, where, std::move(message)});
}

ClusterCoordinator::Led* ClusterCoordinator::LedOf(const std::string& job, int64_t serial) {
  const auto led = led_.find(job);
  if (led == led_.end() || led->second.observer->serial() != serial) return nullptr;
  return &led->second;
}

void ClusterCoordinator::Send(uint64_t session, proto::ClusterMessage message) {
  message.set_term(log_->term());
  const Status status = exchange_->SendControl(LinkSessionId(session), message);
  if (!status.ok()) LogStatus(LogLevel::kWarn, "a worker is not told", status);
}

// ---- ClusterHost --------------------------------------------------------------------------------

void ClusterCoordinator::Prepare(const proto::JobRecord& job,
                                 const std::vector<WorkerInfo>& workers) {
  // The job's log is about to be claimed, which would end what a successor runs.
  if (!StillLeads()) return;
  const std::string& name = job.name();
  Led& led = led_[name];
  led = Led();
  const int64_t serial = ++serial_;
  led.observer = std::make_unique<Observer>(this, name, serial);
  led.attempt =
      std::make_unique<LedAttempt>(options_.surroundings, job, workers,
                                   state_.jobs().at(name).keeps_parallelism(), led.observer.get());
  const auto ending = endings_.find(name);
  const std::shared_future<void> ended =
      ending == endings_.end() ? std::shared_future<void>() : ending->second.done;
  led.thread = std::jthread([this, name, serial, ended, attempt = led.attempt.get()] {
    if (ended.valid()) ended.wait();
    const Status status = attempt->Prepare();
    events_.Post([this, name, serial, status] {
      Led* const prepared = LedOf(name, serial);
      if (prepared == nullptr) return;
      if (!status.ok()) return state_.OnPrepareFailed(name, status, now(), this);
      Place(name, prepared->attempt.get());
      prepared->prepared = true;
      state_.OnPrepared(name, prepared->attempt->Prepared(), now(), this);
    });
  });
}

// On the thread that decides, so that jobs that are prepared at the same time see each other.
void ClusterCoordinator::Place(const std::string& job, LedAttempt* attempt) {
  if (attempt->finished()) return;
  const JobPlacement& placement =
      placements_.Place(job, attempt->attempt(), attempt->wanted(), attempt->partitions(),
                        attempt->workers(), state_.jobs(), attempt->kept());
  for (const std::string& note : placement.notes) LogInfo(note, {{"job", job}});
  attempt->Place(placement.slots);
  TellMisfits(job, attempt->Misfits());
}

void ClusterCoordinator::TellMisfits(const std::string& job, std::vector<std::string> misfits) {
  std::vector<std::string>& told = told_[job].misfits;
  if (told == misfits) return;
  told = std::move(misfits);
  for (const std::string& misfit : told) {
    LogWarn(misfit, {{"job", job}});
    Tell(job, /*is_warning=*/true, "coordinator", misfit);
  }
}

void ClusterCoordinator::AbandonPreparation(const std::string& job) {
  // None where it was not begun, as another process leads.
  if (const auto led = led_.find(job); led != led_.end()) led->second.attempt->GiveUp();
}

void ClusterCoordinator::Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) {
  LedAttempt& led = *led_.at(job).attempt;
  led.TakeTheLead();
  proto::ClusterMessage message;
  *message.mutable_deploy() = led.deployment();
  Send(worker.session, std::move(message));
}

void ClusterCoordinator::Launch(const std::string& job, int64_t attempt) {
  led_.at(job).attempt->Launch();
}

void ClusterCoordinator::RequestStop(const std::string& job, int64_t attempt) {
  led_.at(job).attempt->RequestStop();
}

void ClusterCoordinator::EndLeading(const std::string& job) {
  const auto found = led_.find(job);
  if (found == led_.end()) return;
  if (found->second.attempt != nullptr) found->second.attempt->GiveUp();
  // Not here: it waits for clients and actors.
  Ending& ending = endings_[job];
  std::promise<void> done;
  std::shared_future<void> future = done.get_future().share();
  ending.thread = std::jthread([done = std::move(done), led = std::move(found->second),
                                before = std::move(ending.thread)]() mutable {
    before = {};
    led.thread = {};
    led.attempt.reset();  // before the observer, whom it tells
    done.set_value();
  });
  ending.done = std::move(future);
  led_.erase(found);
  for (auto& [name, savepoint] : told_[job].savepoints) {
    if (savepoint.state() != "in_progress") continue;
    savepoint.set_state("failed");
    savepoint.set_why("the attempt ended before it was complete; ask again");
  }
}

void ClusterCoordinator::EndOnWorker(const std::string& job, int64_t attempt,
                                     const WorkerInfo& worker) {
  proto::ClusterMessage message;
  message.mutable_end_attempt()->set_job(job);
  message.mutable_end_attempt()->set_attempt(attempt);
  Send(worker.session, std::move(message));
}

bool ClusterCoordinator::WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) {
  return placements_.WouldMove(job, workers, state_.jobs());
}

void ClusterCoordinator::MayLeave(const WorkerInfo& worker) {
  metrics_.OnMayLeave(worker);
  proto::ClusterMessage message;
  message.mutable_may_leave();
  Send(worker.session, std::move(message));
}

void ClusterCoordinator::Drop(const WorkerInfo& worker) {
  LogWarn("a worker does not end an attempt: it counts as lost", {{"worker", worker.name}});
  exchange_->network().Close(LinkSessionId(worker.session));
}

Status ClusterCoordinator::Persist() {
  const Status status = log_->Write(state_.ToCatalog());
  if (status.ok()) return status;
  LogStatus(LogLevel::kError, "the catalog cannot be written", status);
  EndWith(status);
  return status;
}

void ClusterCoordinator::OnPhase(const std::string& job, JobPhase phase, const std::string& why) {
  const std::string state(JobPhaseName(phase));
  LogInfo("job", {{"job", job}, {"state", state}, {"why", why}});
  Tell(job, /*is_warning=*/phase == JobPhase::kFailed, "coordinator",
       state + (why.empty() ? "" : ": " + why));
  metrics_.OnPhase(state_.jobs().at(job));
}

void ClusterCoordinator::OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) {
  LogError("a job's state changes in a way that is not foreseen: a defect of the coordinator",
           {{"job", job},
            {"from", std::string(JobPhaseName(from))},
            {"to", std::string(JobPhaseName(to))}});
}

void ClusterCoordinator::OnJobEnded(const std::string& job, int64_t serial, const Status& status) {
  const Led* const led = LedOf(job, serial);
  if (led == nullptr) return;
  if (!status.ok()) Tell(job, /*is_warning=*/true, "coordinator", status.message());
  state_.OnAttemptDone(job, led->attempt->attempt(), status, now(), this);
}

// ---- what people ask ----------------------------------------------------------------------------

// By who leads at that moment: also a wish that changes nothing is a promise.
Status ClusterCoordinator::AskWhoLeads(const std::function<Status()>& wish) {
  return Ask([&] {
    StillLeads();
    return wish();
  });
}

Result<ApplyAction> ClusterCoordinator::Apply(const std::string& name, const std::string& file_name,
                                              const std::string& file, bool dry_run) {
  ApplyAction action = ApplyAction::kUnchanged;
  const auto wish = [&] {
    const auto found = state_.jobs().find(name);
    if (found == state_.jobs().end()) {
      action = ApplyAction::kCreated;
      if (state_.jobs().size() >= kJobsMax) {
        return UserError("too_many_jobs", "a cluster has at most 1000 jobs; delete ended ones");
      }
    } else if (found->second.record.file() != file) {
      action = ApplyAction::kChanged;
    }
    if (dry_run) return Status::OK();
    const int64_t wall = options_.surroundings.clock->Wall().time_since_epoch().count();
    return state_.Apply(name, file_name, file, wall, now(), this);
  };
  ARROW_RETURN_NOT_OK(AskWhoLeads(wish));
  return action;
}

Status ClusterCoordinator::SetDesire(const std::string& name, proto::JobDesire desire) {
  return AskWhoLeads([&] { return state_.SetDesire(name, desire, now(), this); });
}

Status ClusterCoordinator::Rescale(const std::string& name, int32_t parallelism) {
  return AskWhoLeads([&] { return state_.Rescale(name, parallelism, now(), this); });
}

Status ClusterCoordinator::Restore(const std::string& name, const proto::RestorePoint& point) {
  return AskWhoLeads([&] { return state_.Restore(name, point, now(), this); });
}

Status ClusterCoordinator::Remove(const std::string& name) {
  return AskWhoLeads([&] {
    // What is shown of a job goes with it, and its last attempt still shows something.
    const auto ending = endings_.find(name);
    if (ending != endings_.end() &&
        ending->second.done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      return UserError("job_is_running",
                       "the last attempt of job '" + name + "' is still being ended: ask again");
    }
    ARROW_RETURN_NOT_OK(state_.Remove(name, this));
    for (const auto& [of, worker] : state_.workers()) {
      proto::ClusterMessage message;
      message.mutable_forget_job()->set_job(name);
      Send(worker.session, std::move(message));
    }
    told_.erase(name);
    loads_.erase(name);
    placements_.Forget(name);
    endings_.erase(name);
    return Status::OK();
  });
}

void ClusterCoordinator::ViewAttempt(const Led& led, JobView* view) {
  if (!led.prepared || view->phase == JobPhase::kFinished) return;
  view->slots = led.attempt->slots();
  view->checkpoints = led.checkpoints;
  view->last_epoch = led.last_epoch;
  if (led.last_checkpoint.has_value()) view->since_checkpoint = now() - *led.last_checkpoint;
  const CheckedJob& job = led.attempt->job();
  view->checkpoint_interval = job.spec.checkpoint.interval;
  view->unpublished_epochs = led.unpublished_epochs;
  view->unpublished_bytes = led.unpublished_bytes;
  if (now() - led.blocked_told < kBlockedGone) {
    view->blocked = led.blocked;
    view->blocked_for = now() - led.blocked_since;
  }
  for (const SourceProgress& source : led.sources) {
    view->sources.push_back({job.plan.node(source.node).stream, source});
  }
  for (size_t i = 0; i < job.spec.sinks.size(); ++i) {
    view->sinks[SinkName(int32_t(i))] = TargetOf(job.spec.sinks[i]);
  }
  for (const auto& [sink, latency] : led.latencies) {
    if (latency.second >= now()) view->longest_latencies[sink] = latency.first;
  }
  for (const auto& [who, warning] : led.warnings) {
    if (warning.second >= now()) view->last_warnings[who] = warning.first;
  }
}

JobView ClusterCoordinator::ViewOf(const std::string& name, const ClusterState::Job& job) {
  JobView view;
  view.record = job.record;
  view.phase = job.phase;
  view.why = job.why;
  view.attempt = job.attempt;
  view.restarts = job.restarts;
  if (!job.last_failure.ok()) view.last_failure = job.last_failure.message();
  view.in_phase = now() - job.since;
  view.wall = options_.surroundings.clock->Wall();
  if (const auto led = led_.find(name); led != led_.end()) {
    ViewAttempt(led->second, &view);
    const JobPlacement* const placed = placements_.Find(name);
    if (placed != nullptr && !view.slots.empty()) view.notes = placed->notes;
  }
  if (const auto loads = loads_.find(name); loads != loads_.end()) {
    for (const auto& [worker, load] : loads->second) {
      if (load.attempt() == job.attempt) view.loads[worker] = load;
    }
  }
  return view;
}

std::vector<JobView> ClusterCoordinator::Jobs() {
  return Ask([&] {
    std::vector<JobView> views;
    for (const auto& [name, job] : state_.jobs()) views.push_back(ViewOf(name, job));
    return views;
  });
}

Result<JobView> ClusterCoordinator::Job(const std::string& name) {
  return Ask([&]() -> Result<JobView> {
    ARROW_ASSIGN_OR_RAISE(const ClusterState::Job* const job, state_.JobOf(name));
    return ViewOf(name, *job);
  });
}

size_t ClusterCoordinator::JobCount() {
  return Ask([&] { return state_.jobs().size(); });
}

JobLog::Page ClusterCoordinator::LogOf(const std::string& name, int64_t after, size_t limit,
                                       bool warnings_only) {
  return Ask([&] {
    const auto told = told_.find(name);
    if (told == told_.end()) return JobLog::Page();
    return told->second.log.After(
        after, limit, [&](const JobLine& line) { return line.is_warning || !warnings_only; });
  });
}

std::vector<JobLog::Entry> ClusterCoordinator::LastLines(const std::string& name, size_t count) {
  return Ask([&] {
    const auto told = told_.find(name);
    return told == told_.end() ? std::vector<JobLog::Entry>() : told->second.log.Last(count);
  });
}

JobRows::Page ClusterCoordinator::RowsOf(const std::string& name, int64_t after, size_t limit,
                                         const std::string& sink) {
  return Ask([&] {
    if (!state_.jobs().contains(name)) return JobRows::Page();
    Told& told = told_[name];
    told.watched = now();
    return told.rows.After(after, limit,
                           [&](const JobRow& row) { return sink.empty() || row.sink == sink; });
  });
}

Status ClusterCoordinator::BeginSavepoint(const std::string& name, const std::string& savepoint) {
  return Ask([&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const ClusterState::Job* const job, state_.JobOf(name));
    const auto led = led_.find(name);
    if (job->phase != JobPhase::kRunning || led == led_.end()) {
      return UserError("job_not_running", "job '" + name + "' is " +
                                              std::string(JobPhaseName(job->phase)) +
                                              ": ask again when it runs, or pause it first");
    }
    auto& savepoints = told_[name].savepoints;
    while (savepoints.size() >= kSavepointsTold) savepoints.erase(savepoints.begin());
    proto::SavepointStatus& begun = savepoints[savepoint];
    if (begun.state() == "in_progress") return Status::OK();  // it is the one that was asked for
    begun.set_name(savepoint);
    begun.set_state("in_progress");
    begun.clear_why();
    led->second.attempt->RequestSavepoint(savepoint);
    Tell(name, /*is_warning=*/false, "coordinator", "savepoint '" + savepoint + "' is begun");
    return Status::OK();
  });
}

void ClusterCoordinator::OnSavepoint(const std::string& job, const std::string& savepoint,
                                     const Status& status) {
  const auto told = told_.find(job);
  if (told == told_.end()) return;
  const auto found = told->second.savepoints.find(savepoint);
  if (found == told->second.savepoints.end()) return;
  found->second.set_state(status.ok() ? "complete" : "failed");
  if (!status.ok()) found->second.set_why(status.message());
  Tell(job, !status.ok(), "coordinator",
       "savepoint '" + savepoint + "' " +
           (status.ok() ? "is complete" : "failed: " + status.message()));
}

std::map<std::string, proto::SavepointStatus> ClusterCoordinator::SavepointsOf(
    const std::string& name) {
  return Ask([&] {
    const auto told = told_.find(name);
    return told == told_.end() ? std::map<std::string, proto::SavepointStatus>()
                               : told->second.savepoints;
  });
}

std::vector<WorkerView> ClusterCoordinator::Workers() {
  return Ask([&] {
    std::vector<WorkerView> views;
    for (const auto& [name, worker] : state_.workers()) {
      WorkerView view{worker, now() - beats_[name], {}};
      for (const auto& [of, job] : state_.jobs()) {
        if (job.workers.contains(name)) view.jobs.push_back(of);
      }
      views.push_back(std::move(view));
    }
    return views;
  });
}

}  // namespace millrace
