// The partition that Java's client gives a key: murmur2 of the key's bytes, sign bit cleared,
// modulo the number of partitions.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// Kafka's variant of murmur2 (32 bits, seed 0x9747b28c).
uint32_t KafkaMurmur2(std::string_view key);

// partition_count > 0.
inline int32_t PartitionOfKey(std::string_view key, int32_t partition_count) {
  return int32_t(KafkaMurmur2(key) & 0x7fffffffu) % partition_count;
}

}  // namespace millrace
