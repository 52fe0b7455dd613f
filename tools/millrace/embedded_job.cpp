#include "tools/millrace/embedded_job.h"

#include "engine/metrics/log.h"
#include "tools/millrace/savepoint_requests.h"

namespace millrace {
namespace {

constexpr auto kBlockedToldAfter = std::chrono::seconds(5);
constexpr auto kBlockedToldEvery = std::chrono::seconds(10);

}  // namespace

EmbeddedJob::EmbeddedJob(const JobSpec& job, const JobPlan& plan, EmbeddedJobOptions options,
                         const Clock* clock, Metrics* metrics)
    : job_(job),
      plan_(plan),
      options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      families_(metrics, job.name),
      job_metrics_(families_),
      led_metrics_(families_),
      report_(families_, clock) {
  accounts_.emplace_back(plan);
}

// The actors' threads call back into what is declared after them, so they end first.
EmbeddedJob::~EmbeddedJob() { actors_.reset(); }

Status EmbeddedJob::Start(const std::atomic<bool>* stopping) {
  ARROW_RETURN_NOT_OK(OpenState(stopping));
  if (already_finished_) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(lookups_,
                        JobLookups::Open(job_, plan_, options_.connectors, clock_, *stopping));
  ARROW_ASSIGN_OR_RAISE(sources_,
                        OpenSources(job_, plan_, options_.connectors, options_.parallelism,
                                    claim_->restored(), clock_, *stopping));
  for (const OpenedSource& source : sources_) {
    bounded_ = bounded_ && source.source->bounded();
    if (!source.misfit.empty()) LogWarn(source.misfit);
  }
  ARROW_RETURN_NOT_OK(OpenSinks(stopping));
  JobParts parts;
  parts.job = &job_;
  parts.plan = &plan_;
  parts.clock = clock_;
  parts.worker_observer = &report_;
  parts.job_observer = this;
  parts.parallelism = options_.parallelism;
  parts.end_when_idle = options_.end_when_idle;
  parts.new_account = [this] { return NewAccount(); };
  parts.claim = claim_.get();
  parts.state_memory_bytes = job_.state_memory_bytes;
  parts.sources = &sources_;
  parts.sinks = sinks_.get();
  parts.lookups = lookups_->tables();
  actors_ = std::make_unique<JobActors>(parts);
  ARROW_RETURN_NOT_OK(actors_->Start());
  running_ = true;
  return Status::OK();
}

Status EmbeddedJob::OpenState(const std::atomic<bool>* stopping) {
  JobClaimOptions options;
  options.folder = options_.state_dir;
  options.new_generation = options_.new_generation;
  options.savepoint = options_.savepoint;
  options.from = options_.from;
  ARROW_ASSIGN_OR_RAISE(leftovers_, ListLeftovers(job_, plan_, options_.connectors));
  ARROW_ASSIGN_OR_RAISE(
      claim_, ClaimJob(job_, plan_, options_.connectors, std::move(options), clock_, *stopping));
  metrics_->CoordinatorTerm().Set(double(claim_->term()));
  if (claim_->restored() != nullptr) accounts_.front().Add(claim_->restored()->account());
  already_finished_ = claim_->finished();
  return Status::OK();
}

Status EmbeddedJob::OpenSinks(const std::atomic<bool>* stopping) {
  return AttemptWithBackoff(*clock_, *stopping, "opening sinks", [&] {
    ARROW_ASSIGN_OR_RAISE(sinks_,
                          OpenJobSinks(job_, plan_, options_.connectors, leftovers_, clock_));
    return Status::OK();
  });
}

JobAccount* EmbeddedJob::NewAccount() { return &accounts_.emplace_back(plan_); }

std::unique_ptr<JobAccount> EmbeddedJob::account() const {
  auto sum = std::make_unique<JobAccount>(plan_);
  if (!running_ && !already_finished_) return sum;
  for (const JobAccount& account : accounts_) sum->Add(account);
  return sum;
}

void EmbeddedJob::RequestStop() {
  if (actors_ != nullptr) actors_->RequestStop();
}

bool EmbeddedJob::WaitFor(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return ended_changed_.wait_for(lock, timeout, [this] { return ended_; });
}

Status EmbeddedJob::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

RunFigures EmbeddedJob::figures() const {
  RunFigures figures = report_.figures();
  const std::lock_guard lock(mutex_);
  figures.checkpoints = checkpoints_;
  return figures;
}

std::vector<std::string> EmbeddedJob::Describe() const {
  return sinks_ == nullptr ? std::vector<std::string>() : sinks_->descriptions;
}

void EmbeddedJob::OnCheckpoint(const CompletedCheckpoint& checkpoint) {
  led_metrics_.OnCheckpoint(checkpoint, clock_->Wall());
  LogDebug("checkpoint complete",
           {{"epoch", checkpoint.epoch.value()},
            {"bytes", checkpoint.bytes},
            {"uploaded_bytes", checkpoint.uploaded_bytes},
            {"seconds",
             std::chrono::duration<double>(checkpoint.completed - checkpoint.opened).count()}});
  const std::lock_guard lock(mutex_);
  ++checkpoints_;
}

void EmbeddedJob::PollRequests() {
  if (actors_ == nullptr) return;
  for (const std::string& name : TakeSavepointRequests(claim_->Folder("requests"))) {
    LogInfo("making a savepoint", {{"name", name}});
    actors_->RequestSavepoint(name);
  }
}

void EmbeddedJob::OnSavepoint(const std::string& name, const Status& status) {
  if (status.ok()) {
    LogInfo("savepoint is complete", {{"name", name}});
  } else {
    LogStatus(LogLevel::kWarn, "savepoint failed", status, {{"name", name}});
  }
  const Status answered = AnswerSavepointRequest(claim_->Folder("requests"), name, status);
  if (!answered.ok()) LogStatus(LogLevel::kWarn, "nobody is told", answered);
}

void EmbeddedJob::OnAbandoned(Epoch epoch, const std::string& why) {
  led_metrics_.OnAbandoned();
  LogWarn("a checkpoint was given up; the next one makes up for it",
          {{"epoch", epoch.value()}, {"why", why}});
}

void EmbeddedJob::OnUnpublished(int64_t epochs, int64_t bytes) {
  led_metrics_.OnUnpublished(epochs, bytes);
}

void EmbeddedJob::OnCheckpointsBlocked(Blocked why, MonotonicTime since) {
  const MonotonicTime now = clock_->Monotonic();
  const double seconds = std::chrono::duration<double>(now - since).count();
  if (why == Blocked::kPending) led_metrics_.OnDelayed(now - since);
  {
    const std::lock_guard lock(mutex_);
    if (now - since < kBlockedToldAfter || now - blocked_told_ < kBlockedToldEvery) return;
    blocked_told_ = now;
  }
  switch (why) {
    case Blocked::kPending:
      LogWarn("the last checkpoint takes longer than the interval: the period stretches",
              {{"for_seconds", seconds}});
      break;
    case Blocked::kEpochs:
    case Blocked::kOutbox:
      LogWarn("readers pause: too much output waits to be published", {{"for_seconds", seconds}});
      break;
    case Blocked::kRecovered:
      LogWarn("output of before the restart is being published", {{"for_seconds", seconds}});
      break;
    case Blocked::kNo:
      break;
  }
}

void EmbeddedJob::OnEnded(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = true;
  status_ = status;
  ended_changed_.notify_all();
}

void EmbeddedJob::UpdateMetrics() {
  if (!running_) return;
  JobPhase phase = JobPhase::kRunning;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) phase = status_.ok() ? JobPhase::kFinished : JobPhase::kFailed;
  }
  ShowJobState(families_, phase);
  const auto sum = account();
  const RunFigures now = figures();
  job_metrics_.UpdateCounters(*sum, now, lookups_->tables());
  job_metrics_.UpdateGauges(*sum, now, lookups_->tables(), clock_->Wall());
}

}  // namespace millrace
