#include "engine/connectors/kafka/kafka_client.h"

#include <chrono>
#include <future>
#include <thread>

namespace millrace {
namespace {

constexpr auto kLogAgainAfter = std::chrono::minutes(1);
constexpr auto kDestroyTimeout = std::chrono::seconds(2);
constexpr size_t kErrorTextBytes = 512;

int Millis(Micros time) {
  return int(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

Status SetProperty(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char text[kErrorTextBytes];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof(text)) ==
      RD_KAFKA_CONF_OK) {
    return Status::OK();
  }
  return UserError("bad_kafka_property", "kafka property '" + name + "': " + text);
}

// Of two names of one property librdkafka takes the last, so both are known here.
std::string CanonicalName(const std::string& name) {
  return name == "metadata.broker.list" ? "bootstrap.servers" : name;
}

Result<KafkaProperties> MergeProperties(const KafkaClientOptions& options) {
  KafkaProperties merged = options.defaults;
  for (const KafkaProperties& layer : options.layers) {
    for (const auto& [name, value] : layer) {
      if (options.fixed.contains(name)) {
        return UserError("bad_kafka_property", "kafka property '" + name +
                                                   "' cannot be set: it must be '" +
                                                   options.fixed.at(name) + "'");
      }
      merged[CanonicalName(name)] = value;
    }
  }
  for (const auto& [name, value] : options.fixed) merged[name] = value;
  if (merged["bootstrap.servers"].empty()) {
    return UserError("no_brokers",
                     "no Kafka broker is named: set bootstrap.servers under kafka.properties, or "
                     "--brokers");
  }
  return merged;
}

}  // namespace

KafkaPartitions MakeKafkaPartitions(const std::vector<TopicPartition>& partitions) {
  KafkaPartitions list(rd_kafka_topic_partition_list_new(int(partitions.size())));
  for (const TopicPartition& partition : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
  }
  return list;
}

KafkaClient::KafkaClient(KafkaClientOptions options) : options_(std::move(options)) {}

Result<std::shared_ptr<KafkaClient>> KafkaClient::Make(KafkaClientOptions options) {
  ARROW_ASSIGN_OR_RAISE(const KafkaProperties properties, MergeProperties(options));
  std::shared_ptr<KafkaClient> client(new KafkaClient(std::move(options)));
  client->brokers_ = properties.at("bootstrap.servers");
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(rd_kafka_conf_new(),
                                                                          rd_kafka_conf_destroy);
  for (const auto& [name, value] : properties) {
    ARROW_RETURN_NOT_OK(SetProperty(conf.get(), name, value));
  }
  rd_kafka_conf_set_opaque(conf.get(), client.get());
  rd_kafka_conf_set_log_cb(conf.get(), &KafkaClient::OnLog);
  rd_kafka_conf_set_error_cb(conf.get(), &KafkaClient::OnError);
  if (client->options_.on_statistics) {
    rd_kafka_conf_set_stats_cb(conf.get(), &KafkaClient::OnStatistics);
  }
  if (client->options_.on_delivery) {
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &KafkaClient::OnDelivery);
  }
  char text[kErrorTextBytes];
  client->handle_ = rd_kafka_new(client->options_.type, conf.get(), text, sizeof(text));
  if (client->handle_ == nullptr) {
    return UserError("bad_kafka_property", std::string("kafka properties: ") + text);
  }
  conf.release();  // owned by the handle now
  return client;
}

// librdkafka 2.0 does not end a client whose topic was deleted while it was assigned: its destroy
// waits for ever. So it is waited for on a thread aside, and given up after a while.
KafkaClient::~KafkaClient() {
  if (handle_ == nullptr) return;
    // Nothing of it may call us any more. (Deprecated, but nothing else takes the log away.)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  rd_kafka_set_logger(handle_, nullptr);
#pragma GCC diagnostic pop
  auto done = std::make_shared<std::promise<void>>();
  const std::future<void> ended = done->get_future();
  std::thread([handle = handle_, done] {
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    done->set_value();
  }).detach();
  ended.wait_for(kDestroyTimeout);
}

Result<KafkaMetadata> KafkaClient::Metadata(const std::string& topic, Micros timeout) const {
  std::unique_ptr<rd_kafka_topic_t, decltype(&rd_kafka_topic_destroy)> handle(
      rd_kafka_topic_new(handle_, topic.c_str(), nullptr), rd_kafka_topic_destroy);
  if (handle == nullptr) return KafkaError(rd_kafka_last_error(), "topic " + topic);
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(handle_, 0, handle.get(), &metadata, Millis(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Unreachable();
  return KafkaMetadata(metadata);
}

Result<KafkaMetadata> KafkaClient::AllMetadata(Micros timeout) const {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(handle_, 1, nullptr, &metadata, Millis(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Unreachable();
  return KafkaMetadata(metadata);
}

std::string KafkaClient::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

Status KafkaClient::Unreachable() const {
  const std::string error = last_error();
  return ExternalError(
      "broker_unreachable",
      "no Kafka broker answers at " + brokers_ + (error.empty() ? "" : " (" + error + ")"),
      Retry::kYes);
}

void KafkaClient::OnLog(const rd_kafka_t* handle, int level, const char* facility,
                        const char* text) {
  // Lines may come before rd_kafka_new returns, but the opaque is set by then.
  if (auto* client = static_cast<KafkaClient*>(rd_kafka_opaque(handle))) {
    client->Log(level, facility, text);
  }
}

void KafkaClient::Log(int level, const std::string& facility, const std::string& text) {
  // Properties of a job are for its consumers and producers alike: "... is a producer property and
  // will be ignored by this consumer instance" says nothing.
  if (facility == "CONFWARN" && text.find("will be ignored by this") != std::string::npos) return;
  {
    const std::lock_guard lock(mutex_);
    // "[thrd:...]: 127.0.0.1:9092/1: Connect to ... failed: Connection refused (after ...)"
    if (facility == "FAIL" || facility == "ERROR") {
      const size_t thread_end = text.find("]: ");
      last_error_ = thread_end == std::string::npos ? text : text.substr(thread_end + 3);
    }
    const MonotonicTime now = std::chrono::steady_clock::now().time_since_epoch();
    const auto [entry, added] = last_logged_.emplace(facility, now);
    if (!added && now - entry->second < kLogAgainAfter) return;
    entry->second = now;
  }
  if (options_.log) options_.log(level, "kafka client: " + text);
}

void KafkaClient::Tell(const std::string& text) const {
  constexpr int kNotice = 5;
  if (options_.log) options_.log(kNotice, text);
}

void KafkaClient::OnError(rd_kafka_t* handle, int error, const char* reason, void* opaque) {
  auto* client = static_cast<KafkaClient*>(opaque);
  const std::lock_guard lock(client->mutex_);
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) client->last_error_ = reason;
}

int KafkaClient::OnStatistics(rd_kafka_t* handle, char* json, size_t size, void* opaque) {
  static_cast<KafkaClient*>(opaque)->options_.on_statistics({json, size});
  return 0;  // librdkafka frees the text
}

void KafkaClient::OnDelivery(rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque) {
  static_cast<KafkaClient*>(opaque)->options_.on_delivery(*message);
}

Status KafkaError(rd_kafka_resp_err_t error, const std::string& context) {
  const std::string text = context + ": " + rd_kafka_err2str(error);
  switch (error) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return UserError("not_authorized", text);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return UserError("topic_missing", text);
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
      return ExternalError("broker_unreachable", text, Retry::kYes);
    default:
      return ExternalError("kafka_error", text, Retry::kYes);
  }
}

}  // namespace millrace
