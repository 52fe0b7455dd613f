#include "engine/layout/spread_partitions.h"

#include <algorithm>

namespace millrace {

std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers) {
  std::vector<TopicPartition> sorted = partitions;
  std::sort(sorted.begin(), sorted.end());
  std::map<TopicPartition, size_t> spread;
  for (size_t i = 0; i < sorted.size(); ++i) spread[sorted[i]] = i % readers;
  return spread;
}

}  // namespace millrace
