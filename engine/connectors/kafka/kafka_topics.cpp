#include "engine/connectors/kafka/kafka_topics.h"

#include <algorithm>
#include <thread>

#include "engine/model/number.h"

namespace millrace {
namespace {

constexpr int kRequestTimeoutMs = 5000;
constexpr int kMetadataStepMs = 2000;
constexpr auto kAskAgainAfter = std::chrono::milliseconds(100);
constexpr int kPartitionsOfNewTopics = 4;
constexpr int64_t kRecordBytesDefault = 1'000'000;
constexpr int64_t kRecordBytesMin = 1000;  // what librdkafka's message.max.bytes may be
constexpr int64_t kRecordBytesMax = 100'000'000;

using Queue = std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)>;
using Event = std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)>;
using AdminOptions =
    std::unique_ptr<rd_kafka_AdminOptions_t, decltype(&rd_kafka_AdminOptions_destroy)>;

AdminOptions MakeAdminOptions(rd_kafka_t* handle, rd_kafka_admin_op_t operation, int timeout_ms) {
  AdminOptions options(rd_kafka_AdminOptions_new(handle, operation), rd_kafka_AdminOptions_destroy);
  char text[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, text, sizeof(text));
  return options;
}

// Comes in any case: the request's own timeout is an event, too.
Event AwaitEvent(rd_kafka_queue_t* queue, int timeout_ms) {
  return Event(rd_kafka_queue_poll(queue, timeout_ms + 1000), rd_kafka_event_destroy);
}

// Requests to make or describe topics go to the controller. Where the one that was named is no
// broker of the cluster, they would not be answered.
bool NamesController(const rd_kafka_metadata_t& metadata, int32_t controller) {
  for (int i = 0; i < metadata.broker_cnt; ++i) {
    if (metadata.brokers[i].id == controller) return true;
  }
  return false;
}

bool IsUnreachable(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT ||
         error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

std::string Describe(const NewKafkaTopic& topic) {
  std::string text = std::to_string(topic.partitions) + " partitions";
  const char* separator = " and ";
  for (const auto& [name, value] : topic.settings) {
    text.append(separator).append(name).append("=").append(value);
    separator = ", ";
  }
  return text;
}

struct CreateResult {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string reason;
};

CreateResult ResultOf(rd_kafka_event_t* event) {
  CreateResult result{rd_kafka_event_error(event), rd_kafka_event_error_string(event)};
  if (result.error != RD_KAFKA_RESP_ERR_NO_ERROR) return result;
  size_t count = 0;
  const auto* const topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  if (count != 1) return result;
  result.error = rd_kafka_topic_result_error(topics[0]);
  const char* const told = rd_kafka_topic_result_error_string(topics[0]);
  result.reason = told != nullptr ? told : rd_kafka_err2str(result.error);
  return result;
}

}  // namespace

int KafkaDeadline::RemainingMs(int least, int most) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      end_ - std::chrono::steady_clock::now());
  return int(std::clamp<int64_t>(left.count(), least, std::max(least, most)));
}

Result<KafkaMetadata> AwaitKafkaMetadata(const KafkaClient& client, const std::string& topic,
                                         const KafkaDeadline& deadline,
                                         const std::atomic<bool>* stop) {
  for (;;) {
    auto metadata =
        client.Metadata(topic, std::chrono::milliseconds(deadline.RemainingMs(1, kMetadataStepMs)));
    if (metadata.ok() || deadline.passed()) return metadata;
    if (stop != nullptr && stop->load()) {
      return ExternalError("stopped", "asking for topic " + topic, Retry::kYes);
    }
  }
}

KafkaProperties KafkaConnectionDefaults(const std::string& client_id) {
  return {{"client.id", client_id},
          {"reconnect.backoff.max.ms", "2000"},
          {"socket.keepalive.enable", "true"},
          {"log.connection.close", "false"}};
}

KafkaProperties KafkaProducerDefaults(const std::string& client_id) {
  KafkaProperties defaults = KafkaConnectionDefaults(client_id);
  defaults["linger.ms"] = "5";
  defaults["compression.codec"] = "lz4";
  defaults["partitioner"] = "murmur2_random";  // as Java's client
  defaults["queue.buffering.max.kbytes"] = "32768";
  defaults["queue.buffering.max.messages"] = "100000";
  return defaults;
}

KafkaTopics::KafkaTopics(std::shared_ptr<KafkaClient> client,
                         const std::vector<KafkaProperties>& layers, const std::atomic<bool>* stop)
    : client_(std::move(client)), stop_(stop) {
  for (const KafkaProperties& layer : layers) {
    const auto entry = layer.find("message.max.bytes");
    int64_t bytes = 0;
    if (entry != layer.end() && ParseInt64(entry->second, &bytes)) client_bytes_max_ = bytes;
  }
}

Result<std::unique_ptr<KafkaTopics>> KafkaTopics::Make(const std::string& client_id,
                                                       const std::vector<KafkaProperties>& layers,
                                                       const KafkaLog& log,
                                                       const std::atomic<bool>* stop) {
  KafkaClientOptions options;
  options.type = RD_KAFKA_CONSUMER;
  options.defaults = KafkaConnectionDefaults(client_id);
  options.layers = layers;
  options.fixed = {{"allow.auto.create.topics", "false"}};
  options.log = log;
  ARROW_ASSIGN_OR_RAISE(auto client, KafkaClient::Make(std::move(options)));
  return std::unique_ptr<KafkaTopics>(new KafkaTopics(std::move(client), layers, stop));
}

Result<std::optional<int>> KafkaTopics::PartitionsOf(const std::string& topic,
                                                     const KafkaDeadline& deadline) {
  ARROW_ASSIGN_OR_RAISE(const KafkaMetadata metadata,
                        AwaitKafkaMetadata(*client_, topic, deadline, stop_));
  has_controller_ = NamesController(*metadata, rd_kafka_controllerid(client_->handle(), 0));
  if (metadata->topic_cnt != 1) return std::optional<int>();
  const rd_kafka_metadata_topic_t& answer = metadata->topics[0];
  if (answer.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return std::optional<int>();
  if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError(answer.err, "topic " + topic);
  if (answer.partition_cnt == 0) return std::optional<int>();
  return std::optional<int>(answer.partition_cnt);
}

Status KafkaTopics::Create(const NewKafkaTopic& topic, const KafkaDeadline& deadline) {
  char text[256] = "";
  const std::string missing = "topic '" + topic.name + "' does not exist";
  const std::unique_ptr<rd_kafka_NewTopic_t, decltype(&rd_kafka_NewTopic_destroy)> made(
      rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, -1, text, sizeof(text)),
      rd_kafka_NewTopic_destroy);
  if (made == nullptr) return UserError("topic_missing", missing + ": " + text);
  for (const auto& [name, value] : topic.settings) {
    rd_kafka_NewTopic_set_config(made.get(), name.c_str(), value.c_str());
  }
  rd_kafka_t* const handle = client_->handle();
  if (!has_controller_) {
    return UserError("topic_missing",
                     missing + " and could not be created: the cluster has no controller");
  }
  const Queue queue(rd_kafka_queue_new(handle), rd_kafka_queue_destroy);
  const int timeout_ms = deadline.RemainingMs(100, kRequestTimeoutMs);
  const AdminOptions options = MakeAdminOptions(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
  rd_kafka_NewTopic_t* topics[] = {made.get()};
  rd_kafka_CreateTopics(handle, topics, 1, options.get(), queue.get());
  const Event event = AwaitEvent(queue.get(), timeout_ms);
  if (event == nullptr) return client_->Unreachable();
  const CreateResult result = ResultOf(event.get());
  if (IsUnreachable(result.error)) return client_->Unreachable();
  if (result.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    client_->Tell("created topic " + topic.name + " with " + Describe(topic));
  } else if (result.error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return UserError("topic_missing", missing + " and could not be created: " + result.reason);
  }
  return Await(topic.name, deadline);
}

Status KafkaTopics::Await(const std::string& topic, const KafkaDeadline& deadline) {
  do {
    const auto partitions = PartitionsOf(topic, deadline);
    if (partitions.ok() && partitions->has_value()) return Status::OK();
    // No leader yet is an error that passes.
    const ErrorDetail* const detail = ErrorDetail::Of(partitions.status());
    if (detail != nullptr && detail->retry() == Retry::kNo) return partitions.status();
    std::this_thread::sleep_for(kAskAgainAfter);
  } while (!deadline.passed() && !stopping());
  return ExternalError("broker_unreachable",
                       "topic " + topic + " was created, but has no leaders yet", Retry::kYes);
}

Result<KafkaProperties> KafkaTopics::SettingsOf(const std::string& topic,
                                                const KafkaDeadline& deadline) {
  KafkaProperties settings;
  if (!has_controller_) return settings;
  const std::unique_ptr<rd_kafka_ConfigResource_t, decltype(&rd_kafka_ConfigResource_destroy)>
      resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()),
               rd_kafka_ConfigResource_destroy);
  rd_kafka_t* const handle = client_->handle();
  const Queue queue(rd_kafka_queue_new(handle), rd_kafka_queue_destroy);
  const int timeout_ms = deadline.RemainingMs(100, kRequestTimeoutMs);
  const AdminOptions options =
      MakeAdminOptions(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(handle, resources, 1, options.get(), queue.get());
  const Event event = AwaitEvent(queue.get(), timeout_ms);
  if (event == nullptr || IsUnreachable(rd_kafka_event_error(event.get()))) {
    return client_->Unreachable();
  }
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return settings;
  size_t count = 0;
  const auto* const results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return settings;
  const auto* const entries = rd_kafka_ConfigResource_configs(results[0], &count);
  for (size_t i = 0; i < count; ++i) {
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value != nullptr) settings.emplace(rd_kafka_ConfigEntry_name(entries[i]), value);
  }
  return settings;
}

Result<int64_t> KafkaTopics::PrepareOutput(const std::string& topic,
                                           const KafkaDeadline& deadline) {
  ARROW_ASSIGN_OR_RAISE(const auto partitions, PartitionsOf(topic, deadline));
  if (!partitions.has_value()) {
    ARROW_RETURN_NOT_OK(
        Create({topic, kPartitionsOfNewTopics, {{"retention.ms", "-1"}}}, deadline));
  }
  ARROW_ASSIGN_OR_RAISE(const KafkaProperties settings, SettingsOf(topic, deadline));
  int64_t bytes = kRecordBytesDefault;
  const auto entry = settings.find("max.message.bytes");
  if (entry != settings.end()) ParseInt64(entry->second, &bytes);
  if (client_bytes_max_.has_value()) bytes = std::min(bytes, *client_bytes_max_);
  return std::clamp(bytes, kRecordBytesMin, kRecordBytesMax);
}

}  // namespace millrace
