// Which reader of a source reads which partition. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/base/ids.h"

namespace millrace {

// Partitions over `readers`, evenly, in order of topic and partition.
std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers);

// Where keys are placed by partition, of topics of `partitions_each`: each partition to the reader
// that is in one slot with the task of its group. Where that would leave a reader without any (720
// groups do not divide so finely), evenly, which is the same but for some partitions. None where
// the topics do not have so many partitions, or fewer than there are readers.
std::optional<std::map<TopicPartition, size_t>> SpreadWithKeys(
    const std::vector<TopicPartition>& partitions, int32_t partitions_each, size_t readers);

}  // namespace millrace
