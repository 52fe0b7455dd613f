#include "tools/millrace/job_sources.h"

#include <algorithm>
#include <thread>

#include "coordinator/job_coordinator.h"
#include "engine/checkpoint/position_metadata.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr auto kDiscoverTimeout = std::chrono::seconds(3);
constexpr auto kBackoffMin = std::chrono::milliseconds(250);
constexpr auto kBackoffMax = std::chrono::seconds(5);

OnDataLoss DataLossOf(const PlanNode& node) {
  const auto* kafka = std::get_if<KafkaSourceSpec>(&std::get<SourceNode>(node.kind).spec.input);
  return kafka == nullptr ? OnDataLoss::kFail : kafka->on_data_loss;
}

// Another record where the last one was read: the topic was made anew under the same name, and the
// committed offset means nothing in it. False where the job is to go on from the start regardless.
Result<bool> VerifyTopic(Source* source, const TopicPartition& partition,
                         const PositionMetadata& metadata, OnDataLoss on_data_loss) {
  if (metadata.last_offset < 0) return true;
  ARROW_ASSIGN_OR_RAISE(bool same, source->VerifyRecord(partition, metadata.last_offset,
                                                        metadata.last_hash, kDiscoverTimeout));
  if (same) return true;
  const std::string what = "topic '" + partition.topic + "' partition " +
                           std::to_string(partition.partition) + " was re-created: offset " +
                           std::to_string(metadata.last_offset) +
                           " no longer holds the record that was read there";
  if (on_data_loss == OnDataLoss::kContinue) {
    LogWarn(what + "; reading it from the start (on_data_loss: continue)");
    return false;
  }
  return UserError("topic_recreated",
                   what + "; set on_data_loss: continue to read it from the start");
}

Status PlanRestart(const CommittedPosition& committed, const PlanNode& node, OpenedSource* opened,
                   StartReading::Partition* start) {
  const auto metadata = DecodePositionMetadata(committed.metadata);
  if (metadata.has_value()) {
    ARROW_ASSIGN_OR_RAISE(bool same, VerifyTopic(opened->source.get(), committed.partition,
                                                 *metadata, DataLossOf(node)));
    if (!same) return Status::OK();
    start->watermark = metadata->watermark;
    start->published_before = metadata->published_before;
    start->floor = metadata->floor;
    // Commits of partitions may be of different epochs, when the process died between them: all
    // that the newest calls published was published.
    opened->horizon = std::max(opened->horizon, metadata->horizon);
  } else {
    LogWarn(
        "the committed offset was not written by this version of Millrace: windows begin with "
        "what is read from there",
        {{"topic", committed.partition.topic},
         {"partition", int64_t(committed.partition.partition)},
         {"offset", committed.offset}});
  }
  start->start.offset = committed.offset;
  return Status::OK();
}

// Spreads partitions over readers and decides where each begins.
Status PlanStart(const JobPlan& plan, const Source::Partitions& found, size_t readers_max,
                 OpenedSource* opened) {
  const PlanNode& node = plan.node(opened->node);
  const size_t partitions = std::max<size_t>(1, found.partitions.size());
  const size_t readers = std::min<size_t>(partitions, readers_max);
  opened->spread = SpreadPartitions(found.partitions, readers);
  opened->starts.resize(readers);
  std::map<TopicPartition, const CommittedPosition*> committed;
  for (const CommittedPosition& position : found.committed) {
    committed[position.partition] = &position;
  }
  for (const auto& [partition, reader] : opened->spread) {
    StartReading::Partition start;
    start.start.partition = partition;
    if (const auto entry = committed.find(partition); entry != committed.end()) {
      ARROW_RETURN_NOT_OK(PlanRestart(*entry->second, node, opened, &start));
    }
    opened->starts[reader].partitions.push_back(std::move(start));
  }
  for (StartReading& start : opened->starts) start.horizon = opened->horizon;
  if (!committed.empty()) {
    LogInfo("going on from committed offsets: at least once, rows of the last moments may repeat",
            {{"stream", node.stream}, {"partitions", int64_t(committed.size())}});
  }
  return Status::OK();
}

}  // namespace

Status AttemptWithBackoff(const Clock& clock, const std::atomic<bool>& stopping,
                          const std::string& what, const std::function<Status()>& attempt) {
  Micros backoff = kBackoffMin;
  while (true) {
    const Status status = attempt();
    if (status.ok()) return status;
    const ErrorDetail* detail = ErrorDetail::Of(status);
    if (detail == nullptr || detail->retry() == Retry::kNo) return status;
    LogStatus(LogLevel::kWarn, what + " failed, trying again", status,
              {{"in", FormatDuration(backoff)}});
    const MonotonicTime until = clock.Monotonic() + backoff;
    while (clock.Monotonic() < until) {
      if (stopping) return WithContext(status, "stopped while waiting");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    backoff = std::min<Micros>(backoff * 2, kBackoffMax);
  }
}

Result<std::vector<OpenedSource>> OpenSources(const JobSpec& job, const JobPlan& plan,
                                              const ConnectorOptions& options, int32_t readers_max,
                                              const Clock* clock,
                                              const std::atomic<bool>& stopping) {
  std::vector<OpenedSource> sources;
  for (const PlanNode& node : plan.nodes) {
    if (!std::holds_alternative<SourceNode>(node.kind)) continue;
    OpenedSource opened;
    opened.node = node.id;
    ARROW_ASSIGN_OR_RAISE(opened.source, MakeSource(job, node, options, readers_max, clock));
    Source::Partitions found;
    const auto discover = [&] {
      ARROW_ASSIGN_OR_RAISE(found, opened.source->Discover(kDiscoverTimeout));
      return Status::OK();
    };
    ARROW_RETURN_NOT_OK(
        AttemptWithBackoff(*clock, stopping, "reading stream '" + node.stream + "'", discover));
    ARROW_RETURN_NOT_OK(PlanStart(plan, found, size_t(readers_max), &opened));
    sources.push_back(std::move(opened));
  }
  return sources;
}

}  // namespace millrace
