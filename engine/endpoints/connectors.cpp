#include "engine/endpoints/connectors.h"

#include <arrow/filesystem/localfs.h>

#include <filesystem>

#include "engine/connectors/files/files_source.h"
#include "engine/connectors/kafka/kafka_sink.h"
#include "engine/connectors/kafka/kafka_source.h"
#include "engine/endpoints/job_sinks.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

// Brokers that are away hold a publisher up, and with it the job, for as long as they are: readers
// pause and nothing is lost. A day is for what never comes back.
constexpr auto kFlushTimeout = std::chrono::hours(24);

// Of all that a lookup's topic has fetched and not yet read.
constexpr int64_t kLookupQueueBytesMax = 16 << 20;
constexpr Micros kLookupEndsTimeout = std::chrono::seconds(5);

KafkaSinkOptions SinkOptions(const JobSpec& job, const ConnectorOptions& options,
                             const std::string& who) {
  KafkaSinkOptions sink;
  sink.job = job.name;
  sink.default_properties = KafkaPropertiesOf(job, options);
  sink.log = KafkaLogOf(who);
  sink.stop = options.stopping;
  sink.flush_timeout = kFlushTimeout;
  return sink;
}

// The clock that file sinks share with the process.
std::shared_ptr<const Clock> Unowned(const Clock* clock) {
  return std::shared_ptr<const Clock>(std::shared_ptr<void>(), clock);
}

RollWriterOptions RollOptions(const JobSpec& job, const ConnectorOptions& options,
                              const std::string& sink) {
  return {std::make_shared<arrow::fs::LocalFileSystem>(), options.run_id, job.name, sink};
}

std::string Resolve(const std::string& path, const ConnectorOptions& options) {
  return std::filesystem::absolute(std::filesystem::path(options.data_dir) / path)
      .lexically_normal()
      .string();
}

}  // namespace

KafkaProperties KafkaPropertiesOf(const JobSpec& job, const ConnectorOptions& options) {
  KafkaProperties properties = job.kafka_properties;
  if (!options.brokers.empty()) properties["bootstrap.servers"] = options.brokers;
  return properties;
}

KafkaLog KafkaLogOf(const std::string& who) {
  return [who](int level, const std::string& text) {
    constexpr int kSyslogWarning = 4;
    constexpr int kSyslogInfo = 6;
    const LogLevel log_level = level <= kSyslogWarning ? LogLevel::kWarn
                               : level <= kSyslogInfo  ? LogLevel::kInfo
                                                       : LogLevel::kDebug;
    Log(log_level, text, {{"who", who}});
  };
}

Result<std::unique_ptr<Source>> MakeSource(const JobSpec& job, const PlanNode& node,
                                           const ConnectorOptions& options, int32_t readers_max,
                                           const Clock* clock) {
  const auto& source = std::get<SourceNode>(node.kind);
  if (std::holds_alternative<FilesSourceSpec>(source.spec.input)) {
    return MakeFilesSource(source, node, std::make_shared<arrow::fs::LocalFileSystem>());
  }
  KafkaSourceOptions kafka;
  kafka.job = job.name;
  kafka.default_properties = KafkaPropertiesOf(job, options);
  kafka.log = KafkaLogOf(node.name);
  kafka.readers = readers_max;
  return MakeKafkaSource(source, std::move(kafka));
}

Result<LookupTopic> MakeLookupTopic(const JobSpec& job, const LookupSpec& spec,
                                    const LookupLayout& layout, const ConnectorOptions& options) {
  SourceNode node;
  node.spec.input = spec.input;
  node.spec.format = spec.format;
  node.spec.csv = spec.csv;
  node.spec.columns = spec.columns;
  node.used_columns = layout.columns;
  KafkaSourceOptions kafka;
  kafka.job = job.name;
  kafka.default_properties = KafkaPropertiesOf(job, options);
  kafka.log = KafkaLogOf("lookup." + spec.name);
  kafka.queue_bytes_max = kLookupQueueBytesMax;
  kafka.tells_tombstones = true;
  LookupTopic topic;
  ARROW_ASSIGN_OR_RAISE(topic.source, MakeKafkaSource(node, kafka));
  topic.ends = [node, kafka] { return KafkaEndOffsets(node, kafka, kLookupEndsTimeout); };
  return topic;
}

Result<std::unique_ptr<SinkWriter>> MakeDirectSink(const JobSpec& job, const PlanNode& node,
                                                   const ConnectorOptions& options,
                                                   const Clock* clock) {
  const auto& sink = std::get<SinkNode>(node.kind);
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec.target)) {
    return MakeKafkaSink(*kafka, node.output, sink.keys, sink.time_column,
                         SinkOptions(job, options, "sink" + std::to_string(sink.sink_index)));
  }
  return MakeConsoleSink(std::get<ConsoleSinkSpec>(sink.spec.target), node.stream, node.output,
                         sink.keys, Unowned(clock), options.screen);
}

Result<std::unique_ptr<RollWriter>> MakeRollWriter(const JobSpec& job, const PlanNode& node,
                                                   const ConnectorOptions& options) {
  const auto& sink = std::get<SinkNode>(node.kind);
  const std::string name = SinkFileName(sink.spec);
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec.target)) {
    ParquetSinkSpec spec = *parquet;
    spec.path = Resolve(spec.path, options);
    return MakeParquetRollWriter(spec, node.output, sink.time_column,
                                 RollOptions(job, options, name));
  }
  FilesSinkSpec spec = std::get<FilesSinkSpec>(sink.spec.target);
  spec.path = Resolve(spec.path, options);
  return MakeLinesRollWriter(spec, node.output, RollOptions(job, options, name));
}

std::unique_ptr<RollWriter> MakeDeadLetterRolls(const JobSpec& job, const FilesSinkSpec& given,
                                                const ConnectorOptions& options) {
  FilesSinkSpec spec = given;
  spec.path = Resolve(spec.path, options);
  return MakeDeadLetterRollWriter(spec, RollOptions(job, options, "dead"));
}

}  // namespace millrace
