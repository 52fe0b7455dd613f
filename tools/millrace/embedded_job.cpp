#include "tools/millrace/embedded_job.h"

#include <algorithm>
#include <set>
#include <thread>

#include "engine/checkpoint/position_metadata.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr auto kDiscoverTimeout = std::chrono::seconds(3);
constexpr auto kBackoffMin = std::chrono::milliseconds(250);
constexpr auto kBackoffMax = std::chrono::seconds(5);
constexpr auto kBlockedToldEvery = std::chrono::seconds(10);

Micros RollInterval(const SinkSpec& spec) {
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&spec.target)) {
    return parquet->roll_interval;
  }
  if (const auto* files = std::get_if<FilesSinkSpec>(&spec.target)) return files->roll_interval;
  return Micros(0);
}

void SetScheduler(caf::actor_system_config* config, int32_t threads) {
  // The default policy sleeps up to 10 ms when idle, and takes at least four threads.
  config->set("scheduler.policy", caf::atom("sharing"));
  config->set("scheduler.max-threads", size_t(std::max(1, threads)));
  config->set("scheduler.max-throughput", size_t(4));
}

OnDataLoss DataLossOf(const PlanNode& node) {
  const auto* kafka = std::get_if<KafkaSourceSpec>(&std::get<SourceNode>(node.kind).spec.input);
  return kafka == nullptr ? OnDataLoss::kFail : kafka->on_data_loss;
}

// Another record where the last one was read: the topic was made anew under the same name, and the
// committed offset means nothing in it. False where the job is to go on from the start regardless.
Result<bool> VerifyTopic(Source* source, const TopicPartition& partition,
                         const PositionMetadata& metadata, OnDataLoss on_data_loss) {
  if (metadata.last_offset < 0) return true;
  ARROW_ASSIGN_OR_RAISE(bool same,
                        source->VerifyRecord(partition, metadata.last_offset, metadata.last_hash,
                                             kDiscoverTimeout));
  if (same) return true;
  const std::string what = "topic '" + partition.topic + "' partition " +
                           std::to_string(partition.partition) + " was re-created: offset " +
                           std::to_string(metadata.last_offset) +
                           " holds another record than the one that was read there";
  if (on_data_loss == OnDataLoss::kContinue) {
    LogWarn(what + "; reading it from the start (on_data_loss: continue)");
    return false;
  }
  return UserError("topic_recreated",
                   what + "; set on_data_loss: continue to read it from the start");
}

}  // namespace

EmbeddedJob::EmbeddedJob(const JobSpec& job, const JobPlan& plan, EmbeddedJobOptions options,
                         const Clock* clock, Metrics* metrics)
    : job_(job),
      plan_(plan),
      options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      account_(plan) {}

EmbeddedJob::~EmbeddedJob() {
  for (const Wired& wired : wired_) caf::anon_send(wired.actor, Stop::value);
  if (coordinator_) caf::anon_send(coordinator_, Stop::value);
  // References among the actors form cycles through Connect; what is left here goes with them.
  wired_.clear();
  coordinator_ = nullptr;
  system_.reset();
}

Status EmbeddedJob::Start(const std::atomic<bool>* stopping) {
  SetScheduler(&config_, options_.parallelism);
  ARROW_RETURN_NOT_OK(OpenSources(stopping));
  ARROW_RETURN_NOT_OK(OpenSinks(stopping));
  system_ = std::make_unique<caf::actor_system>(config_);
  ARROW_RETURN_NOT_OK(SpawnActors());
  running_ = true;
  return Status::OK();
}

// Attempts until it succeeds, fails for good, or the process is told to stop.
Status EmbeddedJob::Retry(const std::atomic<bool>* stopping, const std::string& what,
                          const std::function<Status()>& attempt) {
  Micros backoff = kBackoffMin;
  while (true) {
    const Status status = attempt();
    if (status.ok()) return status;
    const ErrorDetail* detail = ErrorDetail::Of(status);
    if (detail == nullptr || detail->retry() == Retry::kNo) return status;
    LogStatus(LogLevel::kWarn, what + " failed, trying again", status,
              {{"in", FormatDuration(backoff)}});
    const MonotonicTime until = clock_->Monotonic() + backoff;
    while (clock_->Monotonic() < until) {
      if (*stopping) return WithContext(status, "stopped while waiting");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    backoff = std::min<Micros>(backoff * 2, kBackoffMax);
  }
}

Status EmbeddedJob::OpenSources(const std::atomic<bool>* stopping) {
  for (const PlanNode& node : plan_.nodes) {
    if (!std::holds_alternative<SourceNode>(node.kind)) continue;
    SourceParts parts;
    parts.node = node.id;
    ARROW_ASSIGN_OR_RAISE(parts.source, MakeSource(job_, node, options_.connectors,
                                                   options_.parallelism, clock_));
    bounded_ = bounded_ && parts.source->bounded();
    ARROW_RETURN_NOT_OK(Retry(stopping, "reading stream '" + node.stream + "'", [&] {
      ARROW_ASSIGN_OR_RAISE(parts.found, parts.source->Discover(kDiscoverTimeout));
      return Status::OK();
    }));
    ARROW_RETURN_NOT_OK(PlanStart(&parts));
    sources_.push_back(std::move(parts));
  }
  return Status::OK();
}

// Spreads partitions over readers and decides where each begins.
Status EmbeddedJob::PlanStart(SourceParts* parts) {
  const size_t partitions = std::max<size_t>(1, parts->found.partitions.size());
  const size_t readers = std::min<size_t>(partitions, size_t(options_.parallelism));
  parts->spread = SpreadPartitions(parts->found.partitions, readers);
  parts->starts.resize(readers);
  std::map<TopicPartition, const CommittedPosition*> committed;
  for (const CommittedPosition& position : parts->found.committed) {
    committed[position.partition] = &position;
  }
  for (const auto& [partition, reader] : parts->spread) {
    StartReading::Partition start;
    start.start.partition = partition;
    if (const auto found = committed.find(partition); found != committed.end()) {
      ARROW_RETURN_NOT_OK(PlanRestart(*found->second, parts, &start));
    }
    parts->starts[reader].partitions.push_back(std::move(start));
  }
  for (StartReading& start : parts->starts) start.horizon = parts->horizon;
  if (!committed.empty()) {
    LogInfo("going on from committed offsets: at least once, rows of the last moments may repeat",
            {{"stream", plan_.node(parts->node).stream},
             {"partitions", int64_t(committed.size())}});
  }
  return Status::OK();
}

Status EmbeddedJob::PlanRestart(const CommittedPosition& committed, SourceParts* parts,
                                StartReading::Partition* start) {
  const auto metadata = DecodePositionMetadata(committed.metadata);
  if (metadata.has_value()) {
    ARROW_ASSIGN_OR_RAISE(bool same,
                          VerifyTopic(parts->source.get(), committed.partition, *metadata,
                                      DataLossOf(plan_.node(parts->node))));
    if (!same) return Status::OK();
    start->watermark = metadata->watermark;
    start->published_before = metadata->published_before;
    // Commits of partitions may be of different epochs, when the process died between them: all
    // that the newest calls published was published.
    parts->horizon = std::max(parts->horizon, metadata->horizon);
  }
  start->start.offset = committed.offset;
  return Status::OK();
}

Status EmbeddedJob::OpenSinks(const std::atomic<bool>* stopping) {
  sinks_.resize(job_.sinks.size());
  for (const PlanNode& node : plan_.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr || sinks_[size_t(sink->sink_index)] != nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(auto writer, MakeSink(job_, node, options_.connectors, clock_));
    ARROW_RETURN_NOT_OK(
        Retry(stopping, "opening " + writer->description(), [&] { return writer->Open(); }));
    descriptions_.push_back(writer->description());
    sinks_[size_t(sink->sink_index)] = std::move(writer);
  }
  ARROW_ASSIGN_OR_RAISE(dead_letters_, MakeDeadLetters(job_, options_.connectors, clock_));
  descriptions_.push_back("dead letters: " + dead_letters_->description());
  return Retry(stopping, "opening " + dead_letters_->description(),
               [&] { return dead_letters_->Open(); });
}

Status EmbeddedJob::SpawnActors() {
  CoordinatorPlan coordinator_plan;
  coordinator_plan.checkpoint_interval = job_.checkpoint_interval;
  std::map<ParticipantId, caf::actor> readers;
  std::map<NodeId, EventTime> horizons;
  const auto next_participant = [&] { return ParticipantId(int32_t(wired_.size())); };

  for (SourceParts& source : sources_) {
    CoordinatorPlan::SourcePlan source_plan{source.node, source.source->bounded(), {}, {}};
    for (size_t i = 0; i < source.starts.size(); ++i) {
      const ParticipantId participant = next_participant();
      ARROW_ASSIGN_OR_RAISE(auto input, source.source->MakeReader());
      ReaderOptions reader_options;
      reader_options.source = source.node;
      if (!source.source->bounded()) reader_options.end_when_idle = options_.end_when_idle;
      ARROW_ASSIGN_OR_RAISE(
          auto reader, Reader::Make(plan_, reader_options, std::move(input), &account_));
      const std::string name = plan_.node(source.node).name + ".reader." + std::to_string(i);
      wired_.push_back({SpawnReader(*system_, {name, participant, std::move(reader)}, clock_, this),
                        {}});
      readers[participant] = wired_.back().actor;
      readers_of_[source.node].push_back(size_t(participant.value()));
      source_plan.readers.push_back(participant);
    }
    for (const auto& [partition, reader] : source.spread) {
      source_plan.partitions[partition] = source_plan.readers[reader];
    }
    coordinator_plan.sources.push_back(std::move(source_plan));
    horizons[source.node] = source.horizon;
  }

  for (const PlanNode& node : plan_.nodes) {
    if (!std::holds_alternative<WindowAggregateNode>(node.kind)) continue;
    for (int32_t index = 0; index < TasksOf(node.id); ++index) {
      ARROW_ASSIGN_OR_RAISE(auto task, Task::Make(plan_, node.id, InputsOf(node.id),
                                                  horizons[plan_.SourceOf(node.id)], &account_));
      const ParticipantId participant = next_participant();
      const std::string name = node.name + "." + std::to_string(index);
      wired_.push_back({SpawnTask(*system_, {name, participant, std::move(task)}, clock_, this),
                        {}});
      tasks_of_[node.id].push_back(size_t(participant.value()));
    }
  }

  // A publisher has an input from every sender above its nodes; the dead letters, from everyone.
  std::map<int32_t, std::set<size_t>> senders;
  for (const PlanNode& node : plan_.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    const NodeId owner = plan_.OwnerOf(node.id);
    for (const auto& owners : {readers_of_, tasks_of_}) {
      const auto found = owners.find(owner);
      if (found == owners.end()) continue;
      senders[sink->sink_index].insert(found->second.begin(), found->second.end());
    }
  }
  for (const auto& [index, from] : senders) {
    const ParticipantId participant = next_participant();
    auto publisher = std::make_unique<Publisher>(
        std::move(sinks_[size_t(index)]), nullptr, from.size(),
        RollInterval(job_.sinks[size_t(index)]), clock_);
    const std::string name = "sink." + std::to_string(index);
    publisher_of_[index] = size_t(participant.value());
    wired_.push_back(
        {SpawnPublisher(*system_, {name, participant, std::move(publisher)}, clock_, this), {}});
  }
  const ParticipantId last = next_participant();
  auto letters = std::make_unique<Publisher>(nullptr, std::move(dead_letters_), wired_.size(),
                                             Micros(0), clock_);
  publisher_of_[kDeadLetterSink] = size_t(last.value());
  wired_.push_back(
      {SpawnPublisher(*system_, {"dead_letters", last, std::move(letters)}, clock_, this), {}});
  for (const auto& [index, from] : senders) {
    for (size_t sender : from) {
      Link(sender, publisher_of_[index], index, NodeId(-1), TaskIndex(0));
    }
  }

  coordinator_plan.participants = int32_t(wired_.size());
  coordinator_ = SpawnCoordinator(*system_, std::move(coordinator_plan), std::move(readers),
                                  clock_, this);
  WireChannels();
  return Status::OK();
}

// How many senders feed a window: the readers or tasks that own its input.
size_t EmbeddedJob::InputsOf(NodeId window) const {
  const NodeId owner = plan_.OwnerOf(plan_.node(window).input);
  const auto readers = readers_of_.find(owner);
  return readers != readers_of_.end() ? readers->second.size() : size_t(TasksOf(owner));
}

void EmbeddedJob::Link(size_t sender, size_t receiver, int32_t sink, NodeId node,
                       TaskIndex task) {
  Connect& from = wired_[sender].connect;
  Connect& to = wired_[receiver].connect;
  from.outputs.push_back(
      {wired_[receiver].actor, int32_t(to.inputs.size()), sink, node, task});
  to.inputs.push_back({wired_[sender].actor, int32_t(from.outputs.size()) - 1});
}

void EmbeddedJob::WireChannels() {
  for (const auto& [window, tasks] : tasks_of_) {
    const NodeId owner = plan_.OwnerOf(plan_.node(window).input);
    const auto& senders =
        readers_of_.contains(owner) ? readers_of_.at(owner) : tasks_of_.at(owner);
    for (size_t sender : senders) {
      for (size_t index = 0; index < tasks.size(); ++index) {
        Link(sender, tasks[index], -1, window, TaskIndex(int32_t(index)));
      }
    }
  }
  const size_t letters = publisher_of_.at(kDeadLetterSink);
  for (size_t sender = 0; sender < letters; ++sender) {
    Link(sender, letters, kDeadLetterSink, NodeId(-1), TaskIndex(0));
  }
  // Every actor has its channels before any reader starts.
  for (Wired& wired : wired_) {
    wired.connect.coordinator = coordinator_;
    caf::anon_send(wired.actor, wired.connect);
  }
  caf::anon_send(coordinator_, Tick::value);
  for (SourceParts& source : sources_) {
    const auto& readers = readers_of_.at(source.node);
    for (size_t i = 0; i < readers.size(); ++i) {
      caf::anon_send(wired_[readers[i]].actor, std::move(source.starts[i]));
    }
  }
  for (Wired& wired : wired_) wired.connect = Connect();
}

void EmbeddedJob::RequestStop() {
  if (coordinator_) caf::anon_send(coordinator_, StopJob::value);
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

void EmbeddedJob::OnTaskStats(const std::string& task, const WindowAggregateStats& stats,
                              MonotonicTime busy) {
  const std::lock_guard lock(mutex_);
  task_stats_[task] = stats;
  task_busy_[task] = busy;
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
  ended_ = true;
  status_ = status;
  ended_changed_.notify_all();
}

void EmbeddedJob::UpdateMetrics() {
  const auto raise = [this](const std::string& key, prometheus::Counter& counter, double value) {
    double& exported = exported_[key];
    if (value > exported) counter.Increment(value - exported);
    exported = std::max(exported, value);
  };
  const double wall = std::chrono::duration<double>(clock_->Wall().time_since_epoch()).count();
  for (const auto& [name, stream] : account_.streams()) {
    raise("in." + name, metrics_->RecordsIn(name), double(stream->rows_in));
    raise("counted." + name, metrics_->CountedRecords(name), double(stream->counted));
    raise("filtered." + name, metrics_->FilteredRecords(name), double(stream->filtered));
    raise("late." + name, metrics_->LateRecords(name), double(stream->late));
    if (stream->bytes_in > 0) {
      raise("bytes." + name, metrics_->SourceBytes(name), double(stream->bytes_in));
    }
    if (stream->lost > 0) raise("lost." + name, metrics_->LostOffsets(name), double(stream->lost));
    const int64_t watermark = stream->watermark;
    if (watermark != INT64_MIN && watermark != INT64_MAX) {
      metrics_->WatermarkDelaySeconds(name).Set(wall - double(watermark) * 1e-6);
    }
  }
  for (const auto& [key, count] : account_.DeadLetters()) {
    raise("dead." + key.first + "." + key.second,
          metrics_->DeadLetterRecords(key.first, key.second), double(count));
  }
  const RunFigures now = figures();
  for (const auto& [sink, stats] : now.sinks) {
    raise("out." + sink, metrics_->RecordsOut(sink), double(stats.rows_written));
    raise("nonfinite." + sink, metrics_->NonFiniteValues(sink), double(stats.non_finite_values));
  }
  metrics_->StateSizeBytes().Set(double(now.state_bytes));
  const std::lock_guard lock(mutex_);
  for (const auto& [task, busy] : task_busy_) {
    raise("busy." + task, metrics_->TaskTimeSeconds(task, "busy"),
          std::chrono::duration<double>(busy).count());
  }
  std::map<std::string, int64_t> lag_by_stream;
  for (const auto& [reader, records] : lag_) {
    if (records >= 0) lag_by_stream[reader.substr(0, reader.find('.'))] += records;
  }
  for (const auto& [stream, records] : lag_by_stream) {
    metrics_->SourceLagRecords(stream).Set(double(records));
  }
  for (const char* state : {"running", "finished", "failed"}) {
    const bool is = ended_ ? (status_.ok() ? std::string("finished") == state
                                           : std::string("failed") == state)
                           : std::string("running") == state;
    metrics_->JobState(state).Set(is ? 1 : 0);
  }
}

}  // namespace millrace
