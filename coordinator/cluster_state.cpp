#include "coordinator/cluster_state.h"

#include <algorithm>
#include <tuple>

#include "engine/base/diagnostics.h"
#include "engine/wire/control_codec.h"

namespace millrace {
namespace {

bool HasAttempt(JobPhase phase) {
  return phase == JobPhase::kDeploying || phase == JobPhase::kRunning ||
         phase == JobPhase::kStopping;
}

bool IsOver(JobPhase phase) { return phase == JobPhase::kFinished || phase == JobPhase::kFailed; }

bool IsWanted(const ClusterState::Job& job) { return job.record.desire() == proto::JOB_RUNNING; }

// Somebody has asked for something else since the attempt began.
bool IsOutdated(const ClusterState::Job& job) { return job.record.version() != job.version; }

void Blame(ClusterState::Job* job, RestartCause cause) {
  if (job->cause == RestartCause::kOther) job->cause = cause;
}

// Workers that come are no order: of several that were lost one may be back.
void OrderFewerSlots(ClusterState::Job* job) { job->ordered_at = job->attempt; }

// The size that is wanted is no trial any more.
void ForgetRescale(proto::JobRecord* record) {
  record->clear_rescale();
  record->clear_rescale_failure();
}

// Somebody has said anew what is to run: what became of it before counts no more.
void WantFromNowOn(proto::JobRecord* record) {
  record->set_version(record->version() + 1);
  record->set_desire(proto::JOB_RUNNING);
  record->set_finished(false);
  record->clear_failure();
  ForgetRescale(record);
}

// Whether its attempt has something there.
bool LivesOn(const ClusterState::Job& job, const WorkerInfo& worker) {
  if (!HasAttempt(job.phase) && job.phase != JobPhase::kEnding) return false;
  const auto part = job.workers.find(worker.name);
  return part != job.workers.end() && part->second.session == worker.session;
}

}  // namespace

ClusterState::ClusterState(const proto::Catalog& catalog, MonotonicTime now) {
  for (const proto::JobRecord& record : catalog.jobs()) {
    Job job;
    job.record = record;
    job.since = now;
    if (record.finished()) {
      job.phase = JobPhase::kFinished;
      job.why = "every source has ended";
    } else if (record.has_failure()) {
      job.phase = JobPhase::kFailed;
      job.last_failure = DecodeStatus(record.failure());
      job.why = job.last_failure.message();
    } else if (record.desire() == proto::JOB_PAUSED) {
      job.phase = JobPhase::kPaused;
    } else if (record.desire() == proto::JOB_CANCELED) {
      job.phase = JobPhase::kCanceled;
    }
    jobs_[record.name()] = std::move(job);
  }
}

proto::Catalog ClusterState::ToCatalog() const {
  proto::Catalog catalog;
  catalog.set_format(1);
  for (const auto& [name, job] : jobs_) *catalog.add_jobs() = job.record;
  return catalog;
}

ClusterState::Job* ClusterState::Find(const std::string& name, int64_t attempt) {
  const auto found = jobs_.find(name);
  return found == jobs_.end() || found->second.attempt != attempt ? nullptr : &found->second;
}

Result<const ClusterState::Job*> ClusterState::JobOf(const std::string& name) const {
  const auto found = jobs_.find(name);
  if (found != jobs_.end()) return &found->second;
  std::vector<std::string> names;
  names.reserve(jobs_.size());
  for (const auto& [of, job] : jobs_) names.push_back(of);
  const std::string nearest = NearestName(name, names);
  return UserError("job_unknown", "there is no job '" + name + "'" +
                                      (nearest.empty() ? "" : "; do you mean '" + nearest + "'?"));
}

Result<ClusterState::Job*> ClusterState::Known(const std::string& name) {
  ARROW_RETURN_NOT_OK(JobOf(name).status());
  return &jobs_.at(name);
}

void ClusterState::Enter(Job* job, JobPhase phase, const std::string& why, MonotonicTime now,
                         ClusterHost* host) {
  if (!IsLegalTransition(job->phase, phase)) {
    host->OnIllegalTransition(job->record.name(), job->phase, phase);
  }
  job->phase = phase;
  job->why = why;
  job->since = now;
  host->OnPhase(job->record.name(), phase, why);
}

void ClusterState::Persist(ClusterHost* host) {
  if (leading_.ok()) leading_ = host->Persist();
}

bool ClusterState::IsThere(const WorkerInfo& worker) const {
  const auto known = workers_.find(worker.name);
  return known != workers_.end() && known->second.session == worker.session;
}

std::vector<WorkerInfo> ClusterState::StayingWorkers() const {
  std::vector<WorkerInfo> staying;
  for (const auto& [name, worker] : workers_) {
    if (!worker.leaving) staying.push_back(worker);
  }
  LeaveOutCutOff(&staying);
  return staying;
}

// Those first that most others are cut off from; then those that offer less.
void ClusterState::LeaveOutCutOff(std::vector<WorkerInfo>* workers) const {
  if (cut_off_.empty()) return;  // what follows looks at all pairs, and each job asks
  const auto cuts = [&](const WorkerInfo& worker) {
    return std::ranges::count_if(*workers, [&](const WorkerInfo& other) {
      return cut_off_.contains({worker.name, other.name}) ||
             cut_off_.contains({other.name, worker.name});
    });
  };
  while (!workers->empty()) {
    const auto worst = std::ranges::max_element(*workers, {}, [&](const WorkerInfo& worker) {
      return std::tuple(cuts(worker), -worker.slots, worker.name);
    });
    if (cuts(*worst) == 0) return;
    workers->erase(worst);
  }
}

void ClusterState::ForgetWorker(const std::string& name) {
  may_leave_told_.erase(name);
  std::erase_if(cut_off_,
                [&](const auto& pair) { return pair.first == name || pair.second == name; });
}

// ---- workers ------------------------------------------------------------------------------------

void ClusterState::OnWorker(WorkerInfo worker, MonotonicTime now, ClusterHost* host) {
  const std::string name = worker.name;
  std::optional<WorkerInfo> before;
  if (const auto known = workers_.find(name); known != workers_.end()) before = known->second;
  ForgetWorker(name);
  workers_[name] = std::move(worker);
  if (before.has_value()) FailAttemptsOn(*before, "it has come again", now, host);
  RescaleSoon(now);
  for (auto& [of, job] : jobs_) StartIfPossible(&job, now, host);
}

void ClusterState::OnWorkerLost(const std::string& name, uint64_t session, const std::string& why,
                                MonotonicTime now, ClusterHost* host) {
  const auto found = workers_.find(name);
  if (found == workers_.end() || found->second.session != session) return;
  const WorkerInfo worker = found->second;
  workers_.erase(found);
  ForgetWorker(name);
  FailAttemptsOn(worker, why, now, host);
}

void ClusterState::FailAttemptsOn(const WorkerInfo& worker, const std::string& why,
                                  MonotonicTime now, ClusterHost* host) {
  for (auto& [of, job] : jobs_) {
    const auto part = job.workers.find(worker.name);
    if (part == job.workers.end() || part->second.session != worker.session) continue;
    if (job.phase == JobPhase::kEnding) {
      job.ending.erase(worker.name);
      EndIfAllGone(&job, now, host);
    } else if (HasAttempt(job.phase)) {
      Fail(
          &job,
          ExternalError("worker_lost", "worker '" + worker.name + "' is lost: " + why, Retry::kYes),
          now, host);
    }
  }
}

void ClusterState::OnWorkerLeaving(const std::string& name, uint64_t session, MonotonicTime now,
                                   ClusterHost* host) {
  const auto found = workers_.find(name);
  if (found == workers_.end() || found->second.session != session || found->second.leaving) return;
  found->second.leaving = true;
  const std::string why = "worker '" + name + "' leaves";
  for (auto& [of, job] : jobs_) {
    OrderFewerSlots(&job);
    if (!job.workers.contains(name)) continue;
    if (job.phase != JobPhase::kRunning && job.phase != JobPhase::kDeploying) continue;
    Blame(&job, RestartCause::kWorkerLeft);
    if (job.phase == JobPhase::kRunning) {
      Stop(&job, why, now, host);
    } else {
      End(&job, why, now, host);
    }
  }
  LetLeave(host);
}

void ClusterState::OnPeers(const std::string& worker, const std::set<std::string>& peers,
                           MonotonicTime now) {
  const auto healed = std::erase_if(cut_off_, [&](const auto& pair) {
    return pair.first == worker && peers.contains(pair.second);
  });
  if (healed > 0) RescaleSoon(now);
}

void ClusterState::OnAttemptsOf(const std::string& name, uint64_t session,
                                const std::vector<AttemptOnWorker>& attempts, ClusterHost* host) {
  const auto worker = workers_.find(name);
  if (worker == workers_.end() || worker->second.session != session) return;
  for (const AttemptOnWorker& attempt : attempts) {
    const Job* const job = Find(attempt.job, attempt.attempt);
    if (job != nullptr && LivesOn(*job, worker->second)) continue;
    host->EndOnWorker(attempt.job, attempt.attempt, worker->second);
  }
}

void ClusterState::LetLeave(ClusterHost* host) {
  for (const auto& [name, worker] : workers_) {
    if (!worker.leaving || may_leave_told_.contains(name)) continue;
    const auto lives = [&there = worker](const auto& entry) {
      return LivesOn(entry.second, there);
    };
    if (std::ranges::any_of(jobs_, lives)) continue;
    may_leave_told_.insert(name);
    host->MayLeave(worker);
  }
}

// Several workers that come one after the other are one move. One that is being prepared does not
// know of them either.
void ClusterState::RescaleSoon(MonotonicTime now) {
  for (auto& [name, job] : jobs_) {
    if (job.phase == JobPhase::kPreparing || job.phase == JobPhase::kDeploying ||
        job.phase == JobPhase::kRunning) {
      job.rescale_at = now + kSettle;
    }
  }
}

// ---- what is wanted -----------------------------------------------------------------------------

Status ClusterState::Apply(const std::string& name, const std::string& file_name,
                           const std::string& file, int64_t wall_micros, MonotonicTime now,
                           ClusterHost* host) {
  Job& job = jobs_[name];
  proto::JobRecord& record = job.record;
  const bool is_new = record.name().empty();
  const bool same = !is_new && record.file() == file;
  const bool rests = job.phase == JobPhase::kFailed || job.phase == JobPhase::kPaused ||
                     job.phase == JobPhase::kCanceled;
  // What has finished stays so: a fresh start is a new generation.
  if (same && !rests && IsWanted(job)) {
    if (record.file_name() == file_name) return leading_;
    record.set_file_name(file_name);
    Persist(host);
    return leading_;
  }
  if (is_new) {
    record.set_name(name);
    record.set_created(wall_micros);
    job.since = now;
  }
  record.set_file_name(file_name);
  record.set_file(file);
  WantFromNowOn(&record);
  Persist(host);
  if (!leading_.ok()) return leading_;
  Blame(&job, RestartCause::kApplied);
  BeginAnew(&job, same || is_new ? "applied" : "the job file has changed", now, host);
  return Status::OK();
}

Status ClusterState::Restore(const std::string& name, const proto::RestorePoint& point,
                             MonotonicTime now, ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  proto::JobRecord& record = job->record;
  *record.mutable_restore() = point;
  WantFromNowOn(&record);
  Persist(host);
  if (!leading_.ok()) return leading_;
  Blame(job, RestartCause::kApplied);
  BeginAnew(job, "restored", now, host);
  return Status::OK();
}

// The next attempt is by the record as it is now, and what went wrong before counts no more.
void ClusterState::BeginAnew(Job* job, const std::string& why, MonotonicTime now,
                             ClusterHost* host) {
  job->policy.Forget();
  job->not_before = now;
  switch (job->phase) {
    case JobPhase::kPreparing:
      return Abandon(job, why, host);
    case JobPhase::kDeploying:
      return End(job, why, now, host);
    case JobPhase::kRunning:
      return Stop(job, why, now, host);
    case JobPhase::kStopping:
    case JobPhase::kEnding:
      return;  // AfterEnd looks at what is wanted then
    case JobPhase::kFinished:
    case JobPhase::kFailed:
    case JobPhase::kPaused:
    case JobPhase::kCanceled:
      Enter(job, JobPhase::kWaiting, why, now, host);
      [[fallthrough]];
    case JobPhase::kWaiting:
      return StartIfPossible(job, now, host);
  }
}

Status ClusterState::SetDesire(const std::string& name, proto::JobDesire desire, MonotonicTime now,
                               ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  if (job->phase == JobPhase::kFinished) {
    return UserError("job_ended", "job '" + name + "' has finished");
  }
  const bool rests = job->phase == JobPhase::kFailed || job->phase == JobPhase::kCanceled;
  if (rests && desire == proto::JOB_PAUSED) {
    return UserError("job_ended", "job '" + name + "' is " + std::string(JobPhaseName(job->phase)) +
                                      ": resume it, or apply it again");
  }
  if (job->record.desire() == desire && job->phase != JobPhase::kFailed) return leading_;
  job->record.set_desire(desire);
  job->record.set_version(job->record.version() + 1);
  job->record.clear_failure();
  Persist(host);
  if (!leading_.ok()) return leading_;
  Blame(job, RestartCause::kResumed);
  if (desire == proto::JOB_RUNNING) {
    // An attempt that was to end is begun again once it has.
    if (!HasAttempt(job->phase)) BeginAnew(job, "resumed", now, host);
    return Status::OK();
  }
  const bool paused = desire == proto::JOB_PAUSED;
  const std::string why = paused ? "paused" : "canceled";
  switch (job->phase) {
    case JobPhase::kPreparing:
      Abandon(job, why, host);
      break;
    case JobPhase::kDeploying:
      End(job, why, now, host);
      break;
    case JobPhase::kRunning:
      Stop(job, why, now, host);
      break;
    case JobPhase::kStopping:
    case JobPhase::kEnding:
      break;  // AfterEnd looks at what is wanted then
    default:
      Enter(job, paused ? JobPhase::kPaused : JobPhase::kCanceled, why, now, host);
  }
  return Status::OK();
}

Status ClusterState::Rescale(const std::string& name, int32_t parallelism, MonotonicTime now,
                             ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  if (job->record.parallelism() == parallelism) return leading_;
  const int32_t proven =
      job->record.has_rescale() ? job->record.rescale().before() : job->record.parallelism();
  ForgetRescale(&job->record);
  if (parallelism != proven) job->record.mutable_rescale()->set_before(proven);
  job->record.set_parallelism(parallelism);
  job->record.set_version(job->record.version() + 1);
  Persist(host);
  if (!leading_.ok()) return leading_;
  Blame(job, RestartCause::kRescaled);
  OrderFewerSlots(job);
  if (job->phase == JobPhase::kPreparing) Abandon(job, "rescaled", host);
  if (job->phase == JobPhase::kDeploying) End(job, "rescaled", now, host);
  if (job->phase == JobPhase::kRunning) Stop(job, "rescaled", now, host);
  return Status::OK();
}

Status ClusterState::Remove(const std::string& name, ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(const Job* const job, Known(name));
  if (!IsOver(job->phase) && job->phase != JobPhase::kCanceled) {
    return UserError(
        "job_is_running",
        "job '" + name + "' is " + std::string(JobPhaseName(job->phase)) + ": cancel it first");
  }
  jobs_.erase(name);
  Persist(host);
  return leading_;
}

// ---- attempts -----------------------------------------------------------------------------------

void ClusterState::StartIfPossible(Job* job, MonotonicTime now, ClusterHost* host) {
  if (job->phase != JobPhase::kWaiting || !IsWanted(*job) || now < job->not_before) return;
  if (!leading_.ok()) return;
  std::vector<WorkerInfo> staying = StayingWorkers();
  if (staying.empty()) {
    job->why = "no worker is there";
    return;
  }
  job->cause = RestartCause::kOther;
  job->rescale_at.reset();
  job->version = job->record.version();
  Enter(job, JobPhase::kPreparing, "finding its state and its sources", now, host);
  host->Prepare(job->record, staying);
}

// Its answer is still to come; then AfterEnd looks at what is wanted.
void ClusterState::Abandon(Job* job, const std::string& why, ClusterHost* host) {
  job->why = why;
  host->AbandonPreparation(job->record.name());
}

void ClusterState::OnPrepared(const std::string& name, PreparedAttempt prepared, MonotonicTime now,
                              ClusterHost* host) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end() || found->second.phase != JobPhase::kPreparing) {
    host->EndLeading(name);
    return;
  }
  Job& job = found->second;
  job.attempt = prepared.attempt;
  job.restart = prepared.restart;
  job.from = prepared.from;
  job.policy.OnAttempt();
  if (IsOutdated(job) || !leading_.ok()) return End(&job, job.why, now, host);
  if (prepared.finished) {
    host->EndLeading(name);
    job.record.clear_restore();
    job.record.set_finished(true);
    Persist(host);
    return Enter(&job, JobPhase::kFinished, "every source has ended", now, host);
  }
  const auto stays = [&](const WorkerInfo& worker) {
    return IsThere(worker) && !workers_.at(worker.name).leaving;
  };
  if (prepared.workers.empty() || !std::ranges::all_of(prepared.workers, stays)) {
    Blame(&job, RestartCause::kWorkersChanged);
    return End(&job, "its workers are no longer there", now, host);
  }
  // The new generation is in the job's log: it is not begun again.
  if (job.record.has_restore()) {
    job.record.clear_restore();
    Persist(host);
    if (!leading_.ok()) return End(&job, job.why, now, host);
  }
  job.deploying.clear();
  for (const WorkerInfo& worker : prepared.workers) {
    job.workers[worker.name] = worker;
    job.deploying.insert(worker.name);
  }
  Enter(&job, JobPhase::kDeploying, "restoring state on its workers", now, host);
  for (const WorkerInfo& worker : prepared.workers) host->Deploy(name, job.attempt, worker);
}

void ClusterState::OnPrepareFailed(const std::string& name, const Status& why, MonotonicTime now,
                                   ClusterHost* host) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end() || found->second.phase != JobPhase::kPreparing) return;
  Fail(&found->second, why, now, host);
}

void ClusterState::OnDeployed(const std::string& name, int64_t attempt, const std::string& worker,
                              const Status& status, MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || job->phase != JobPhase::kDeploying) return;
  if (!status.ok()) return Fail(job, status, now, host);
  job->deploying.erase(worker);
  if (!job->deploying.empty()) return;
  Enter(job, JobPhase::kRunning, "", now, host);
  if (!job->rescale_at.has_value()) job->rescale_at = now + kBalanceEvery;
  host->Launch(name, attempt);
}

void ClusterState::OnCheckpoint(const std::string& name, int64_t attempt, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  job->policy.OnCheckpoint();
  // One that runs on was not concerned.
  if (attempt != job->ordered_at || job->phase == JobPhase::kRunning) job->ordered_at.reset();
  // One of before the rescale says nothing about it.
  if (!job->record.has_rescale() || IsOutdated(*job)) return;
  job->record.clear_rescale();
  Persist(host);
}

void ClusterState::OnAttemptDone(const std::string& name, int64_t attempt, const Status& status,
                                 MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  if (!status.ok()) return Fail(job, status, now, host);
  if (job->phase != JobPhase::kStopping) {
    job->record.set_finished(true);
    Persist(host);
    return End(job, "every source has ended", now, host);
  }
  // That it had ended just before it was stopped is found when it is prepared again.
  End(job, job->why, now, host);
}

void ClusterState::OnAttemptBroken(const std::string& name, int64_t attempt, const std::string& why,
                                   MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  Fail(job, ExternalError("peer_lost", why, Retry::kYes), now, host);
}

void ClusterState::OnPeerLost(const std::string& name, int64_t attempt, const std::string& worker,
                              const std::string& peer, const std::string& why, MonotonicTime now,
                              ClusterHost* host) {
  const Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  // One that has come anew since the attempt began is not the one that was lost.
  const auto is_same = [&](const std::string& of) {
    const auto part = job->workers.find(of);
    return part != job->workers.end() && IsThere(part->second);
  };
  if (is_same(worker) && is_same(peer)) cut_off_.insert({worker, peer});
  OnAttemptBroken(name, attempt, why, now, host);
}

void ClusterState::Stop(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host) {
  job->rescale_at.reset();
  Enter(job, JobPhase::kStopping, why, now, host);
  host->RequestStop(job->record.name(), job->attempt);
}

void ClusterState::Fail(Job* job, const Status& status, MonotonicTime now, ClusterHost* host) {
  Blame(job, RestartCauseOf(status));
  job->last_failure = status;
  // The next attempt is another one anyhow: what is wrong with this one is nobody's concern.
  if (IsOutdated(*job)) return End(job, job->why, now, host);
  // Preparing is the same for any size; workers and sessions are lost at any.
  const bool tried = job->record.has_rescale() && job->phase != JobPhase::kPreparing;
  if (tried && !IsOfTheCluster(status)) return TakeRescaleBack(job, status, now, host);
  const bool running = job->phase == JobPhase::kRunning || job->phase == JobPhase::kStopping;
  const RestartPolicy::Verdict verdict =
      job->policy.OnFailure(status, running, job->from, job->restart, now);
  if (tried && verdict.give_up) return TakeRescaleBack(job, status, now, host);
  job->not_before = now + verdict.pause;
  if (verdict.give_up) {
    job->last_failure = status.WithMessage(verdict.why);
    EncodeStatus(job->last_failure, job->record.mutable_failure());
    Persist(host);
  } else if (job->phase == JobPhase::kPreparing) {
    ++job->restarts;
  }
  End(job, verdict.why, now, host);
}

void ClusterState::TakeRescaleBack(Job* job, const Status& why, MonotonicTime now,
                                   ClusterHost* host) {
  proto::JobRecord& record = job->record;
  const auto text = [](int32_t parallelism) {
    return parallelism == 0 ? std::string("the parallelism of its file")
                            : "parallelism " + std::to_string(parallelism);
  };
  const int32_t before = record.rescale().before();
  const std::string failure = "the rescale to " + text(record.parallelism()) +
                              " failed, and was taken back to " + text(before) + ": " +
                              why.message();
  ForgetRescale(&record);
  record.set_rescale_failure(failure);
  record.set_parallelism(before);
  record.set_version(record.version() + 1);
  Persist(host);
  job->policy.Forget();
  job->not_before = now;
  End(job, failure, now, host);
}

void ClusterState::End(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host) {
  const std::string& name = job->record.name();
  host->EndLeading(name);
  job->ending.clear();
  job->deploying.clear();
  if (job->phase == JobPhase::kPreparing) return AfterEnd(job, why, now, host);
  Enter(job, JobPhase::kEnding, why, now, host);
  for (const auto& [of, worker] : job->workers) {
    if (IsThere(worker)) job->ending.insert(of);
  }
  for (const std::string& of : job->ending) {
    host->EndOnWorker(name, job->attempt, job->workers.at(of));
  }
  EndIfAllGone(job, now, host);
}

void ClusterState::OnAttemptEnded(const std::string& name, int64_t attempt,
                                  const std::string& worker, MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || job->phase != JobPhase::kEnding) return;
  job->ending.erase(worker);
  EndIfAllGone(job, now, host);
}

void ClusterState::EndIfAllGone(Job* job, MonotonicTime now, ClusterHost* host) {
  if (job->phase != JobPhase::kEnding || !job->ending.empty()) return;
  AfterEnd(job, job->why, now, host);
}

void ClusterState::AfterEnd(Job* job, const std::string& why, MonotonicTime now,
                            ClusterHost* host) {
  job->workers.clear();
  if (job->record.finished()) {
    Enter(job, JobPhase::kFinished, why, now, host);
  } else if (job->record.has_failure()) {
    Enter(job, JobPhase::kFailed, job->last_failure.message(), now, host);
  } else if (job->record.desire() == proto::JOB_PAUSED) {
    Enter(job, JobPhase::kPaused, why, now, host);
  } else if (job->record.desire() == proto::JOB_CANCELED) {
    Enter(job, JobPhase::kCanceled, why, now, host);
  } else {
    if (job->phase == JobPhase::kEnding) ++job->restarts;
    Enter(job, JobPhase::kWaiting, why, now, host);
    StartIfPossible(job, now, host);
  }
  LetLeave(host);
}

// ---- time ---------------------------------------------------------------------------------------

void ClusterState::OnTick(MonotonicTime now, ClusterHost* host) {
  for (auto& [name, job] : jobs_) {
    StartIfPossible(&job, now, host);
    MoveIfDue(&job, now, host);
    LookAtTimeouts(&job, now, host);
  }
}

void ClusterState::MoveIfDue(Job* job, MonotonicTime now, ClusterHost* host) {
  if (job->phase != JobPhase::kRunning || !job->rescale_at.has_value()) return;
  if (now < *job->rescale_at) return;
  job->rescale_at = now + kBalanceEvery;
  if (!host->WouldMove(job->record.name(), StayingWorkers())) return;
  Blame(job, RestartCause::kWorkersChanged);
  Stop(job, "it is placed anew: workers or loads have changed", now, host);
}

void ClusterState::LookAtTimeouts(Job* job, MonotonicTime now, ClusterHost* host) {
  const MonotonicTime in_phase = now - job->since;
  if (job->phase == JobPhase::kDeploying && in_phase > kDeployTimeout) {
    return Fail(
        job,
        ExternalError("deploy_timeout",
                      "worker '" + *job->deploying.begin() + "' has not made its share of it",
                      Retry::kYes),
        now, host);
  }
  if (job->phase == JobPhase::kStopping && in_phase > kStopTimeout) {
    // Nothing is lost: it goes on from its last checkpoint.
    return Fail(
        job,
        ExternalError("stop_timeout", "it has not stopped in time (" + job->why + ")", Retry::kYes),
        now, host);
  }
  if (job->phase != JobPhase::kEnding || in_phase <= kEndTimeout) return;
  std::vector<WorkerInfo> late;
  late.reserve(job->ending.size());
  for (const std::string& of : job->ending) late.push_back(job->workers.at(of));
  for (const WorkerInfo& worker : late) {
    host->Drop(worker);
    OnWorkerLost(worker.name, worker.session, "it did not end an attempt", now, host);
  }
}

}  // namespace millrace
