// A librdkafka handle with its configuration: what source, sink and dead letters share.
//
// Properties are librdkafka's own and layered: our defaults, the job's, the stream's, and last what
// must not be changed (naming one of those is a user error). librdkafka never writes to stderr: its
// log lines go to the given function, once a minute a kind, since it repeats itself at every retry.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"

namespace millrace {

using KafkaProperties = std::map<std::string, std::string>;
// `level` as in syslog (3 error, 4 warning, 6 information). Called from any thread.
using KafkaLog = std::function<void(int level, const std::string& text)>;

struct KafkaTopicsDestroyer {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using KafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, KafkaTopicsDestroyer>;
KafkaPartitions MakeKafkaPartitions(const std::vector<TopicPartition>& partitions);

struct KafkaMetadataDestroyer {
  void operator()(const rd_kafka_metadata_t* metadata) const {
    rd_kafka_metadata_destroy(metadata);
  }
};
using KafkaMetadata = std::unique_ptr<const rd_kafka_metadata_t, KafkaMetadataDestroyer>;

struct KafkaClientOptions {
  rd_kafka_type_t type = RD_KAFKA_CONSUMER;
  KafkaProperties defaults;             // weakest
  std::vector<KafkaProperties> layers;  // the job's, then the stream's or sink's
  KafkaProperties fixed;                // naming one of these in `layers` is refused
  KafkaLog log;                         // may be empty
  // Called in rd_kafka_poll or a queue's poll, on the thread that polls.
  std::function<void(std::string_view json)> on_statistics;
  std::function<void(const rd_kafka_message_t& message)> on_delivery;
};

// Thread-safe, as librdkafka is. Must outlive every message that was read from it.
class KafkaClient {
 public:
  // Does not reach for the network. "no_brokers", "bad_kafka_property" (user).
  static Result<std::shared_ptr<KafkaClient>> Make(KafkaClientOptions options);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_t* handle() const { return handle_; }
  const std::string& brokers() const { return brokers_; }

  // Metadata of `topics`, or of all topics where it is empty. Blocks up to `timeout`;
  // "broker_unreachable" (retry).
  Result<KafkaMetadata> Metadata(const std::string& topic, Micros timeout) const;
  Result<KafkaMetadata> AllMetadata(Micros timeout) const;

  // The last trouble with brokers that librdkafka told, "" where there is none.
  std::string last_error() const;
  // "no broker answers at A, B (Connection refused)": code "broker_unreachable", may be retried.
  Status Unreachable() const;

  // A line of our own in the client's log.
  void Tell(const std::string& text) const;

 private:
  explicit KafkaClient(KafkaClientOptions options);

  static void OnLog(const rd_kafka_t* handle, int level, const char* facility, const char* text);
  static void OnError(rd_kafka_t* handle, int error, const char* reason, void* opaque);
  static int OnStatistics(rd_kafka_t* handle, char* json, size_t size, void* opaque);
  static void OnDelivery(rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque);
  void Log(int level, const std::string& facility, const std::string& text);

  KafkaClientOptions options_;
  std::string brokers_;
  rd_kafka_t* handle_ = nullptr;

  mutable std::mutex mutex_;
  std::string last_error_;                            // guarded by mutex_
  std::map<std::string, MonotonicTime> last_logged_;  // by kind; guarded by mutex_
};

// What an error of librdkafka means for us: "not_authorized", "topic_missing" (user),
// "broker_unreachable" (retry), "kafka_error".
Status KafkaError(rd_kafka_resp_err_t error, const std::string& context);

}  // namespace millrace
