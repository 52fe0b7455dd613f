#include "engine/connectors/kafka/record_partitioner.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

// murmur2 of the keys in Kafka's own UtilsTest, without the sign, modulo the count.
TEST(RecordPartitioner, PlacesKeysAsJavasClient) {
  const std::pair<const char*, int32_t> cases[] = {
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  for (const auto& [key, hash] : cases) {
    for (const int32_t partitions : {1, 6, 720, 1000}) {
      EXPECT_EQ(PartitionOf(Partitioner::kMurmur2, key, partitions),
                (hash & 0x7fffffff) % partitions)
          << key;
    }
  }
}

// The check value of CRC-32; FNV-1a of "foobar", of which it takes the absolute value as Sarama
// does.
TEST(RecordPartitioner, PlacesKeysAsLibrdkafka) {
  EXPECT_EQ(PartitionOf(Partitioner::kCrc32, "123456789", 1000), int32_t(0xcbf43926 % 1000));
  EXPECT_EQ(PartitionOf(Partitioner::kFnv1a, "foobar", 1000), -int32_t(0xbf9cf968) % 1000);
  EXPECT_EQ(PartitionOf(Partitioner::kMurmur2, "", 1), 0);
}

}  // namespace
}  // namespace millrace
