#include "engine/layout/spread_partitions.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(SpreadPartitions, IsEvenAndStable) {
  std::vector<TopicPartition> partitions;
  for (int32_t i = 9; i >= 0; --i) partitions.push_back({"t", i});
  const auto spread = SpreadPartitions(partitions, 3);
  std::vector<int> load(3);
  for (const auto& [partition, reader] : spread) ++load[reader];
  EXPECT_EQ(load, (std::vector<int>{4, 3, 3}));
  EXPECT_EQ(spread.at({"t", 4}), 1u);
}

}  // namespace
}  // namespace millrace
