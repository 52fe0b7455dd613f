#include "tools/millrace/connectors.h"

#include <arrow/filesystem/localfs.h>

#include <filesystem>

#include "engine/connectors/files/files_source.h"
#include "engine/connectors/files/lines_sink.h"
#include "engine/connectors/files/parquet_sink.h"
#include "engine/connectors/kafka/kafka_sink.h"
#include "engine/connectors/kafka/kafka_source.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

// Brokers that are away hold a publisher up, and with it the job, for as long as they are: readers
// pause and nothing is lost. A day is for what never comes back.
constexpr auto kFlushTimeout = std::chrono::hours(24);

KafkaProperties PropertiesOf(const JobSpec& job, const ConnectorOptions& options) {
  KafkaProperties properties = job.kafka_properties;
  if (!options.brokers.empty()) properties["bootstrap.servers"] = options.brokers;
  return properties;
}

KafkaLog LogOf(const std::string& who) {
  return [who](int level, const std::string& text) {
    constexpr int kSyslogWarning = 4;
    constexpr int kSyslogInfo = 6;
    const LogLevel log_level = level <= kSyslogWarning ? LogLevel::kWarn
                               : level <= kSyslogInfo  ? LogLevel::kInfo
                                                       : LogLevel::kDebug;
    Log(log_level, text, {{"who", who}});
  };
}

KafkaSinkOptions SinkOptions(const JobSpec& job, const ConnectorOptions& options,
                             const std::string& who) {
  KafkaSinkOptions sink;
  sink.job = job.name;
  sink.default_properties = PropertiesOf(job, options);
  sink.log = LogOf(who);
  sink.stop = options.stopping;
  sink.flush_timeout = kFlushTimeout;
  return sink;
}

// The clock that file sinks share with the process.
std::shared_ptr<const Clock> Unowned(const Clock* clock) {
  return std::shared_ptr<const Clock>(std::shared_ptr<void>(), clock);
}

FileSinkOptions FileOptions(const JobSpec& job, const ConnectorOptions& options,
                            const std::string& sink, const Clock* clock) {
  return {job.name, options.run_id, sink, Unowned(clock),
          std::make_shared<arrow::fs::LocalFileSystem>()};
}

std::string Resolve(const std::string& path, const ConnectorOptions& options) {
  return std::filesystem::absolute(std::filesystem::path(options.data_dir) / path)
      .lexically_normal()
      .string();
}

}  // namespace

Result<std::unique_ptr<Source>> MakeSource(const JobSpec& job, const PlanNode& node,
                                           const ConnectorOptions& options, int32_t readers_max,
                                           const Clock* clock) {
  const auto& source = std::get<SourceNode>(node.kind);
  if (std::holds_alternative<FilesSourceSpec>(source.spec.input)) {
    return MakeFilesSource(source, node, std::make_shared<arrow::fs::LocalFileSystem>());
  }
  KafkaSourceOptions kafka;
  kafka.job = job.name;
  kafka.default_properties = PropertiesOf(job, options);
  kafka.log = LogOf(node.name);
  kafka.readers = readers_max;
  return MakeKafkaSource(source, std::move(kafka));
}

Result<std::unique_ptr<SinkWriter>> MakeSink(const JobSpec& job, const PlanNode& node,
                                             const ConnectorOptions& options, const Clock* clock) {
  const auto& sink = std::get<SinkNode>(node.kind);
  const std::string name = "sink" + std::to_string(sink.sink_index);
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec.target)) {
    return MakeKafkaSink(*kafka, node.output, sink.keys, sink.time_column,
                         SinkOptions(job, options, name));
  }
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec.target)) {
    ParquetSinkSpec spec = *parquet;
    spec.path = Resolve(spec.path, options);
    return MakeParquetSink(spec, node.output, sink.time_column,
                           FileOptions(job, options, name, clock));
  }
  if (const auto* files = std::get_if<FilesSinkSpec>(&sink.spec.target)) {
    FilesSinkSpec spec = *files;
    spec.path = Resolve(spec.path, options);
    return MakeLinesSink(spec, node.output, FileOptions(job, options, name, clock));
  }
  return MakeConsoleSink(std::get<ConsoleSinkSpec>(sink.spec.target), node.stream, node.output,
                         sink.keys, Unowned(clock), options.screen);
}

Result<std::unique_ptr<DeadLetterWriter>> MakeDeadLetters(const JobSpec& job,
                                                          const ConnectorOptions& options,
                                                          const Clock* clock) {
  FilesSinkSpec files;
  files.path = "dead-letters";
  if (job.dead_letters.has_value()) {
    const auto& target = job.dead_letters->target;
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&target)) {
      return MakeKafkaDeadLetterWriter(*kafka, SinkOptions(job, options, "dead_letters"));
    }
    files = std::get<FilesSinkSpec>(target);
  }
  files.path = Resolve(files.path, options);
  return MakeDeadLetterFiles(files, FileOptions(job, options, "dead", clock));
}

}  // namespace millrace
