#include "engine/connectors/kafka/kafka_producer.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "engine/model/number.h"

namespace millrace {
namespace {

constexpr auto kOpenTimeout = std::chrono::seconds(5);
constexpr int kCreateTimeoutMs = 5000;
constexpr int kDescribeTimeoutMs = 2000;
constexpr int kWaitMs = 100;
constexpr int kPartitionsOfNewTopics = 4;
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

bool Exists(const rd_kafka_metadata_t& metadata) {
  return metadata.topic_cnt == 1 && metadata.topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
         metadata.topics[0].partition_cnt > 0;
}

}  // namespace

KafkaClientOptions KafkaProducer::ClientOptions(rd_kafka_type_t type) const {
  KafkaClientOptions client;
  client.type = type;
  client.defaults = {{"client.id", "millrace-" + options_.job},
                     {"linger.ms", "5"},
                     {"compression.codec", "lz4"},
                     {"partitioner", "murmur2_random"},
                     {"queue.buffering.max.kbytes", "32768"},
                     {"queue.buffering.max.messages", "100000"},
                     {"reconnect.backoff.max.ms", "2000"},
                     {"socket.keepalive.enable", "true"},
                     {"log.connection.close", "false"}};
  client.layers = options_.layers;
  client.log = options_.log;
  if (type == RD_KAFKA_PRODUCER) {
    client.defaults["message.max.bytes"] = std::to_string(record_bytes_max_);
    client.fixed = {{"enable.idempotence", "true"}, {"acks", "all"}, {"message.timeout.ms", "0"}};
  } else {
    client.fixed = {{"allow.auto.create.topics", "false"}};
  }
  return client;
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::Make(Options options) {
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(std::move(options)));
  // Made and dropped, so that a wrong property is told before anything runs.
  ARROW_RETURN_NOT_OK(KafkaClient::Make(producer->ClientOptions(RD_KAFKA_PRODUCER)).status());
  return producer;
}

KafkaProducer::~KafkaProducer() {
  if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
  // What is still queued was never acknowledged and is not waited for.
  if (client_ != nullptr) {
    rd_kafka_purge(client_->handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                          RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_poll(client_->handle(), 0);
  }
}

Status KafkaProducer::Open() {
  // A consumer asks, because a producer's question would have the broker create the topic.
  ARROW_ASSIGN_OR_RAISE(const auto asking, KafkaClient::Make(ClientOptions(RD_KAFKA_CONSUMER)));
  ARROW_ASSIGN_OR_RAISE(const KafkaMetadata metadata,
                        asking->Metadata(options_.topic, kOpenTimeout));
  if (!Exists(*metadata)) {
    const auto error = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                                : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
      return KafkaError(error, "topic " + options_.topic);
    }
    ARROW_RETURN_NOT_OK(CreateTopic(*asking));
    ARROW_RETURN_NOT_OK(AwaitTopic(*asking));
  }
  record_bytes_max_ = ReadRecordBytesMax(*asking);
  KafkaClientOptions client = ClientOptions(RD_KAFKA_PRODUCER);
  client.on_delivery = [this](const rd_kafka_message_t& message) { OnDelivery(message); };
  ARROW_ASSIGN_OR_RAISE(client_, KafkaClient::Make(std::move(client)));
  topic_ = rd_kafka_topic_new(client_->handle(), options_.topic.c_str(), nullptr);
  if (topic_ == nullptr) return KafkaError(rd_kafka_last_error(), "topic " + options_.topic);
  return Status::OK();
}

Status KafkaProducer::CreateTopic(const KafkaClient& client) const {
  char text[256] = "";
  const std::string missing = "output topic '" + options_.topic + "' does not exist";
  const std::unique_ptr<rd_kafka_NewTopic_t, decltype(&rd_kafka_NewTopic_destroy)> topic(
      rd_kafka_NewTopic_new(options_.topic.c_str(), kPartitionsOfNewTopics, -1, text, sizeof(text)),
      rd_kafka_NewTopic_destroy);
  if (topic == nullptr) return UserError("topic_missing", missing + ": " + text);
  rd_kafka_NewTopic_set_config(topic.get(), "retention.ms", "-1");
  const Queue queue(rd_kafka_queue_new(client.handle()), rd_kafka_queue_destroy);
  const AdminOptions options =
      MakeAdminOptions(client.handle(), RD_KAFKA_ADMIN_OP_CREATETOPICS, kCreateTimeoutMs);
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client.handle(), topics, 1, options.get(), queue.get());
  const Event event = AwaitEvent(queue.get(), kCreateTimeoutMs);
  if (event == nullptr) return client.Unreachable();
  auto error = rd_kafka_event_error(event.get());
  std::string reason = rd_kafka_event_error_string(event.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    size_t count = 0;
    const auto* const results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    if (count == 1) {
      error = rd_kafka_topic_result_error(results[0]);
      const char* const told = rd_kafka_topic_result_error_string(results[0]);
      reason = told != nullptr ? told : rd_kafka_err2str(error);
    }
  }
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return Status::OK();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return UserError("topic_missing", missing + " and could not be created: " + reason);
  }
  if (options_.log) {
    options_.log(5, "created topic " + options_.topic + " with " +
                        std::to_string(kPartitionsOfNewTopics) + " partitions and retention.ms=-1");
  }
  return Status::OK();
}

Status KafkaProducer::AwaitTopic(const KafkaClient& client) const {
  const auto deadline = std::chrono::steady_clock::now() + kOpenTimeout;
  while (std::chrono::steady_clock::now() < deadline && !stopping()) {
    ARROW_ASSIGN_OR_RAISE(const KafkaMetadata metadata,
                          client.Metadata(options_.topic, kOpenTimeout));
    if (Exists(*metadata)) return Status::OK();
    std::this_thread::sleep_for(std::chrono::milliseconds(kWaitMs));
  }
  return ExternalError("broker_unreachable",
                       "topic " + options_.topic + " was created, but has no leaders yet",
                       Retry::kYes);
}

// The topic's max.message.bytes; brokers that do not tell it are taken to have the usual limit.
int64_t KafkaProducer::ReadRecordBytesMax(const KafkaClient& client) const {
  const std::unique_ptr<rd_kafka_ConfigResource_t, decltype(&rd_kafka_ConfigResource_destroy)>
      resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, options_.topic.c_str()),
               rd_kafka_ConfigResource_destroy);
  const Queue queue(rd_kafka_queue_new(client.handle()), rd_kafka_queue_destroy);
  const AdminOptions options =
      MakeAdminOptions(client.handle(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, kDescribeTimeoutMs);
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(client.handle(), resources, 1, options.get(), queue.get());
  const Event event = AwaitEvent(queue.get(), kDescribeTimeoutMs);
  if (event == nullptr || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return record_bytes_max_;
  }
  size_t count = 0;
  const auto* const results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return record_bytes_max_;
  const auto* const entries = rd_kafka_ConfigResource_configs(results[0], &count);
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes") != 0) continue;
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    int64_t bytes = 0;
    if (value == nullptr || !ParseInt64(value, &bytes)) break;
    return std::clamp(bytes, kRecordBytesMin, kRecordBytesMax);
  }
  return record_bytes_max_;
}

Result<KafkaProducer::Outcome> KafkaProducer::Produce(const Record& record,
                                                      const Headers& headers) {
  rd_kafka_headers_t* list = rd_kafka_headers_new(headers.size());
  for (const auto& [name, value] : headers) {
    rd_kafka_header_add(list, name.data(), ssize_t(name.size()), value.data(),
                        ssize_t(value.size()));
  }
  // An empty key is a key; null is none.
  const char* const key = record.has_key ? (record.key.empty() ? "" : record.key.data()) : nullptr;
  for (;;) {
    const auto error = rd_kafka_producev(
        client_->handle(), RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
        RD_KAFKA_V_KEY(key, record.key.size()), RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
        RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Outcome::kQueued;  // it owns the headers
    const bool full = error == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    if (full) rd_kafka_poll(client_->handle(), kWaitMs);
    if (full && delivery_error_.ok() && !stopping()) continue;
    rd_kafka_headers_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) return Outcome::kTooLarge;
    ARROW_RETURN_NOT_OK(delivery_error_);
    if (full) return ExternalError("stopped", "writing to topic " + topic(), Retry::kYes);
    return ExternalError("delivery_failed", "topic " + topic() + ": " + rd_kafka_err2str(error),
                         Retry::kYes);
  }
}

Status KafkaProducer::Flush() {
  const auto deadline = std::chrono::steady_clock::now() + options_.flush_timeout;
  while (delivery_error_.ok() && rd_kafka_outq_len(client_->handle()) > 0) {
    rd_kafka_flush(client_->handle(), kWaitMs);
    if (rd_kafka_outq_len(client_->handle()) == 0) break;
    if (stopping()) {
      return ExternalError("stopped", "waiting for topic " + topic() + " to acknowledge",
                           Retry::kYes);
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return WithContext(client_->Unreachable(),
                         std::to_string(rd_kafka_outq_len(client_->handle())) +
                             " records wait for topic " + topic());
    }
  }
  return delivery_error_;
}

void KafkaProducer::OnDelivery(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR || !delivery_error_.ok()) return;
  char fatal[256] = "";
  rd_kafka_fatal_error(client_->handle(), fatal, sizeof(fatal));
  delivery_error_ =
      ExternalError("delivery_failed",
                    "topic " + topic() + ": " + rd_kafka_err2str(message.err) +
                        (fatal[0] == '\0' ? std::string() : std::string(" (") + fatal + ")"),
                    Retry::kYes);
}

}  // namespace millrace
