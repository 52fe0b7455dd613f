#include "engine/layout/sink_routes.h"

#include <algorithm>

namespace millrace {
namespace {

// By its stable id: an edited job finds the segments of its sinks where they were.
int32_t ShardOfFiles(const std::string& id, int32_t shards) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char letter : id) hash = (hash ^ uint8_t(letter)) * 16777619u;
  return int32_t(hash % uint32_t(shards));
}

bool LettersAreRecords(const JobSpec& job) {
  return job.dead_letters.has_value() &&
         std::holds_alternative<KafkaSinkSpec>(job.dead_letters->target);
}

}  // namespace

std::string SinkName(int32_t sink) { return "sink." + std::to_string(sink); }

SinkRoute RouteOf(const SinkSpec& sink) {
  if (std::holds_alternative<ConsoleSinkSpec>(sink.target) ||
      sink.delivery == Delivery::kAtLeastOnce) {
    return SinkRoute::kDirect;
  }
  return std::holds_alternative<KafkaSinkSpec>(sink.target) ? SinkRoute::kRecords
                                                            : SinkRoute::kFiles;
}

bool SinkRoutes::has_records() const {
  return !letter_files.has_value() || std::ranges::any_of(sinks, [](const auto& sink) {
    return sink.second.route == SinkRoute::kRecords;
  });
}

SinkRoutes RoutesOf(const JobSpec& job, const JobPlan& plan) {
  SinkRoutes routes;
  for (const PlanNode& node : plan.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    SinkRoutes::Sink of{RouteOf(sink->spec), SinkId(sink->spec), 0};
    if (of.route == SinkRoute::kFiles) of.shard = ShardOfFiles(of.id, job.sink_shards);
    // Nodes of one index write the same rows (alerts of several streams): the first says how.
    routes.sinks.emplace(sink->sink_index, std::move(of));
  }
  // The first shard has the files of dead letters.
  if (!LettersAreRecords(job)) routes.letter_files = {SinkRoute::kFiles, LetterFilesId(job), 0};
  return routes;
}

std::string SinkFileName(const SinkSpec& sink) {
  return sink.stream.has_value() ? sink.stream->text : std::string("alerts");
}

std::string SinkId(const SinkSpec& sink) {
  const std::string what = SinkFileName(sink);
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.target)) {
    return what + ">kafka:" + kafka->topic;
  }
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.target)) {
    return what + ">parquet:" + parquet->path;
  }
  if (const auto* files = std::get_if<FilesSinkSpec>(&sink.target)) {
    return what + ">files:" + files->path;
  }
  return what + ">console";
}

FilesSinkSpec LetterFilesOf(const JobSpec& job) {
  FilesSinkSpec spec;
  spec.path = "dead-letters";
  const auto* given = job.dead_letters.has_value()
                          ? std::get_if<FilesSinkSpec>(&job.dead_letters->target)
                          : nullptr;
  return given != nullptr ? *given : spec;
}

std::string LetterFilesId(const JobSpec& job) {
  return "dead_letters>files:" + LetterFilesOf(job).path;
}

bool WritesRecords(const JobSpec& job) {
  return LettersAreRecords(job) || std::ranges::any_of(job.sinks, [](const SinkSpec& sink) {
           return RouteOf(sink) == SinkRoute::kRecords;
         });
}

}  // namespace millrace
