#include "engine/connectors/kafka/kafka_producer.h"

#include <chrono>

#include "engine/connectors/kafka/kafka_records.h"
#include "engine/connectors/kafka/kafka_topics.h"

namespace millrace {
namespace {

constexpr auto kOpenTimeout = std::chrono::seconds(5);
constexpr int kWaitMs = 100;

}  // namespace

KafkaClientOptions KafkaProducer::ClientOptions() const {
  KafkaClientOptions client;
  client.type = RD_KAFKA_PRODUCER;
  client.defaults = KafkaProducerDefaults("millrace-" + options_.job);
  client.defaults["message.max.bytes"] = std::to_string(record_bytes_max_);
  client.layers = options_.layers;
  client.fixed = {{"enable.idempotence", "true"}, {"acks", "all"}, {"message.timeout.ms", "0"}};
  client.log = options_.log;
  return client;
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::Make(Options options) {
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(std::move(options)));
  // Made and dropped, so that a wrong property is told before anything runs.
  ARROW_RETURN_NOT_OK(KafkaClient::Make(producer->ClientOptions()).status());
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
  ARROW_ASSIGN_OR_RAISE(
      const auto topics,
      KafkaTopics::Make("millrace-" + options_.job, options_.layers, options_.log, options_.stop));
  ARROW_ASSIGN_OR_RAISE(record_bytes_max_,
                        topics->PrepareOutput(options_.topic, KafkaDeadline(kOpenTimeout)));
  KafkaClientOptions client = ClientOptions();
  client.on_delivery = [this](const rd_kafka_message_t& message) { OnDelivery(message); };
  ARROW_ASSIGN_OR_RAISE(client_, KafkaClient::Make(std::move(client)));
  topic_ = rd_kafka_topic_new(client_->handle(), options_.topic.c_str(), nullptr);
  if (topic_ == nullptr) return KafkaError(rd_kafka_last_error(), "topic " + options_.topic);
  return Status::OK();
}

Status KafkaProducer::Produce(const OutboxRecord& record) {
  for (;;) {
    const auto error = EnqueueKafkaRecord(client_->handle(), topic_, RD_KAFKA_PARTITION_UA, record);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Status::OK();
    const bool full = error == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    if (full) rd_kafka_poll(client_->handle(), kWaitMs);
    ARROW_RETURN_NOT_OK(delivery_error_);
    if (!full) {
      return ExternalError("delivery_failed", "topic " + topic() + ": " + rd_kafka_err2str(error),
                           Retry::kYes);
    }
    if (stopping()) return ExternalError("stopped", "writing to topic " + topic(), Retry::kYes);
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
