#include "engine/connectors/kafka/record_partitioner.h"

#include <librdkafka/rdkafka.h>

namespace millrace {

int32_t PartitionOf(Partitioner partitioner, std::string_view key, int32_t partitions) {
  // They look at the key and the count only.
  switch (partitioner) {
    case Partitioner::kMurmur2:
      return rd_kafka_msg_partitioner_murmur2(nullptr, key.data(), key.size(), partitions, nullptr,
                                              nullptr);
    case Partitioner::kCrc32:
      return rd_kafka_msg_partitioner_consistent(nullptr, key.data(), key.size(), partitions,
                                                 nullptr, nullptr);
    case Partitioner::kFnv1a:
      return rd_kafka_msg_partitioner_fnv1a(nullptr, key.data(), key.size(), partitions, nullptr,
                                            nullptr);
  }
  return 0;
}

}  // namespace millrace
