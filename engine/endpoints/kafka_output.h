// Kafka as the output of a sink shard: transactions, and the register topic.
// docs/exactly-once.md, "Publishing to Kafka".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/outbox/publisher_output.h"

namespace millrace {

struct KafkaOutputOptions {
  std::string job;
  int32_t shard = 0;
  std::vector<std::string> topics;  // every topic that the shard may write to
  std::vector<KafkaProperties> layers;
  KafkaLog log;
  const std::atomic<bool>* stop = nullptr;
};

// Does not reach for the network. "bad_kafka_property" (user).
Result<std::unique_ptr<PublisherOutput>> MakeKafkaOutput(KafkaOutputOptions options);

}  // namespace millrace
