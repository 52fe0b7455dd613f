// Writes records to one topic: what the sink and the dead letters share.
//
// Idempotent, acknowledged by all replicas, and never given up: while brokers are away records wait
// in a bounded queue, and Produce waits while it is full. Opening finds the topic, creates it where
// it is missing, and learns the largest record that it takes.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/outbox/segment.h"

namespace millrace {

// One thread at a time.
class KafkaProducer {
 public:
  struct Options {
    std::string job;
    std::string topic;
    std::vector<KafkaProperties> layers;
    KafkaLog log;
    const std::atomic<bool>* stop = nullptr;  // set by any thread: waits end with "stopped"
    Micros flush_timeout = std::chrono::seconds(60);
  };
  // Properties are checked; nothing is connected.
  static Result<std::unique_ptr<KafkaProducer>> Make(Options options);
  ~KafkaProducer();

  // Makes the topic where it is missing (KafkaTopics::PrepareOutput). "broker_unreachable" (retry),
  // "topic_missing" (user: and it may not be created).
  Status Open();

  // Blocks while the queue is full. The record's topic is not looked at; larger ones than
  // `record_bytes_max` (KafkaBatchBytes) fail. "delivery_failed", "stopped".
  Status Produce(const OutboxRecord& record);

  // Waits until everything is acknowledged. After "broker_unreachable" (retry; flush_timeout has
  // passed) or "stopped" nothing is lost: records stay queued, and Flush may be called again.
  Status Flush();

  const std::string& topic() const { return options_.topic; }
  int64_t record_bytes_max() const { return record_bytes_max_; }

 private:
  explicit KafkaProducer(Options options) : options_(std::move(options)) {}

  KafkaClientOptions ClientOptions() const;
  void OnDelivery(const rd_kafka_message_t& message);
  bool stopping() const { return options_.stop != nullptr && options_.stop->load(); }

  const Options options_;
  int64_t record_bytes_max_ = 1'000'000;
  std::shared_ptr<KafkaClient> client_;
  rd_kafka_topic_t* topic_ = nullptr;
  Status delivery_error_;  // the first
};

}  // namespace millrace
