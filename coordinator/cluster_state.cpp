#include "coordinator/cluster_state.h"

#include <algorithm>
#include <cassert>
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

void Blame(ClusterState::Job* job, RestartCause cause) {
  if (job->cause == RestartCause::kOther) job->cause = cause;
}

Status JobUnknown(const std::string& name, const std::vector<std::string>& names) {
  const std::string nearest = NearestName(name, names);
  return UserError("job_unknown", "there is no job '" + name + "'" +
                                      (nearest.empty() ? "" : "; do you mean '" + nearest + "'?"));
}

}  // namespace

std::string_view JobPhaseName(JobPhase phase) {
  switch (phase) {
    case JobPhase::kWaiting:
      return "waiting";
    case JobPhase::kPreparing:
      return "preparing";
    case JobPhase::kDeploying:
      return "deploying";
    case JobPhase::kRunning:
      return "running";
    case JobPhase::kStopping:
      return "stopping";
    case JobPhase::kEnding:
      return "ending";
    case JobPhase::kPaused:
      return "paused";
    case JobPhase::kCanceled:
      return "canceled";
    case JobPhase::kFinished:
      return "finished";
    case JobPhase::kFailed:
      return "failed";
  }
  return "unknown";
}

bool IsLegalTransition(JobPhase from, JobPhase to) {
  using enum JobPhase;
  switch (from) {
    case kWaiting:
      return to == kPreparing || to == kPaused || to == kCanceled;
    case kPreparing:
      return to == kDeploying || to == kWaiting || to == kPaused || to == kCanceled ||
             to == kFinished || to == kFailed;
    case kDeploying:
      return to == kRunning || to == kEnding;
    case kRunning:
      return to == kStopping || to == kEnding;
    case kStopping:
      return to == kEnding;
    case kEnding:
      return to == kWaiting || to == kPaused || to == kCanceled || to == kFinished || to == kFailed;
    case kPaused:
      return to == kWaiting || to == kCanceled;
    case kCanceled:
    case kFinished:
    case kFailed:
      return to == kWaiting;
  }
  return false;
}

ClusterState::ClusterState(const proto::Catalog& catalog) {
  for (const proto::JobRecord& record : catalog.jobs()) {
    Job job;
    job.record = record;
    if (record.finished()) {
      job.phase = JobPhase::kFinished;
    } else if (record.has_failure()) {
      job.phase = JobPhase::kFailed;
      job.last_failure = DecodeStatus(record.failure());
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

Result<ClusterState::Job*> ClusterState::Known(const std::string& name) {
  const auto found = jobs_.find(name);
  if (found != jobs_.end()) return &found->second;
  std::vector<std::string> names;
  names.reserve(jobs_.size());
  for (const auto& [of, job] : jobs_) names.push_back(of);
  return JobUnknown(name, names);
}

void ClusterState::Enter(Job* job, JobPhase phase, const std::string& why, MonotonicTime now,
                         ClusterHost* host) {
  assert(IsLegalTransition(job->phase, phase));
  job->phase = phase;
  job->why = why;
  job->since = now;
  host->OnPhase(job->record.name(), phase, why);
}

bool ClusterState::IsWanted(const Job& job) const {
  return job.record.desire() == proto::JOB_RUNNING;
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

// ---- workers ------------------------------------------------------------------------------------

void ClusterState::OnWorker(WorkerInfo worker, MonotonicTime now, ClusterHost* host) {
  if (const auto known = workers_.find(worker.name); known != workers_.end()) {
    OnWorkerLost(worker.name, known->second.session, "it has come again", now, host);
  }
  may_leave_told_.erase(worker.name);
  workers_[worker.name] = std::move(worker);
  RescaleSoon(now);
  for (auto& [name, job] : jobs_) StartIfPossible(&job, now, host);
}

void ClusterState::OnWorkerLost(const std::string& name, uint64_t session, const std::string& why,
                                MonotonicTime now, ClusterHost* host) {
  const auto found = workers_.find(name);
  if (found == workers_.end() || found->second.session != session) return;
  workers_.erase(found);
  may_leave_told_.erase(name);
  std::erase_if(cut_off_,
                [&](const auto& pair) { return pair.first == name || pair.second == name; });
  for (auto& [of, job] : jobs_) {
    const auto part = job.workers.find(name);
    if (part == job.workers.end() || part->second.session != session) continue;
    if (job.phase == JobPhase::kEnding) {
      job.ending.erase(name);
      EndIfAllGone(&job, now, host);
    } else if (HasAttempt(job.phase)) {
      Fail(&job, ExternalError("worker_lost", "worker '" + name + "' is lost: " + why, Retry::kYes),
           /*of_the_job=*/false, now, host);
    }
  }
}

void ClusterState::OnWorkerLeaving(const std::string& name, uint64_t session, MonotonicTime now,
                                   ClusterHost* host) {
  const auto found = workers_.find(name);
  if (found == workers_.end() || found->second.session != session || found->second.leaving) return;
  found->second.leaving = true;
  for (auto& [of, job] : jobs_) {
    if (job.workers.contains(name) && job.phase == JobPhase::kRunning) {
      Blame(&job, RestartCause::kWorkerLeft);
      Stop(&job, "worker '" + name + "' leaves", now, host);
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

void ClusterState::LetLeave(ClusterHost* host) {
  for (const auto& [name, worker] : workers_) {
    if (!worker.leaving || may_leave_told_.contains(name)) continue;
    const bool used = std::ranges::any_of(jobs_, [&, &of = name](const auto& entry) {
      const Job& job = entry.second;
      const bool lives = HasAttempt(job.phase) || job.phase == JobPhase::kEnding;
      return lives && job.workers.contains(of);
    });
    if (used) continue;
    may_leave_told_.insert(name);
    host->MayLeave(worker);
  }
}

// Several workers that come one after the other are one move.
void ClusterState::RescaleSoon(MonotonicTime now) {
  for (auto& [name, job] : jobs_) {
    const bool is_placed = job.phase == JobPhase::kPreparing || job.phase == JobPhase::kDeploying ||
                           job.phase == JobPhase::kRunning;
    if (is_placed) job.rescale_at = now + kSettle;
  }
}

// ---- what is wanted
// -------------------------------------------------------------------------------

void ClusterState::Apply(const std::string& name, const std::string& file_name,
                         const std::string& file, int64_t wall_micros, MonotonicTime now,
                         ClusterHost* host) {
  Job& job = jobs_[name];
  proto::JobRecord& record = job.record;
  const bool is_new = record.name().empty();
  const bool same = !is_new && record.file() == file;
  if (is_new) {
    record.set_name(name);
    record.set_created(wall_micros);
  }
  record.set_file_name(file_name);
  record.set_file(file);
  record.set_version(record.version() + 1);
  record.set_desire(proto::JOB_RUNNING);
  const bool lives =
      !IsOver(job.phase) && job.phase != JobPhase::kPaused && job.phase != JobPhase::kCanceled;
  // What has finished stays so: a fresh start is a new generation.
  const bool unchanged = same && (lives || job.phase == JobPhase::kFinished);
  if (unchanged) return host->Persist();
  BeginAnew(&job, is_new ? "applied" : "the job file has changed", now, host);
}

// The record has changed: the next attempt is by it, and what went wrong before counts no more.
void ClusterState::BeginAnew(Job* job, const std::string& why, MonotonicTime now,
                             ClusterHost* host) {
  job->record.set_finished(false);
  job->record.clear_failure();
  job->failures.clear();
  job->backoff = MonotonicTime(0);
  job->not_before = MonotonicTime(0);
  host->Persist();
  Blame(job, RestartCause::kApplied);
  switch (job->phase) {
    case JobPhase::kPreparing:
      job->abandon = true;
      return;
    case JobPhase::kDeploying:
      return End(job, why, now, host);
    case JobPhase::kRunning:
      return Stop(job, why, now, host);
    case JobPhase::kFinished:
    case JobPhase::kFailed:
    case JobPhase::kPaused:
    case JobPhase::kCanceled:
      Enter(job, JobPhase::kWaiting, why, now, host);
      [[fallthrough]];
    default:
      StartIfPossible(job, now, host);
  }
}

Status ClusterState::Restore(const std::string& name, const proto::RestorePoint& point,
                             MonotonicTime now, ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  *job->record.mutable_restore() = point;
  job->record.set_version(job->record.version() + 1);
  job->record.set_desire(proto::JOB_RUNNING);
  BeginAnew(job, "restored", now, host);
  return Status::OK();
}

Status ClusterState::SetDesire(const std::string& name, proto::JobDesire desire, MonotonicTime now,
                               ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  if (job->phase == JobPhase::kFinished) {
    return UserError("job_ended", "job '" + name + "' has finished");
  }
  if (job->phase == JobPhase::kFailed && desire == proto::JOB_PAUSED) {
    return UserError("job_ended", "job '" + name + "' has failed: resume it, or cancel it");
  }
  if (job->record.desire() == desire && job->phase != JobPhase::kFailed) return Status::OK();
  job->record.set_desire(desire);
  job->record.set_version(job->record.version() + 1);
  job->record.clear_failure();
  host->Persist();
  Blame(job, RestartCause::kResumed);
  const bool wanted = desire == proto::JOB_RUNNING;
  const char* const why = wanted ? "resumed" : desire == proto::JOB_PAUSED ? "paused" : "canceled";
  switch (job->phase) {
    case JobPhase::kPreparing:
      job->abandon = true;
      break;
    case JobPhase::kDeploying:
      if (!wanted) End(job, why, now, host);
      break;
    case JobPhase::kRunning:
      if (!wanted) Stop(job, why, now, host);
      break;
    case JobPhase::kStopping:
    case JobPhase::kEnding:
      break;  // AfterEnd looks at what is wanted then
    default:
      job->failures.clear();
      job->backoff = MonotonicTime(0);
      job->not_before = MonotonicTime(0);
      if (job->phase == JobPhase::kFailed && !wanted) {
        Enter(job, JobPhase::kWaiting, why, now, host);
      }
      if (wanted) {
        if (job->phase != JobPhase::kWaiting) Enter(job, JobPhase::kWaiting, why, now, host);
        StartIfPossible(job, now, host);
      } else {
        const JobPhase to = desire == proto::JOB_PAUSED ? JobPhase::kPaused : JobPhase::kCanceled;
        if (job->phase == JobPhase::kCanceled) Enter(job, JobPhase::kWaiting, why, now, host);
        Enter(job, to, why, now, host);
      }
  }
  return Status::OK();
}

Status ClusterState::Rescale(const std::string& name, int32_t parallelism, MonotonicTime now,
                             ClusterHost* host) {
  ARROW_ASSIGN_OR_RAISE(Job* const job, Known(name));
  if (job->record.parallelism() == parallelism) return Status::OK();
  job->record.set_parallelism(parallelism);
  job->record.set_version(job->record.version() + 1);
  host->Persist();
  Blame(job, RestartCause::kRescaled);
  if (job->phase == JobPhase::kPreparing) job->abandon = true;
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
  host->Persist();
  return Status::OK();
}

// ---- attempts
// -------------------------------------------------------------------------------------

void ClusterState::StartIfPossible(Job* job, MonotonicTime now, ClusterHost* host) {
  if (job->phase != JobPhase::kWaiting || !IsWanted(*job) || now < job->not_before) return;
  std::vector<WorkerInfo> staying = StayingWorkers();
  if (staying.empty()) {
    job->why = "no worker is there";
    return;
  }
  job->abandon = false;
  job->cause = RestartCause::kOther;
  job->rescale_at.reset();
  Enter(job, JobPhase::kPreparing, "finding its state and its sources", now, host);
  host->Prepare(job->record, staying);
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
  if (prepared.finished) {
    host->EndLeading(name);
    job.record.clear_restore();
    job.record.set_finished(true);
    host->Persist();
    return Enter(&job, JobPhase::kFinished, "every source has ended", now, host);
  }
  const bool all_there = std::ranges::all_of(prepared.workers, [&](const WorkerInfo& worker) {
    const auto known = workers_.find(worker.name);
    return known != workers_.end() && known->second.session == worker.session &&
           !known->second.leaving;
  });
  if (job.abandon || !IsWanted(job) || !all_there) {
    Blame(&job, RestartCause::kWorkersChanged);
    host->EndLeading(name);
    job.workers.clear();
    return AfterEnd(&job, now, host);
  }
  // The new generation is in the job's log: it is not begun again.
  if (job.record.has_restore()) {
    job.record.clear_restore();
    host->Persist();
  }
  job.workers.clear();
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
  found->second.workers.clear();
  Fail(&found->second, why, /*of_the_job=*/true, now, host);
}

void ClusterState::OnDeployed(const std::string& name, int64_t attempt, const std::string& worker,
                              const Status& status, MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || job->phase != JobPhase::kDeploying) return;
  if (!status.ok()) return Fail(job, status, /*of_the_job=*/true, now, host);
  job->deploying.erase(worker);
  if (!job->deploying.empty()) return;
  Enter(job, JobPhase::kRunning, "", now, host);
  if (!job->rescale_at.has_value()) job->rescale_at = now + kBalanceEvery;
  host->Launch(name, attempt);
  const bool leaves = std::ranges::any_of(job->workers, [&](const auto& entry) {
    const auto known = workers_.find(entry.first);
    return known == workers_.end() || known->second.leaving;
  });
  if (!leaves) return;
  Blame(job, RestartCause::kWorkerLeft);
  Stop(job, "a worker leaves", now, host);
}

void ClusterState::OnAttemptDone(const std::string& name, int64_t attempt, const Status& status,
                                 MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  if (!status.ok()) return Fail(job, status, /*of_the_job=*/true, now, host);
  if (job->phase != JobPhase::kStopping) {
    job->record.set_finished(true);
    host->Persist();
    return End(job, "every source has ended", now, host);
  }
  // That it had ended just before it was stopped is found when it is prepared again.
  End(job, job->why, now, host);
}

void ClusterState::OnAttemptBroken(const std::string& name, int64_t attempt, const std::string& why,
                                   MonotonicTime now, ClusterHost* host) {
  Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  Fail(job, ExternalError("peer_lost", why, Retry::kYes), /*of_the_job=*/false, now, host);
}

void ClusterState::OnPeerLost(const std::string& name, int64_t attempt, const std::string& worker,
                              const std::string& peer, const std::string& why, MonotonicTime now,
                              ClusterHost* host) {
  const Job* const job = Find(name, attempt);
  if (job == nullptr || !HasAttempt(job->phase)) return;
  // One that has come anew since the attempt began is not the one that was lost.
  const auto is_same = [&](const std::string& of) {
    const auto part = job->workers.find(of);
    const auto known = workers_.find(of);
    return part != job->workers.end() && known != workers_.end() &&
           part->second.session == known->second.session;
  };
  if (is_same(worker) && is_same(peer)) cut_off_.insert({worker, peer});
  OnAttemptBroken(name, attempt, why, now, host);
}

void ClusterState::Stop(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host) {
  job->rescale_at.reset();
  Enter(job, JobPhase::kStopping, why, now, host);
  host->RequestStop(job->record.name(), job->attempt);
}

// What breaks an attempt although the job is not to blame costs no pause: output is to go on in
// seconds.
void ClusterState::Fail(Job* job, const Status& status, bool of_the_job, MonotonicTime now,
                        ClusterHost* host) {
  Blame(job, RestartCauseOf(status));
  job->last_failure = status;
  job->not_before = now;
  if (of_the_job) {
    job->failures.push_back(now);
    while (now - job->failures.front() > job->restart.within) job->failures.pop_front();
    const ErrorDetail* detail = ErrorDetail::Of(status);
    const bool of_the_user = detail != nullptr && detail->domain() == ErrorDomain::kUser;
    if (of_the_user || int64_t(job->failures.size()) > job->restart.attempts) {
      EncodeStatus(status, job->record.mutable_failure());
      host->Persist();
    }
    job->backoff = job->backoff == MonotonicTime(0)
                       ? job->restart.backoff_min
                       : std::min<MonotonicTime>(job->backoff * 2, job->restart.backoff_max);
    job->not_before = now + job->backoff;
  }
  End(job, status.message(), now, host);
}

void ClusterState::End(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host) {
  const std::string& name = job->record.name();
  host->EndLeading(name);
  job->ending.clear();
  job->deploying.clear();
  if (job->phase == JobPhase::kPreparing) {
    job->why = why;
    return AfterEnd(job, now, host);
  }
  Enter(job, JobPhase::kEnding, why, now, host);
  for (const auto& [of, worker] : job->workers) {
    const auto known = workers_.find(of);
    if (known == workers_.end() || known->second.session != worker.session) continue;
    job->ending.insert(of);
  }
  for (const std::string& of : std::set<std::string>(job->ending)) {
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
  job->workers.clear();
  AfterEnd(job, now, host);
}

void ClusterState::AfterEnd(Job* job, MonotonicTime now, ClusterHost* host) {
  const std::string why = job->why;
  if (job->record.finished()) {
    Enter(job, JobPhase::kFinished, why, now, host);
  } else if (job->record.has_failure()) {
    Enter(job, JobPhase::kFailed, job->last_failure.message(), now, host);
  } else if (job->record.desire() == proto::JOB_PAUSED) {
    Enter(job, JobPhase::kPaused, why, now, host);
  } else if (job->record.desire() == proto::JOB_CANCELED) {
    Enter(job, JobPhase::kCanceled, why, now, host);
  } else {
    ++job->restarts;
    Enter(job, JobPhase::kWaiting, why, now, host);
    StartIfPossible(job, now, host);
  }
  LetLeave(host);
}

void ClusterState::OnTick(MonotonicTime now, ClusterHost* host) {
  for (auto& [name, job] : jobs_) {
    StartIfPossible(&job, now, host);
    if (job.phase == JobPhase::kRunning && job.rescale_at.has_value() && now >= *job.rescale_at) {
      job.rescale_at = now + kBalanceEvery;
      if (host->WouldMove(name, StayingWorkers())) {
        Blame(&job, RestartCause::kWorkersChanged);
        Stop(&job, "it is placed anew: workers or loads have changed", now, host);
      }
    }
    if (job.phase == JobPhase::kRunning && now - job.since > job.restart.within) {
      job.backoff = MonotonicTime(0);
    }
    if (job.phase == JobPhase::kDeploying && now - job.since > kDeployTimeout) {
      Fail(&job,
           ExternalError("deploy_timeout",
                         "worker '" + *job.deploying.begin() + "' has not made its share of it",
                         Retry::kYes),
           /*of_the_job=*/true, now, host);
    }
    if (job.phase == JobPhase::kStopping && now - job.since > kStopTimeout) {
      // Nothing is lost: it goes on from its last checkpoint.
      Fail(&job,
           ExternalError("stop_timeout", "it has not stopped in time (" + job.why + ")",
                         Retry::kYes),
           /*of_the_job=*/false, now, host);
    }
    if (job.phase == JobPhase::kEnding && now - job.since > kEndTimeout) {
      for (const std::string& of : std::set<std::string>(job.ending)) {
        host->Drop(job.workers.at(of));
      }
    }
  }
}

}  // namespace millrace
