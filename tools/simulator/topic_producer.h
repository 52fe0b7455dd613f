// Puts records into chosen partitions of some topics, as fast as the broker takes them or as slowly
// as its caller calls. Idempotent, so that retries keep each partition's order. Used by one thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"

namespace millrace {

struct TopicTarget {
  std::string brokers;
  std::vector<std::string> topics;                // at least one
  std::map<std::string, std::string> properties;  // librdkafka's own; they win over ours
  bool create = false;                            // make the topics that are not there
  int32_t partitions = 4;                         // of a topic that is made
  Micros linger = std::chrono::milliseconds(20);
};

class TopicProducer {
 public:
  // Waits at most 5 s for the broker. External error "broker_unreachable" (retry); user errors
  // "topic_missing" and "bad_property". A topic that is made keeps its records for ever and takes
  // any timestamp, because simulated readings may be old or ahead.
  static Result<std::unique_ptr<TopicProducer>> Open(const TopicTarget& target);
  ~TopicProducer();
  TopicProducer(const TopicProducer&) = delete;
  TopicProducer& operator=(const TopicProducer&) = delete;

  // A topic; topics are known by their place in the target.
  const std::vector<int32_t>& partition_counts() const { return partition_counts_; }

  // Copies the record. While the queue (64 MiB) is full it waits for the broker. Fails with
  // "delivery_failed" once a record before it was refused for good.
  Status Produce(int32_t topic, int32_t partition, std::string_view key, std::string_view value,
                 EventTime record_time);
  // Lets delivery reports in; does not wait.
  Status Poll();
  // Waits until every record is acknowledged, at most `timeout`: "delivery_failed".
  Status Flush(Micros timeout);

  int64_t acknowledged() const { return acknowledged_; }

 private:
  struct KafkaDeleter {
    void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  };

  TopicProducer() = default;
  Status Connect(const TopicTarget& target);
  // -1: the topic is not there.
  Result<std::vector<int32_t>> FindPartitions(const std::vector<std::string>& topics);
  Status CreateTopic(const TopicTarget& target, const std::string& topic);
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self);
  static void OnError(rd_kafka_t*, int error, const char* reason, void* self);
  Status failure() const;

  std::unique_ptr<rd_kafka_t, KafkaDeleter> client_;
  std::vector<std::unique_ptr<rd_kafka_topic_t, KafkaDeleter>> topics_;  // destroyed first
  std::vector<int32_t> partition_counts_;
  int64_t acknowledged_ = 0;
  int64_t refused_ = 0;
  std::string first_refusal_;
};

}  // namespace millrace
