#include "engine/layout/spread_partitions.h"

#include <gtest/gtest.h>

#include <algorithm>

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

std::vector<TopicPartition> Topic(const std::string& name, int32_t partitions) {
  std::vector<TopicPartition> all;
  for (int32_t i = 0; i < partitions; ++i) all.push_back({name, i});
  return all;
}

TEST(SpreadPartitions, APartitionIsWithTheTaskOfItsKeys) {
  // Groups 0, 120, ..., 600 of 720; the tasks of 4 begin at 0, 180, 360 and 540.
  const auto spread = SpreadWithKeys(Topic("t", 6), 6, 4);
  ASSERT_TRUE(spread.has_value());
  std::vector<size_t> readers;
  for (const auto& [partition, reader] : *spread) readers.push_back(reader);
  EXPECT_EQ(readers, (std::vector<size_t>{0, 0, 1, 2, 2, 3}));
}

TEST(SpreadPartitions, PartitionsAreAsEvenWithTheirKeys) {
  for (int32_t partitions = 1; partitions <= 100; ++partitions) {
    const auto all = Topic("t", partitions);
    for (int32_t readers = 1; readers <= std::min(partitions, 32); ++readers) {
      const auto spread = SpreadWithKeys(all, partitions, size_t(readers));
      ASSERT_TRUE(spread.has_value()) << partitions << " over " << readers;
      std::vector<int32_t> load(size_t(readers), 0);
      int32_t apart = 0;
      for (const auto& [partition, reader] : *spread) {
        ++load[reader];
        const KeyGroup group = GroupOfPartition(partition.partition, partitions);
        if (TaskOf(group, readers) != TaskIndex(int32_t(reader))) ++apart;
      }
      const auto [least, most] = std::ranges::minmax(load);
      ASSERT_GE(least, 1) << partitions << " over " << readers;
      ASSERT_LE(most - least, 2) << partitions << " over " << readers;
      ASSERT_LE(apart * 20, partitions) << partitions << " over " << readers;
    }
  }
}

TEST(SpreadPartitions, TopicsOfOtherPartitionsAreNotWithTheirKeys) {
  EXPECT_FALSE(SpreadWithKeys(Topic("t", 6), 8, 2).has_value());
  EXPECT_FALSE(SpreadWithKeys(Topic("t", 6), 4, 2).has_value());
  EXPECT_FALSE(SpreadWithKeys(Topic("t", 2), 2, 3).has_value()) << "a reader without partitions";
  auto two = Topic("t", 4);
  two.push_back({"u", 0});
  EXPECT_FALSE(SpreadWithKeys(two, 4, 2).has_value());
  two = Topic("t", 4);
  for (const TopicPartition& partition : Topic("u", 4)) two.push_back(partition);
  const auto spread = SpreadWithKeys(two, 4, 2);
  ASSERT_TRUE(spread.has_value());
  EXPECT_EQ(spread->at({"t", 3}), spread->at({"u", 3}));
}

}  // namespace
}  // namespace millrace
