#include "tools/millrace/embedded_job.h"

#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr auto kBlockedToldEvery = std::chrono::seconds(10);

}  // namespace

EmbeddedJob::EmbeddedJob(const JobSpec& job, const JobPlan& plan, EmbeddedJobOptions options,
                         const Clock* clock, Metrics* metrics)
    : job_(job),
      plan_(plan),
      options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      job_metrics_(metrics),
      account_(plan) {}

// The actors' threads call back into what is declared after them, so they end first.
EmbeddedJob::~EmbeddedJob() { actors_.reset(); }

Status EmbeddedJob::Start(const std::atomic<bool>* stopping) {
  ARROW_ASSIGN_OR_RAISE(sources_, OpenSources(job_, plan_, options_.connectors,
                                              options_.parallelism, clock_, *stopping));
  for (const OpenedSource& source : sources_) bounded_ = bounded_ && source.source->bounded();
  ARROW_RETURN_NOT_OK(OpenSinks(stopping));
  JobParts parts;
  parts.job = &job_;
  parts.plan = &plan_;
  parts.account = &account_;
  parts.clock = clock_;
  parts.worker_observer = this;
  parts.job_observer = this;
  parts.parallelism = options_.parallelism;
  parts.end_when_idle = options_.end_when_idle;
  parts.sources = &sources_;
  parts.sinks = &sinks_;
  parts.dead_letters = &dead_letters_;
  actors_ = std::make_unique<JobActors>(parts);
  ARROW_RETURN_NOT_OK(actors_->Start());
  running_ = true;
  return Status::OK();
}

Status EmbeddedJob::OpenSinks(const std::atomic<bool>* stopping) {
  sinks_.resize(job_.sinks.size());
  for (const PlanNode& node : plan_.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr || sinks_[size_t(sink->sink_index)] != nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(auto writer, MakeSink(job_, node, options_.connectors, clock_));
    ARROW_RETURN_NOT_OK(AttemptWithBackoff(*clock_, *stopping, "opening " + writer->description(),
                                           [&] { return writer->Open(); }));
    descriptions_.push_back(writer->description());
    sinks_[size_t(sink->sink_index)] = std::move(writer);
  }
  ARROW_ASSIGN_OR_RAISE(dead_letters_, MakeDeadLetters(job_, options_.connectors, clock_));
  descriptions_.push_back("dead letters: " + dead_letters_->description());
  return AttemptWithBackoff(*clock_, *stopping, "opening " + dead_letters_->description(),
                            [&] { return dead_letters_->Open(); });
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
  const std::lock_guard lock(mutex_);
  RunFigures figures = figures_;
  for (const auto& [reader, records] : lag_) {
    if (records >= 0) figures.lag[reader.substr(0, reader.find('.'))] += records;
  }
  for (const auto& [task, stats] : task_stats_) {
    figures.state_bytes += stats.state_bytes;
    figures.keys += stats.keys;
  }
  return figures;
}

std::vector<std::string> EmbeddedJob::Describe() const { return descriptions_; }

void EmbeddedJob::OnWarning(const std::string& who, const std::string& message) {
  LogWarn(message, {{"who", who}});
}

void EmbeddedJob::OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) {
  metrics_->EndToEndLatencySeconds().Observe(std::chrono::duration<double>(after).count());
  const std::lock_guard lock(mutex_);
  figures_.latency.Record(std::chrono::duration_cast<Micros>(after), rows);
}

void EmbeddedJob::OnSinkStats(const std::string& sink, const SinkStats& stats) {
  const std::lock_guard lock(mutex_);
  figures_.sinks[sink] = stats;
}

void EmbeddedJob::OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) {
  for (const DeadLetter& letter : letters) account_.AddOutputDeadLetters(sink, letter.reason, 1);
}

void EmbeddedJob::OnTaskStats(const std::string& task, const WindowAggregateStats& stats,
                              const TaskTimes& times) {
  const std::lock_guard lock(mutex_);
  task_stats_[task] = stats;
  figures_.task_times[task] = times;
}

void EmbeddedJob::OnAligned(const std::string& task, MonotonicTime took) {
  metrics_->CheckpointAlignmentSeconds().Observe(std::chrono::duration<double>(took).count());
}

void EmbeddedJob::OnLag(const std::string& reader, int64_t records) {
  const std::lock_guard lock(mutex_);
  lag_[reader] = records;
}

void EmbeddedJob::OnCheckpoint(const CompletedCheckpoint& checkpoint) {
  metrics_->CheckpointDurationSeconds().Observe(
      std::chrono::duration<double>(checkpoint.completed - checkpoint.opened).count());
  metrics_->Checkpoints("completed").Increment();
  metrics_->LastCheckpointTimestampSeconds().Set(
      std::chrono::duration<double>(clock_->Wall().time_since_epoch()).count());
  const std::lock_guard lock(mutex_);
  ++figures_.checkpoints;
}

void EmbeddedJob::OnPendingEpochs(size_t epochs) {
  const std::lock_guard lock(mutex_);
  figures_.pending_epochs = int64_t(epochs);
}

void EmbeddedJob::OnCheckpointsBlocked(MonotonicTime since) {
  const MonotonicTime now = clock_->Monotonic();
  {
    const std::lock_guard lock(mutex_);
    if (now - blocked_told_ < kBlockedToldEvery) return;
    blocked_told_ = now;
  }
  LogWarn("no new checkpoint opens: too many wait until their output is safe",
          {{"for_seconds", std::chrono::duration<double>(now - since).count()}});
}

void EmbeddedJob::OnEnded(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = true;
  status_ = status;
  ended_changed_.notify_all();
}

void EmbeddedJob::UpdateMetrics() {
  std::string state = "running";
  {
    const std::lock_guard lock(mutex_);
    if (ended_) state = status_.ok() ? "finished" : "failed";
  }
  job_metrics_.Update(account_, figures(), state, clock_->Wall());
}

}  // namespace millrace
