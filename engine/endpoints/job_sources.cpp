#include "engine/endpoints/job_sources.h"

#include <algorithm>
#include <thread>

#include "engine/checkpoint/manifest.h"
#include "engine/layout/spread_partitions.h"
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
// position means nothing in it. False where the job is to go on from the start regardless.
Result<bool> VerifyTopic(Source* source, const proto::PartitionPosition& position,
                         OnDataLoss on_data_loss) {
  if (position.last_offset() < 0) return true;
  const TopicPartition partition{position.topic(), position.partition()};
  ARROW_ASSIGN_OR_RAISE(bool same, source->VerifyRecord(partition, position.last_offset(),
                                                        position.last_hash(), kDiscoverTimeout));
  if (same) return true;
  const std::string what = "topic '" + partition.topic + "' partition " +
                           std::to_string(partition.partition) + " was re-created: offset " +
                           std::to_string(position.last_offset()) +
                           " no longer holds the record that was read there";
  if (on_data_loss == OnDataLoss::kContinue) {
    LogWarn(what + "; reading it from the start (on_data_loss: continue)");
    return false;
  }
  return UserError("topic_recreated",
                   what + "; set on_data_loss: continue to read it from the start");
}

Status GoOn(const proto::PartitionPosition& position, const PlanNode& node, Source* source,
            StartReading::Partition* start) {
  if (position.next_offset() < 0) return Status::OK();  // nothing was read of it yet
  ARROW_ASSIGN_OR_RAISE(bool same, VerifyTopic(source, position, DataLossOf(node)));
  if (!same) return Status::OK();
  start->start.offset = position.next_offset();
  start->watermark = EventTime(Micros(position.watermark()));
  start->last_offset = position.last_offset();
  start->last_hash = position.last_hash();
  return Status::OK();
}

std::map<TopicPartition, size_t> Spread(const PlanNode& node,
                                        const std::vector<TopicPartition>& partitions,
                                        size_t readers, std::string* misfit) {
  const auto& spec = std::get<SourceNode>(node.kind).spec;
  const auto* const kafka = std::get_if<KafkaSourceSpec>(&spec.input);
  misfit->clear();
  if (kafka != nullptr && kafka->keyed_by.has_value()) {
    const int32_t keyed = kafka->keyed_by->partitions;
    auto with_keys = SpreadWithKeys(partitions, keyed, readers);
    if (with_keys.has_value()) return *std::move(with_keys);
    *misfit = node.name + ": readings cross workers, for keyed_by does not fit: it says " +
              std::to_string(keyed) + " partitions a topic, of " +
              std::to_string(kafka->topics.size()) + "; found are " +
              std::to_string(partitions.size()) + ", for " + std::to_string(readers) + " readers";
  }
  return SpreadPartitions(partitions, readers);
}

// Spreads partitions over readers and decides where each begins.
Status PlanStart(const JobPlan& plan, const Source::Partitions& found, size_t readers_max,
                 const proto::Manifest* restored, OpenedSource* opened) {
  const PlanNode& node = plan.node(opened->node);
  const size_t partitions = std::max<size_t>(1, found.partitions.size());
  const size_t readers = std::min<size_t>(partitions, readers_max);
  opened->spread = Spread(node, found.partitions, readers, &opened->misfit);
  opened->starts.assign(readers, StartReading());  // it may be tried again
  if (restored != nullptr) opened->watermark = SourceWatermark(*restored, node.name);
  const auto positions = PositionsOf(restored, node.name);
  for (const auto& [partition, reader] : opened->spread) {
    StartReading::Partition start;
    start.start.partition = partition;
    if (const auto entry = positions.find(partition); entry != positions.end()) {
      ARROW_RETURN_NOT_OK(GoOn(entry->second, node, opened->source.get(), &start));
    }
    opened->starts[reader].partitions.push_back(std::move(start));
  }
  for (StartReading& start : opened->starts) start.forwarded = opened->watermark;
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
                                              const proto::Manifest* restored, const Clock* clock,
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
    const auto begin = [&] {
      return PlanStart(plan, found, size_t(readers_max), restored, &opened);
    };
    ARROW_RETURN_NOT_OK(
        AttemptWithBackoff(*clock, stopping, "reading stream '" + node.stream + "'", begin));
    sources.push_back(std::move(opened));
  }
  return sources;
}

}  // namespace millrace
