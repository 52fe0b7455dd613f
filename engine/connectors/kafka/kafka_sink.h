// Rows to a Kafka topic, as JSON (connectors/json/row_encoder.h).
//
// Record key: the key columns. A single text column is written as its plain text (null: no key);
// anything else as a JSON object of the key columns; without key columns there is no key. Records
// are spread by murmur2 of the key, as Java's client does. Record timestamp: the time column in
// milliseconds; the time of writing where there is none, where it is before 1970, or where it is so
// far in the future that brokers would refuse it. Header millrace-job: the job.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/sink.h"
#include "engine/model/job.h"

namespace millrace {

struct KafkaSinkOptions {
  std::string job;
  KafkaProperties default_properties;  // of the job: bootstrap.servers, security.*, ...
  KafkaLog log;
  // Ends waits for brokers with "stopped" once it is true. May be null; outlives the writer.
  const std::atomic<bool>* stop = nullptr;
  // Flush gives up for this time ("broker_unreachable", retry); nothing is lost by it.
  Micros flush_timeout = std::chrono::seconds(60);
};

// `keys` and `time_column` (-1: none) are columns of `schema`. Rows larger than the topic's
// max.message.bytes are rejected with reason "too_large". Fails with "bad_kafka_property" or
// "no_brokers" (user) without reaching for the network.
Result<std::unique_ptr<SinkWriter>> MakeKafkaSink(const KafkaSinkSpec& spec, const Schema& schema,
                                                  std::vector<int> keys, int time_column,
                                                  KafkaSinkOptions options);

}  // namespace millrace
