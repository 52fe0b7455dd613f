#include "engine/connectors/kafka/kafka_source.h"

#include <algorithm>

#include "engine/base/diagnostics.h"
#include "engine/connectors/kafka/kafka_reader.h"
#include "engine/connectors/kafka/kafka_topics.h"

namespace millrace {
namespace {

constexpr int kPollMs = 100;

// From measurements (docs/performance.md): a small queued.min.messages makes librdkafka back off
// for a second whenever its queue is full. Larger fetches cost memory (a response is kept whole
// while any of its records is) and bring no rate.
KafkaProperties Defaults(const KafkaSourceOptions& options) {
  const int64_t share =
      std::max<int64_t>(1, options.queue_bytes_max / 1024 / std::max(1, options.readers));
  return {{"client.id", "millrace-" + options.job},
          {"group.id", "millrace-" + options.job},
          {"isolation.level", "read_committed"},
          {"queued.min.messages", "200000"},
          {"queued.max.messages.kbytes", std::to_string(share)},
          {"fetch.message.max.bytes", std::to_string(1 << 20)},
          {"fetch.max.bytes", std::to_string(16 << 20)},
          {"fetch.wait.max.ms", "50"},
          {"fetch.error.backoff.ms", "100"},
          {"reconnect.backoff.max.ms", "2000"},
          {"socket.keepalive.enable", "true"},
          {"log.connection.close", "false"}};
}

KafkaProperties Fixed() {
  return {{"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
          {"auto.offset.reset", "error"},        {"enable.partition.eof", "true"},
          {"allow.auto.create.topics", "false"}, {"statistics.interval.ms", "500"}};
}

bool ReadCommitted(const KafkaClientOptions& client) {
  std::string level = client.defaults.at("isolation.level");
  for (const KafkaProperties& layer : client.layers) {
    const auto entry = layer.find("isolation.level");
    if (entry != layer.end()) level = entry->second;
  }
  return level == "read_committed";
}

class KafkaSource final : public Source {
 public:
  KafkaSource(SourceNode node, KafkaClientOptions client, std::shared_ptr<KafkaClient> control,
              bool tells_tombstones)
      : node_(std::move(node)),
        client_(std::move(client)),
        control_(std::move(control)),
        tells_tombstones_(tells_tombstones) {}

  Result<Partitions> Discover(Micros timeout) override;
  Result<std::unique_ptr<SourceReader>> MakeReader() override;
  Result<bool> VerifyRecord(const TopicPartition& partition, int64_t offset, uint64_t hash,
                            Micros timeout) override;
  bool bounded() const override { return false; }

  Result<std::vector<TopicPartition>> PartitionsOf(const std::string& topic, Micros timeout);

 private:
  Status Missing(const std::string& topic, Micros timeout);
  Status ReadCommittedPositions(Partitions* found, Micros timeout);

  const SourceNode node_;
  const KafkaClientOptions client_;
  const std::shared_ptr<KafkaClient> control_;  // asks; never reads, but to verify
  const bool tells_tombstones_;
  std::vector<TopicPartition> known_;
  bool announced_ = false;
};

Result<Source::Partitions> KafkaSource::Discover(Micros timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto left = [&] {
    return std::max<Micros>(
        std::chrono::milliseconds(1),
        std::chrono::duration_cast<Micros>(deadline - std::chrono::steady_clock::now()));
  };
  rd_kafka_poll(control_->handle(), 0);  // errors told meanwhile
  Partitions found;
  for (const std::string& topic : std::get<KafkaSourceSpec>(node_.spec.input).topics) {
    ARROW_ASSIGN_OR_RAISE(const auto partitions, PartitionsOf(topic, left()));
    found.partitions.insert(found.partitions.end(), partitions.begin(), partitions.end());
  }
  ARROW_RETURN_NOT_OK(ReadCommittedPositions(&found, left()));
  known_ = found.partitions;
  return found;
}

Result<std::vector<TopicPartition>> KafkaSource::PartitionsOf(const std::string& topic,
                                                              Micros timeout) {
  ARROW_ASSIGN_OR_RAISE(const KafkaMetadata metadata, control_->Metadata(topic, timeout));
  if (metadata->topic_cnt != 1) return Missing(topic, timeout);
  const rd_kafka_metadata_topic_t& answer = metadata->topics[0];
  if (answer.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return Missing(topic, timeout);
  if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError(answer.err, "topic " + topic);
  std::vector<TopicPartition> partitions;
  partitions.reserve(size_t(answer.partition_cnt));
  for (int i = 0; i < answer.partition_cnt; ++i) {
    partitions.push_back({topic, answer.partitions[i].id});
  }
  std::sort(partitions.begin(), partitions.end());
  return partitions;
}

Status KafkaSource::Missing(const std::string& topic, Micros timeout) {
  ARROW_ASSIGN_OR_RAISE(const KafkaMetadata metadata, control_->AllMetadata(timeout));
  std::vector<std::string> names;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const std::string name = metadata->topics[i].topic;
    if (!name.starts_with("__") && name != topic) names.push_back(name);
  }
  const std::string hint = SuggestName(topic, names);
  return UserError("topic_missing", "topic '" + topic + "' does not exist at " +
                                        control_->brokers() + (hint.empty() ? "" : "; " + hint));
}

Status KafkaSource::ReadCommittedPositions(Partitions* found, Micros timeout) {
  const KafkaPartitions list = MakeKafkaPartitions(found->partitions);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  const auto error = rd_kafka_committed(control_->handle(), list.get(), int(millis.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(error, "reading the job's committed positions from " + control_->brokers());
  }
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& element = list->elems[i];
    if (element.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return KafkaError(element.err,
                        std::string("reading the committed position of ") + element.topic);
    }
    if (element.offset < 0) continue;
    CommittedPosition position;
    position.partition = {element.topic, element.partition};
    position.offset = element.offset;
    position.metadata.assign(static_cast<const char*>(element.metadata), element.metadata_size);
    // Clients that commit it again (to move or restore a group) may add the end of a C string.
    while (position.metadata.ends_with('\0')) position.metadata.pop_back();
    found->committed.push_back(std::move(position));
  }
  return Status::OK();
}

Result<std::unique_ptr<SourceReader>> KafkaSource::MakeReader() {
  KafkaReader::Options options;
  options.node = node_;
  options.read_committed = ReadCommitted(client_);
  options.announces = !announced_;
  options.known_partitions = known_;
  options.tells_tombstones = tells_tombstones_;
  announced_ = true;
  return KafkaReader::Make(client_, std::move(options));
}

// A record that was read and is gone: below the end it was deleted by age or compaction; at or
// above it the topic was cut off or made again.
Result<bool> IsBelowEnd(const KafkaClient& client, const TopicPartition& partition, int64_t offset,
                        Micros timeout) {
  int64_t low = 0, high = 0;
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  const auto error =
      rd_kafka_query_watermark_offsets(client.handle(), partition.topic.c_str(),
                                       partition.partition, &low, &high, int(millis.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError(error, "reading a record again");
  return offset < high;
}

Result<bool> KafkaSource::VerifyRecord(const TopicPartition& partition, int64_t offset,
                                       uint64_t hash, Micros timeout) {
  KafkaClientOptions options = client_;
  ARROW_ASSIGN_OR_RAISE(const auto client, KafkaClient::Make(std::move(options)));
  rd_kafka_poll_set_consumer(client->handle());
  const KafkaPartitions list = MakeKafkaPartitions({partition});
  list->elems[0].offset = offset;
  const auto error = rd_kafka_assign(client->handle(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError(error, "reading a record again");
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
        rd_kafka_consumer_poll(client->handle(), kPollMs), rd_kafka_message_destroy);
    if (message == nullptr) continue;
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return message->offset != offset || HashKafkaRecord(*message) == hash;
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return IsBelowEnd(*client, partition, offset, timeout);
      default:
        break;  // passing trouble; librdkafka goes on trying
    }
  }
  return client->Unreachable();
}

}  // namespace

namespace {

KafkaClientOptions ClientOptions(const SourceNode& node, const KafkaSourceOptions& options) {
  KafkaClientOptions client;
  client.type = RD_KAFKA_CONSUMER;
  client.defaults = Defaults(options);
  client.layers = {options.default_properties,
                   std::get<KafkaSourceSpec>(node.spec.input).properties};
  client.fixed = Fixed();
  client.log = options.log;
  return client;
}

Result<std::shared_ptr<KafkaClient>> ControlClient(KafkaClientOptions client) {
  client.fixed["statistics.interval.ms"] = "0";
  return KafkaClient::Make(std::move(client));
}

}  // namespace

Result<std::unique_ptr<Source>> MakeKafkaSource(const SourceNode& node,
                                                KafkaSourceOptions options) {
  KafkaClientOptions client = ClientOptions(node, options);
  ARROW_ASSIGN_OR_RAISE(auto control_client, ControlClient(client));
  return std::make_unique<KafkaSource>(node, std::move(client), std::move(control_client),
                                       options.tells_tombstones);
}

Result<std::map<TopicPartition, int64_t>> KafkaEndOffsets(const SourceNode& node,
                                                          const KafkaSourceOptions& options,
                                                          Micros timeout) {
  ARROW_ASSIGN_OR_RAISE(auto control, ControlClient(ClientOptions(node, options)));
  const KafkaDeadline deadline(timeout);
  KafkaSource source(node, {}, control, false);
  std::map<TopicPartition, int64_t> ends;
  for (const std::string& topic : std::get<KafkaSourceSpec>(node.spec.input).topics) {
    ARROW_ASSIGN_OR_RAISE(const auto partitions, source.PartitionsOf(topic, deadline.Remaining()));
    for (const TopicPartition& partition : partitions) {
      int64_t low = 0, high = 0;
      const auto error = rd_kafka_query_watermark_offsets(
          control->handle(), partition.topic.c_str(), partition.partition, &low, &high,
          deadline.RemainingMs());
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return KafkaError(error, "finding the end of topic " + partition.topic);
      }
      ends[partition] = high;
    }
  }
  return ends;
}

}  // namespace millrace
