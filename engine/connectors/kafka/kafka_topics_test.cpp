#include "engine/connectors/kafka/kafka_topics.h"

#include <gtest/gtest.h>

#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/connectors/kafka/mock_cluster_testing.h"

namespace millrace {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);

TEST(KafkaDeadline, KeepsWithinItsBounds) {
  const KafkaDeadline passed(Micros(0));
  EXPECT_TRUE(passed.passed());
  EXPECT_EQ(passed.RemainingMs(), 1);
  EXPECT_EQ(passed.RemainingMs(500), 500);
  const KafkaDeadline far(std::chrono::hours(1));
  EXPECT_FALSE(far.passed());
  EXPECT_EQ(far.RemainingMs(1, 200), 200);
  EXPECT_EQ(far.RemainingMs(300, 200), 300);
  EXPECT_GT(far.RemainingMs(), 3'000'000);
}

TEST(KafkaTopics, CountsPartitions) {
  MockCluster cluster;
  cluster.CreateTopic("three", 3);
  cluster.ForgetTopic("none");
  const auto topics = KafkaTopics::Make("test", {cluster.properties()}, {}, nullptr).ValueOrDie();
  const KafkaDeadline deadline(kTimeout);
  EXPECT_EQ(topics->PartitionsOf("three", deadline).ValueOrDie(), 3);
  EXPECT_EQ(topics->PartitionsOf("none", deadline).ValueOrDie(), std::nullopt);
  const Status created = topics->Create({"none", 1, {}}, deadline);
  EXPECT_EQ(CodeOf(created), "topic_missing");
  EXPECT_EQ(created.message(),
            "topic 'none' does not exist and could not be created: the cluster has no controller");
}

TEST(KafkaTopics, AStopEndsTheWaitForABroker) {
  const std::atomic<bool> stop = true;
  const auto topics =
      KafkaTopics::Make("test", {{{"bootstrap.servers", "127.0.0.1:1"}}}, {}, &stop).ValueOrDie();
  EXPECT_EQ(CodeOf(topics->PartitionsOf("any", KafkaDeadline(kTimeout)).status()), "stopped");
}

TEST(PrepareOutputTopics, TellsTheLargestRecordOfEach) {
  MockCluster cluster;
  cluster.CreateTopic("a", 1);
  cluster.CreateTopic("b", 1);
  const OutputTopics usual =
      PrepareOutputTopics("test", {"a", "b"}, {cluster.properties()}, {}, kTimeout).ValueOrDie();
  EXPECT_EQ(usual.record_bytes_max,
            (std::map<std::string, int64_t>{{"a", 1'000'000}, {"b", 1'000'000}}));
  // What the job allows its client is a limit as well.
  const OutputTopics small =
      PrepareOutputTopics("test", {"a"}, {cluster.properties(), {{"message.max.bytes", "5000"}}},
                          {}, kTimeout)
          .ValueOrDie();
  EXPECT_EQ(small.record_bytes_max.at("a"), 5000);
}

}  // namespace
}  // namespace millrace
