#include "engine/connectors/kafka/partition_health.h"

#include <simdjson.h>

namespace millrace {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

int64_t IntegerOr(const object& from, std::string_view key, int64_t otherwise) {
  int64_t value;
  return from[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

void ReadBrokers(const object& brokers, KafkaStatistics* statistics) {
  for (const auto& [name, value] : brokers) {
    object broker;
    std::string_view state, source;
    if (value.get(broker) != simdjson::SUCCESS) continue;
    if (broker["state"].get(state) != simdjson::SUCCESS) continue;
    if (broker["source"].get(source) != simdjson::SUCCESS) continue;
    // The group's coordinator stands here a second time, under the same id, without the fetches.
    const int64_t id = IntegerOr(broker, "nodeid", -1);
    if (id < 0 || source == "logical") continue;
    statistics->brokers[int32_t(id)] = {state == "UP", IntegerOr(broker, "rx", 0)};
  }
}

void ReadPartitions(std::string_view topic, const object& partitions, bool read_committed,
                    KafkaStatistics* statistics) {
  for (const auto& [name, value] : partitions) {
    object partition;
    if (value.get(partition) != simdjson::SUCCESS) continue;
    const int64_t id = IntegerOr(partition, "partition", -1);
    if (id < 0) continue;
    KafkaStatistics::Partition state;
    state.leader = int32_t(IntegerOr(partition, "leader", -1));
    state.next_offset = IntegerOr(partition, "next_offset", -1);
    state.end_offset = IntegerOr(partition, "hi_offset", -1);
    const int64_t stable = IntegerOr(partition, "ls_offset", -1);
    if (read_committed && stable >= 0) state.end_offset = stable;
    statistics->partitions[{std::string(topic), int32_t(id)}] = state;
  }
}

}  // namespace

Result<KafkaStatistics> ParseKafkaStatistics(std::string_view json, bool read_committed) {
  simdjson::dom::parser parser;
  object root, brokers, topics;
  const simdjson::padded_string text(json);
  if (parser.parse(text).get(root) != simdjson::SUCCESS ||
      root["brokers"].get(brokers) != simdjson::SUCCESS ||
      root["topics"].get(topics) != simdjson::SUCCESS) {
    return InternalError("bad_statistics", "librdkafka's statistics could not be read");
  }
  KafkaStatistics statistics;
  ReadBrokers(brokers, &statistics);
  for (const auto& [name, value] : topics) {
    object partitions;
    if (value["partitions"].get(partitions) != simdjson::SUCCESS) continue;
    ReadPartitions(name, partitions, read_committed, &statistics);
  }
  return statistics;
}

PartitionHealth::Change PartitionHealth::Report(const KafkaStatistics& statistics,
                                                const TopicPartition& partition, int64_t position,
                                                bool at_end, bool caught_up) {
  caught_up_reports_ = caught_up ? caught_up_reports_ + 1 : 0;
  const auto entry = statistics.partitions.find(partition);
  const KafkaStatistics::Partition* const state =
      entry == statistics.partitions.end() ? nullptr : &entry->second;
  const std::string trouble = FindTrouble(statistics, state, at_end);
  if (!trouble.empty()) {
    if (interrupted_) return Change::kNone;
    interrupted_ = true;
    reason_ = trouble;
    return Change::kInterrupted;
  }
  if (!answered_) return Change::kNone;
  if (interrupted_) {
    interrupted_ = false;
    reason_.clear();
    return Change::kRecovered;
  }
  const bool confirmed = at_end && caught_up_reports_ >= kCaughtUpReports &&
                         state->next_offset == position && state->end_offset >= 0 &&
                         state->end_offset <= position;
  return confirmed ? Change::kEndConfirmed : Change::kNone;
}

// Keeps count of the leader's answers on the way.
std::string PartitionHealth::FindTrouble(const KafkaStatistics& statistics,
                                         const KafkaStatistics::Partition* state, bool at_end) {
  answered_ = false;
  const bool connecting = leader_ < 0 && ++silent_reports_ < kSilentReports;  // at the start
  if (state == nullptr || state->leader < 0) return connecting ? "" : "it has no leader";
  const auto broker = statistics.brokers.find(state->leader);
  const std::string name = "broker " + std::to_string(state->leader);
  if (broker == statistics.brokers.end() || !broker->second.up) {
    return connecting ? "" : name + " is not connected";
  }
  const bool same_leader = leader_ == state->leader;
  answered_ = same_leader && broker->second.responses > responses_;
  silent_reports_ = answered_ || !same_leader ? 0 : silent_reports_ + 1;
  leader_ = state->leader;
  responses_ = broker->second.responses;
  if (at_end && silent_reports_ >= kSilentReports) return name + " does not answer";
  return "";
}

}  // namespace millrace
