#include "engine/connectors/kafka/register_topic.h"

#include <xxhash.h>

#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/model/number.h"

namespace millrace {
namespace {

// Only closed segments are compacted: small ones keep what a restart has to read short.
constexpr char kSegmentBytes[] = "16777216";

// Appended piece by piece: g++ 12 warns falsely about sums of constants.
std::string AboutTheTopic(std::string_view what, std::string_view more) {
  std::string text = "topic ";
  text.append(kRegisterTopic).append(what).append(more);
  return text;
}

Status Unusable(const std::string& what) {
  return UserError("register_topic_unusable",
                   AboutTheTopic(", where Millrace keeps what it has published, ", what));
}

}  // namespace

std::string RegisterKey(const std::string& job, int32_t shard) {
  return job + "/" + std::to_string(shard);
}

std::optional<int32_t> ShardOfRegisterKey(const std::string& job, std::string_view key) {
  if (key.size() <= job.size() + 1 || !key.starts_with(job) || key[job.size()] != '/') return {};
  int64_t shard = 0;
  if (!ParseInt64(key.substr(job.size() + 1), &shard)) return {};
  if (shard < 0 || shard > INT32_MAX || RegisterKey(job, int32_t(shard)) != key) return {};
  return int32_t(shard);
}

Result<bool> CheckRegisterTopic(KafkaTopics* topics, const KafkaDeadline& deadline) {
  ARROW_ASSIGN_OR_RAISE(const auto partitions, topics->PartitionsOf(kRegisterTopic, deadline));
  if (!partitions.has_value()) return false;
  if (*partitions < kRegisterPartitions) {
    return Unusable("has " + std::to_string(*partitions) + " partitions and must have at least " +
                    std::to_string(kRegisterPartitions) + ": add partitions to it");
  }
  ARROW_ASSIGN_OR_RAISE(const KafkaProperties settings,
                        topics->SettingsOf(kRegisterTopic, deadline));
  const auto policy = settings.find("cleanup.policy");
  if (policy != settings.end() && policy->second != "compact") {
    return Unusable("has cleanup.policy=" + policy->second + " and would lose it: set " +
                    "cleanup.policy=compact");
  }
  return true;
}

Status RegisterMissing(const std::string& what) {
  return ExternalError(
      "register_missing",
      AboutTheTopic(" " + what, ": what was published is not known, so nothing more is"),
      Retry::kNo);
}

Result<bool> EnsureRegisterTopic(const std::vector<KafkaProperties>& layers, const KafkaLog& log,
                                 Micros timeout) {
  const KafkaDeadline deadline(timeout);
  ARROW_ASSIGN_OR_RAISE(const auto topics, KafkaTopics::Make("millrace", layers, log, nullptr));
  ARROW_ASSIGN_OR_RAISE(const bool there, CheckRegisterTopic(topics.get(), deadline));
  if (there) return false;
  const NewKafkaTopic topic = {kRegisterTopic,
                               kRegisterPartitions,
                               {{"cleanup.policy", "compact"}, {"segment.bytes", kSegmentBytes}}};
  ARROW_RETURN_NOT_OK(topics->Create(topic, deadline));
  return true;
}

int32_t RegisterPartitionOf(const std::string& job) {
  return int32_t(XXH3_64bits(job.data(), job.size()) % uint64_t(kRegisterPartitions));
}

}  // namespace millrace
