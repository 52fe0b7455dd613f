#include "engine/endpoints/job_sinks.h"

#include <algorithm>
#include <set>

#include "engine/connectors/files/file_register.h"
#include "engine/connectors/kafka/kafka_row_encoder.h"
#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/connectors/kafka/register_topic.h"
#include "engine/endpoints/kafka_output.h"

namespace millrace {
namespace {

constexpr auto kPrepareTimeout = std::chrono::seconds(5);
constexpr auto kRegisterTimeout = std::chrono::seconds(4);
// What is added to a record when it is published: headers of generation and epoch.
constexpr int64_t kPublishedHeaderBytes = 128;

class DeadLetterRecords final : public DeadLetterEncoder {
 public:
  DeadLetterRecords(std::string topic, std::string job, int64_t record_bytes_max)
      : topic_(std::move(topic)),
        headers_({{"millrace-job", std::move(job)}}),
        record_bytes_max_(record_bytes_max) {}

  Status Encode(const DeadLetter& letter, const VisitRecord& visit) override {
    scratch_.clear();
    return visit(DeadLetterRecord(letter, topic_, headers_, record_bytes_max_, &scratch_));
  }

 private:
  const std::string topic_;
  const RecordHeaders headers_;
  const int64_t record_bytes_max_;
  std::vector<std::string> scratch_;
};

class OpenedJobSinks final : public JobSinks {
 public:
  OpenedJobSinks(std::string job, ConnectorOptions options, std::vector<KafkaProperties> layers)
      : job_(std::move(job)), options_(std::move(options)), layers_(std::move(layers)) {}

  std::map<int32_t, std::unique_ptr<RecordEncoder>> MakeEncoders() const override {
    std::map<int32_t, std::unique_ptr<RecordEncoder>> encoders;
    for (const auto& [index, sink] : records) {
      KafkaRowEncoderOptions encoder;
      encoder.topic = sink.topic;
      encoder.schema = sink.schema;
      encoder.keys = sink.keys;
      encoder.time_column = sink.time_column;
      encoder.tells_row_kind = sink.tells_row_kind;
      encoder.headers = {{"millrace-job", job_}};
      encoder.record_bytes_max = sink.record_bytes_max - kPublishedHeaderBytes;
      encoders[index] = KafkaRowEncoder::Make(std::move(encoder));
    }
    return encoders;
  }
  std::unique_ptr<DeadLetterEncoder> MakeLetterEncoder() const override {
    if (letter_files.has_value()) return nullptr;
    return std::make_unique<DeadLetterRecords>(letter_topic, job_,
                                               letter_bytes_max - kPublishedHeaderBytes);
  }
  Result<std::unique_ptr<PublisherOutput>> MakeOutput(int32_t shard) const override {
    KafkaOutputOptions output;
    output.job = job_;
    output.shard = shard;
    output.topics = topics;
    output.layers = layers_;
    output.log = KafkaLogOf("publisher." + std::to_string(shard));
    output.stop = options_.stopping;
    return MakeKafkaOutput(std::move(output));
  }

  std::map<int32_t, RecordSinkParts> records;
  std::vector<std::string> topics;
  std::string letter_topic;
  int64_t letter_bytes_max = 0;

 private:
  const std::string job_;
  const ConnectorOptions options_;
  const std::vector<KafkaProperties> layers_;
};

// The Kafka targets of a job that share its transactions.
std::vector<const KafkaSinkSpec*> TransactionalSinks(const JobSpec& job) {
  std::vector<const KafkaSinkSpec*> sinks;
  for (const SinkSpec& sink : job.sinks) {
    if (RouteOf(sink) == SinkRoute::kRecords)
      sinks.push_back(&std::get<KafkaSinkSpec>(sink.target));
  }
  if (job.dead_letters.has_value()) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&job.dead_letters->target);
    if (kafka != nullptr) sinks.push_back(kafka);
  }
  return sinks;
}

// A job's transactions are those of one producer a shard, so its sinks share their properties, and
// their cluster.
Result<KafkaProperties> SharedProperties(const JobSpec& job) {
  const auto sinks = TransactionalSinks(job);
  KafkaProperties shared;
  const auto differ = [](const std::string& name) {
    return UserError("bad_kafka_property",
                     "property '" + name +
                         "' is not the same in all of this job's Kafka sinks and "
                         "dead letters; they share their transactions, so set "
                         "it once, under spec.kafka.properties");
  };
  for (const KafkaSinkSpec* sink : sinks) {
    for (const auto& [name, value] : sink->properties) {
      const auto [known, added] = shared.emplace(name, value);
      if (!added && known->second != value) return differ(name);
    }
  }
  constexpr const char* kBrokers = "bootstrap.servers";
  if (!shared.contains(kBrokers)) return shared;
  for (const KafkaSinkSpec* sink : sinks) {
    if (!sink->properties.contains(kBrokers)) return differ(kBrokers);
  }
  return shared;
}

Result<FileSinkParts> MakeFileSink(const JobSpec& job, const PlanNode& node,
                                   const ConnectorOptions& options) {
  const auto& sink = std::get<SinkNode>(node.kind);
  FileSinkParts parts;
  parts.id = SinkId(sink.spec);
  // Not its place in the job file: a roll that was cut short finds its files after an edit.
  parts.name = SinkFileName(sink.spec);
  parts.schema = node.output.ToArrow();
  const auto make = [&]() { return MakeRollWriter(job, node, options); };
  ARROW_ASSIGN_OR_RAISE(parts.writer, make());
  ARROW_ASSIGN_OR_RAISE(parts.checker, make());
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec.target)) {
    parts.roll_bytes = parquet->roll_bytes;
    parts.roll_interval = parquet->roll_interval;
  } else {
    const auto& files = std::get<FilesSinkSpec>(sink.spec.target);
    parts.roll_bytes = files.roll_bytes;
    parts.roll_interval = files.roll_interval;
  }
  return parts;
}

Status OpenFiles(const FileSinkParts& parts, const Leftovers& leftovers) {
  ARROW_RETURN_NOT_OK(parts.writer->Open());
  const auto found = leftovers.find(parts.id);
  return found == leftovers.end() ? Status::OK() : parts.writer->RemoveLeftovers(found->second);
}

FileSinkParts MakeLetterFiles(const JobSpec& job, const ConnectorOptions& options) {
  const FilesSinkSpec spec = LetterFilesOf(job);
  FileSinkParts parts;
  parts.id = LetterFilesId(job);
  parts.name = "dead";
  parts.schema = LineSchema();
  parts.writer = MakeDeadLetterRolls(job, spec, options);
  parts.roll_bytes = spec.roll_bytes;
  parts.roll_interval = spec.roll_interval;
  return parts;
}

}  // namespace

std::vector<std::string> OrphanedSinks(const JobSpec& job, const proto::Manifest& manifest) {
  std::set<std::string> known;
  for (const SinkSpec& sink : job.sinks) known.insert(SinkId(sink));
  known.insert(LetterFilesId(job));
  std::vector<std::string> orphaned;
  for (const proto::ShardState& shard : manifest.shards()) {
    for (const proto::FileSinkState& file : shard.files()) {
      const bool rows = !file.open().empty() || !file.rolls().empty();
      if (rows && !known.contains(file.sink())) orphaned.push_back(file.sink());
    }
    if (!shard.segments().empty() && !WritesRecords(job)) {
      orphaned.push_back("kafka, shard " + std::to_string(shard.shard()));
    }
  }
  return orphaned;
}

Result<std::unique_ptr<JobSinks>> OpenJobSinks(const JobSpec& job, const JobPlan& plan,
                                               const ConnectorOptions& options,
                                               const Leftovers& leftovers, const Clock* clock) {
  ARROW_ASSIGN_OR_RAISE(KafkaProperties shared, SharedProperties(job));
  const std::vector<KafkaProperties> layers = {KafkaPropertiesOf(job, options), std::move(shared)};
  auto sinks = std::make_unique<OpenedJobSinks>(job.name, options, layers);
  for (const PlanNode& node : plan.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    const int32_t index = sink->sink_index;
    // Nodes of one index write the same rows (alerts of several streams): the first says how.
    if (sinks->direct.contains(index) || sinks->files.contains(index) ||
        sinks->records.contains(index)) {
      continue;
    }
    switch (RouteOf(sink->spec)) {
      case SinkRoute::kDirect: {
        ARROW_ASSIGN_OR_RAISE(auto writer, MakeDirectSink(job, node, options, clock));
        ARROW_RETURN_NOT_OK(writer->Open());
        sinks->descriptions.push_back(writer->description());
        sinks->direct[index] = std::move(writer);
        break;
      }
      case SinkRoute::kRecords: {
        const std::string& topic = std::get<KafkaSinkSpec>(sink->spec.target).topic;
        sinks->records[index] = {
            topic, node.output, sink->keys, sink->time_column, sink->takes_changes(), 0};
        sinks->topics.push_back(topic);
        sinks->descriptions.push_back("kafka topic " + topic);
        break;
      }
      case SinkRoute::kFiles: {
        ARROW_ASSIGN_OR_RAISE(FileSinkParts parts, MakeFileSink(job, node, options));
        ARROW_RETURN_NOT_OK(OpenFiles(parts, leftovers));
        sinks->descriptions.push_back(parts.writer->description());
        sinks->files[index] = std::move(parts);
        break;
      }
    }
  }
  const auto* letters = job.dead_letters.has_value()
                            ? std::get_if<KafkaSinkSpec>(&job.dead_letters->target)
                            : nullptr;
  if (letters != nullptr) {
    sinks->letter_topic = letters->topic;
    sinks->topics.push_back(letters->topic);
    sinks->descriptions.push_back("dead letters: kafka topic " + letters->topic);
  } else {
    sinks->letter_files = MakeLetterFiles(job, options);
    ARROW_RETURN_NOT_OK(OpenFiles(*sinks->letter_files, leftovers));
    sinks->descriptions.push_back("dead letters: " + sinks->letter_files->writer->description());
  }
  if (sinks->topics.empty()) return std::unique_ptr<JobSinks>(std::move(sinks));
  ARROW_ASSIGN_OR_RAISE(
      const OutputTopics topics,
      PrepareOutputTopics(job.name, sinks->topics, layers, KafkaLogOf("sinks"), kPrepareTimeout));
  for (auto& [index, sink] : sinks->records) {
    sink.record_bytes_max = topics.record_bytes_max.at(sink.topic);
  }
  if (letters != nullptr) {
    sinks->letter_bytes_max = topics.record_bytes_max.at(letters->topic);
  }
  return std::unique_ptr<JobSinks>(std::move(sinks));
}

namespace {

Status FenceProducers(const JobSpec& job, const std::vector<KafkaProperties>& layers,
                      const std::atomic<bool>* stopping) {
  const KafkaLog log = KafkaLogOf("registers");
  ARROW_RETURN_NOT_OK(EnsureRegisterTopic(layers, log, kPrepareTimeout).status());
  for (int32_t shard = 0; shard < job.sink_shards; ++shard) {
    ARROW_ASSIGN_OR_RAISE(const auto producer,
                          KafkaTransactions::Make({job.name, shard, layers, log, stopping}));
    ARROW_RETURN_NOT_OK(producer->Initialise(/*topics=*/{}, kPrepareTimeout));
  }
  return Status::OK();
}

}  // namespace

Result<std::map<int32_t, proto::Register>> ReadJobRegisters(const JobSpec& job,
                                                            const ConnectorOptions& options,
                                                            bool fence) {
  if (!WritesRecords(job)) return std::map<int32_t, proto::Register>();
  ARROW_ASSIGN_OR_RAISE(KafkaProperties shared, SharedProperties(job));
  const std::vector<KafkaProperties> layers = {KafkaPropertiesOf(job, options), std::move(shared)};
  if (fence) ARROW_RETURN_NOT_OK(FenceProducers(job, layers, options.stopping));
  ARROW_ASSIGN_OR_RAISE(Registers registers,
                        ReadRegisters(job.name, layers, KafkaLogOf("registers"), std::nullopt,
                                      kRegisterTimeout, options.stopping));
  return std::move(registers.shards);
}

namespace {

// The writer of every file sink, once each, with the sink's id.
Status ForEachRollWriter(const JobSpec& job, const JobPlan& plan, const ConnectorOptions& options,
                         const std::function<Status(const std::string&, RollWriter*)>& visit) {
  std::set<std::string> seen;
  for (const PlanNode& node : plan.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr || RouteOf(sink->spec) != SinkRoute::kFiles ||
        !seen.insert(SinkId(sink->spec)).second) {
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const auto writer, MakeRollWriter(job, node, options));
    ARROW_RETURN_NOT_OK(visit(SinkId(sink->spec), writer.get()));
  }
  if (job.dead_letters.has_value() &&
      !std::holds_alternative<FilesSinkSpec>(job.dead_letters->target)) {
    return Status::OK();
  }
  const FileSinkParts letters = MakeLetterFiles(job, options);
  return visit(letters.id, letters.writer.get());
}

}  // namespace

Result<std::map<std::string, proto::Register>> ReadFileRegisters(const JobSpec& job,
                                                                 const JobPlan& plan,
                                                                 const ConnectorOptions& options) {
  std::map<std::string, proto::Register> registers;
  ARROW_RETURN_NOT_OK(ForEachRollWriter(
      job, plan, options, [&](const std::string& id, RollWriter* writer) -> Status {
        ARROW_ASSIGN_OR_RAISE(const auto found, ReadFileRegister(writer));
        if (found.has_value()) registers[id] = *found;
        return Status::OK();
      }));
  return registers;
}

Result<Leftovers> ListLeftovers(const JobSpec& job, const JobPlan& plan,
                                const ConnectorOptions& options) {
  Leftovers leftovers;
  ARROW_RETURN_NOT_OK(ForEachRollWriter(job, plan, options,
                                        [&](const std::string& id, RollWriter* writer) -> Status {
                                          ARROW_ASSIGN_OR_RAISE(leftovers[id], writer->Leftovers());
                                          return Status::OK();
                                        }));
  return leftovers;
}

}  // namespace millrace
