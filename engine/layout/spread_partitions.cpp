#include "engine/layout/spread_partitions.h"

#include <algorithm>
#include <set>

namespace millrace {

std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers) {
  std::vector<TopicPartition> sorted = partitions;
  std::sort(sorted.begin(), sorted.end());
  std::map<TopicPartition, size_t> spread;
  for (size_t i = 0; i < sorted.size(); ++i) spread[sorted[i]] = i % readers;
  return spread;
}

std::optional<std::map<TopicPartition, size_t>> SpreadWithKeys(
    const std::vector<TopicPartition>& partitions, int32_t partitions_each, size_t readers) {
  if (readers > size_t(partitions_each)) return std::nullopt;
  std::map<std::string, std::set<int32_t>> of_topics;
  for (const TopicPartition& partition : partitions) {
    if (partition.partition >= partitions_each) return std::nullopt;
    of_topics[partition.topic].insert(partition.partition);
  }
  for (const auto& [topic, there] : of_topics) {
    if (there.size() != size_t(partitions_each)) return std::nullopt;
  }
  const auto reader_of_keys = [&](int32_t partition) {
    const KeyGroup group = GroupOfPartition(partition, partitions_each);
    return size_t(TaskOf(group, int32_t(readers)).value());
  };
  std::set<size_t> busy;
  for (int32_t i = 0; i < partitions_each; ++i) busy.insert(reader_of_keys(i));
  std::map<TopicPartition, size_t> spread;
  for (const TopicPartition& partition : partitions) {
    spread[partition] = busy.size() == readers
                            ? reader_of_keys(partition.partition)
                            : size_t(partition.partition) * readers / size_t(partitions_each);
  }
  return spread;
}

}  // namespace millrace
