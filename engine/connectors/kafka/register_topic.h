// The topic of registers as kafka_transactions.h tells it: names within it, and its health.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/connectors/kafka/kafka_topics.h"

namespace millrace {

inline constexpr int kRegisterPartitions = 8;
inline constexpr int32_t kRegisterFormat = 1;

// "<job>/<shard>".
std::string RegisterKey(const std::string& job, int32_t shard);
// None where the key is not one of the job's.
std::optional<int32_t> ShardOfRegisterKey(const std::string& job, std::string_view key);

// True: it is there and can be trusted to keep the registers. False: it is not there.
// "register_topic_unusable" (user): it has fewer than 8 partitions, or is not compacted, so that
// registers would be deleted by age. "broker_unreachable" (retry).
Result<bool> CheckRegisterTopic(KafkaTopics* topics, const KafkaDeadline& deadline);

// "register_missing" (external, no retry): what was published is not known any more.
Status RegisterMissing(const std::string& what);

}  // namespace millrace
