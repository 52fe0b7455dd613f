#include "engine/connectors/kafka/register_topic.h"

#include <gtest/gtest.h>

#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/connectors/kafka/mock_cluster_testing.h"

namespace millrace {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);
const std::string kJob = "smoke";

std::string RegisterValue(int64_t epoch, int64_t next_row, int32_t format = kRegisterFormat) {
  proto::Register state;
  state.set_format(format);
  state.set_generation("abc");
  state.set_epoch(epoch);
  state.set_next_row(next_row);
  return state.SerializeAsString();
}

Result<Registers> Read(const MockCluster& cluster, std::optional<RegisterPosition> from = {}) {
  return ReadRegisters(kJob, {cluster.properties()}, nullptr, from, kTimeout, nullptr);
}

void Write(const MockCluster& cluster,
           const std::vector<std::pair<std::string, std::string>>& registers) {
  std::vector<TestRecord> records;
  for (const auto& [key, value] : registers) {
    records.push_back({RegisterPartitionOf(kJob), key, value, 0, {}});
  }
  ProduceRecords(cluster.properties(), kRegisterTopic, records);
}

TEST(RegisterTopic, APartitionIsAFunctionOfTheJobAlone) {
  // Pinned: a job's registers would be looked for elsewhere if these changed.
  EXPECT_EQ(RegisterPartitionOf("smoke"), 2);
  EXPECT_EQ(RegisterPartitionOf("smoke-detection"), 0);
  EXPECT_EQ(RegisterPartitionOf(""), 2);
}

TEST(RegisterTopic, OnlyKeysOfTheJobAreItsOwn) {
  EXPECT_EQ(RegisterKey("a/b", 3), "a/b/3");
  EXPECT_EQ(ShardOfRegisterKey("a/b", "a/b/3"), 3);
  EXPECT_EQ(ShardOfRegisterKey("a", "a/b/3"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "a/"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "a"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "ab3"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "a/-1"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "a/03"), std::nullopt);
  EXPECT_EQ(ShardOfRegisterKey("a", "a/99999999999"), std::nullopt);
}

TEST(ReadRegisters, ATopicThatIsNotThereIsTold) {
  MockCluster cluster;
  cluster.ForgetTopic(kRegisterTopic);
  const Registers registers = Read(cluster).ValueOrDie();
  EXPECT_TRUE(registers.topic_missing);
  EXPECT_TRUE(registers.shards.empty());
}

TEST(ReadRegisters, TheLastOfEachShardOfTheJobCounts) {
  MockCluster cluster;
  cluster.CreateTopic(kRegisterTopic, kRegisterPartitions);
  const Registers empty = Read(cluster).ValueOrDie();
  EXPECT_FALSE(empty.topic_missing);
  EXPECT_TRUE(empty.shards.empty());
  EXPECT_EQ(empty.end.offset, 0);
  Write(cluster, {{"smoke/0", RegisterValue(1, 10)},
                  {"smoke/1", RegisterValue(1, 20)},
                  {"smoke-2/0", "not ours"},
                  {"smoke/0", RegisterValue(2, 30)}});
  const Registers registers = Read(cluster).ValueOrDie();
  ASSERT_EQ(registers.shards.size(), 2u);
  EXPECT_EQ(registers.shards.at(0).epoch(), 2);
  EXPECT_EQ(registers.shards.at(0).next_row(), 30);
  EXPECT_EQ(registers.shards.at(0).generation(), "abc");
  EXPECT_EQ(registers.shards.at(1).next_row(), 20);
  EXPECT_EQ(registers.end.partition, RegisterPartitionOf(kJob));
  EXPECT_EQ(registers.end.offset, 4);
}

TEST(ReadRegisters, BeginsWhereItIsTold) {
  MockCluster cluster;
  cluster.CreateTopic(kRegisterTopic, kRegisterPartitions);
  Write(cluster, {{"smoke/0", RegisterValue(1, 10)}, {"smoke/1", RegisterValue(1, 20)}});
  const RegisterPosition end = Read(cluster).ValueOrDie().end;
  EXPECT_TRUE(Read(cluster, end).ValueOrDie().shards.empty());
  Write(cluster, {{"smoke/0", RegisterValue(3, 30)}});
  const Registers registers = Read(cluster, end).ValueOrDie();
  ASSERT_EQ(registers.shards.size(), 1u);
  EXPECT_EQ(registers.shards.at(0).next_row(), 30);
  // Of another partition, as after a change of the job's name: from the start.
  const RegisterPosition elsewhere = {(end.partition + 1) % kRegisterPartitions, 1000};
  EXPECT_EQ(Read(cluster, elsewhere).ValueOrDie().shards.size(), 2u);
  // Beyond the end: it is not the topic that was read before.
  EXPECT_EQ(CodeOf(Read(cluster, RegisterPosition{end.partition, 1000}).status()),
            "register_missing");
}

TEST(ReadRegisters, WhatCannotBeReadIsTold) {
  MockCluster cluster;
  cluster.CreateTopic(kRegisterTopic, kRegisterPartitions);
  Write(cluster, {{"smoke/0", "\xff\xff"}});
  const Status damaged = Read(cluster).status();
  EXPECT_EQ(CodeOf(damaged), "register_damaged");
  EXPECT_NE(damaged.message().find("smoke/0 at offset 0 of partition"), std::string::npos)
      << damaged.message();
  Write(cluster, {{"smoke/0", RegisterValue(1, 1, kRegisterFormat + 1)}});
  const RegisterPosition second = {RegisterPartitionOf(kJob), 1};
  EXPECT_EQ(CodeOf(Read(cluster, second).status()), "format_too_new");
  Write(cluster, {{"smoke/0", RegisterValue(1, 1, 0)}});
  const RegisterPosition third = {RegisterPartitionOf(kJob), 2};
  EXPECT_EQ(CodeOf(Read(cluster, third).status()), "register_damaged");
}

TEST(ReadRegisters, TooFewPartitionsAreRefused) {
  MockCluster cluster;
  cluster.CreateTopic(kRegisterTopic, kRegisterPartitions - 1);
  EXPECT_EQ(CodeOf(Read(cluster).status()), "register_topic_unusable");
  EXPECT_EQ(CodeOf(EnsureRegisterTopic({cluster.properties()}, nullptr, kTimeout).status()),
            "register_topic_unusable");
}

TEST(ReadRegisters, GivesUpWhenNoBrokerAnswers) {
  const auto read = ReadRegisters(kJob, {{{"bootstrap.servers", "127.0.0.1:1"}}}, nullptr,
                                  std::nullopt, std::chrono::milliseconds(300), nullptr);
  EXPECT_EQ(CodeOf(read.status()), "broker_unreachable");
}

}  // namespace
}  // namespace millrace
