// Which reader of a source reads which partition. Pure.
#pragma once

#include <map>
#include <vector>

#include "engine/base/ids.h"

namespace millrace {

// Partitions over `readers`, evenly, in order of topic and partition.
std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers);

}  // namespace millrace
