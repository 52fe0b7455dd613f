// Topics as such: whether they exist, making them, and how they are configured. What producers,
// transactions and registers share.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"

namespace millrace {

// When a call that may wait has to be back.
class KafkaDeadline {
 public:
  explicit KafkaDeadline(Micros timeout) : end_(std::chrono::steady_clock::now() + timeout) {}
  bool passed() const { return std::chrono::steady_clock::now() >= end_; }
  // What is left, at least `least`, at most `most`.
  int RemainingMs(int least = 1, int most = INT32_MAX) const;
  Micros Remaining() const { return std::chrono::milliseconds(RemainingMs()); }

 private:
  const std::chrono::steady_clock::time_point end_;
};

struct NewKafkaTopic {
  std::string name;
  int partitions = 1;
  KafkaProperties settings;
};

// One thread at a time.
class KafkaTopics {
 public:
  // Connects with a consumer's client, which never has a broker create what it asks for.
  // "no_brokers", "bad_kafka_property" (user).
  static Result<std::unique_ptr<KafkaTopics>> Make(const std::string& client_id,
                                                   const std::vector<KafkaProperties>& layers,
                                                   const KafkaLog& log,
                                                   const std::atomic<bool>* stop);

  // None: the topic does not exist. "broker_unreachable" (retry). To be asked before the others.
  Result<std::optional<int>> PartitionsOf(const std::string& topic, const KafkaDeadline& deadline);

  // Makes it and waits until it has leaders; that it exists already is no error.
  // "topic_missing" (user: it may not be made), "broker_unreachable" (retry).
  Status Create(const NewKafkaTopic& topic, const KafkaDeadline& deadline);

  // The topic's configuration; empty where the brokers do not tell. "broker_unreachable" (retry).
  Result<KafkaProperties> SettingsOf(const std::string& topic, const KafkaDeadline& deadline);

  // Makes an output topic where it is missing, with 4 partitions that keep their records for ever
  // (retention.ms=-1): records carry event times, and old ones would be deleted at once. The
  // largest record that it takes (max.message.bytes, or the client's message.max.bytes).
  Result<int64_t> PrepareOutput(const std::string& topic, const KafkaDeadline& deadline);

  KafkaClient& client() { return *client_; }

 private:
  KafkaTopics(std::shared_ptr<KafkaClient> client, const std::vector<KafkaProperties>& layers,
              const std::atomic<bool>* stop);
  Status Await(const std::string& topic, const KafkaDeadline& deadline);
  bool stopping() const { return stop_ != nullptr && stop_->load(); }

  const std::shared_ptr<KafkaClient> client_;
  const std::atomic<bool>* const stop_;
  std::optional<int64_t> client_bytes_max_;
  bool has_controller_ = false;
};

// The topic's metadata, waited for in steps: "broker_unreachable" (retry), "stopped".
Result<KafkaMetadata> AwaitKafkaMetadata(const KafkaClient& client, const std::string& topic,
                                         const KafkaDeadline& deadline,
                                         const std::atomic<bool>* stop);

// What producers and those who ask agree on; the weakest layer.
KafkaProperties KafkaConnectionDefaults(const std::string& client_id);
KafkaProperties KafkaProducerDefaults(const std::string& client_id);

}  // namespace millrace
