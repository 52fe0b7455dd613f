#include "engine/connectors/kafka/partition_health.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using Change = PartitionHealth::Change;

const TopicPartition kPartition{"readings", 3};

KafkaStatistics Statistics(bool up, int64_t responses, int64_t next_offset, int64_t end_offset,
                           int32_t leader = 1) {
  KafkaStatistics statistics;
  statistics.brokers[1] = {up, responses};
  statistics.brokers[2] = {true, 1};
  statistics.partitions[kPartition] = {leader, next_offset, end_offset};
  return statistics;
}

TEST(PartitionHealth, ConfirmsTheEndOnlyByANewAnswer) {
  PartitionHealth health;
  const auto report = [&](int64_t responses, int64_t next, int64_t end, bool at_end = true) {
    return health.Report(Statistics(true, responses, next, end), kPartition, 10, at_end, true);
  };
  EXPECT_EQ(report(3, 10, 10), Change::kNone);  // nothing to compare with
  EXPECT_EQ(report(5, 10, 10), Change::kNone);  // it may only have begun to ask
  EXPECT_EQ(report(6, 10, 10), Change::kEndConfirmed);
  EXPECT_EQ(report(7, 10, 10), Change::kEndConfirmed);
  EXPECT_EQ(report(7, 10, 10), Change::kNone);          // no answer since
  EXPECT_EQ(report(8, 12, 12), Change::kNone);          // fetched, but not yet polled
  EXPECT_EQ(report(9, 10, 11), Change::kNone);          // the end has moved on
  EXPECT_EQ(report(10, 10, -1), Change::kNone);         // an end was never told
  EXPECT_EQ(report(11, 10, 10, false), Change::kNone);  // records are waiting
  EXPECT_EQ(report(12, 10, 10), Change::kEndConfirmed);
}

// While other partitions' records wait the client asks for none, and answers to other questions say
// nothing of an end.
TEST(PartitionHealth, AReaderThatLagsConfirmsNoEnd) {
  PartitionHealth health;
  int64_t responses = 0;
  const auto report = [&](bool caught_up) {
    return health.Report(Statistics(true, ++responses, 10, 10), kPartition, 10, true, caught_up);
  };
  for (int i = 0; i < 20; ++i) EXPECT_EQ(report(false), Change::kNone);
  EXPECT_EQ(report(true), Change::kNone);
  EXPECT_EQ(report(true), Change::kNone);
  EXPECT_EQ(report(true), Change::kEndConfirmed);
  EXPECT_EQ(report(false), Change::kNone);
  EXPECT_EQ(report(true), Change::kNone);
}

TEST(PartitionHealth, TellsTroubleOnceAndItsEndOnce) {
  PartitionHealth health;
  const auto report = [&](bool up, int64_t responses, int32_t leader = 1) {
    return health.Report(Statistics(up, responses, 10, 10, leader), kPartition, 10, true, true);
  };
  EXPECT_EQ(report(true, 0), Change::kNone);
  EXPECT_EQ(report(true, 1), Change::kNone);
  EXPECT_EQ(report(true, 2), Change::kEndConfirmed);
  EXPECT_EQ(report(false, 2), Change::kInterrupted);
  EXPECT_EQ(health.reason(), "broker 1 is not connected");
  EXPECT_EQ(report(false, 2), Change::kNone);
  EXPECT_EQ(report(true, 2), Change::kNone);  // connected, but not yet an answer
  EXPECT_EQ(report(true, 3), Change::kRecovered);
  EXPECT_EQ(report(true, 4), Change::kEndConfirmed);
  EXPECT_EQ(report(true, 5, -1), Change::kInterrupted);
  EXPECT_EQ(health.reason(), "it has no leader");
}

TEST(PartitionHealth, ABrokerThatStaysSilentAtTheEndIsTrouble) {
  PartitionHealth health;
  const auto report = [&](bool at_end) {
    return health.Report(Statistics(true, 5, 10, 10), kPartition, 10, at_end, true);
  };
  EXPECT_EQ(report(true), Change::kNone);
  for (int i = 1; i < PartitionHealth::kSilentReports; ++i) EXPECT_EQ(report(true), Change::kNone);
  EXPECT_EQ(report(true), Change::kInterrupted);
  EXPECT_EQ(health.reason(), "broker 1 does not answer");
  // Away from the end silence may be our own: full queues are not fetched into.
  PartitionHealth reading;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(reading.Report(Statistics(true, 5, 10, 99), kPartition, 7, false, true),
              Change::kNone);
  }
}

TEST(PartitionHealth, ANewLeaderMustAnswerItself) {
  PartitionHealth health;
  EXPECT_EQ(health.Report(Statistics(true, 5, 10, 10), kPartition, 10, true, true), Change::kNone);
  EXPECT_EQ(health.Report(Statistics(true, 6, 10, 10, 2), kPartition, 10, true, true),
            Change::kNone);
}

TEST(PartitionHealth, AClientThatHasJustStartedIsGivenTime) {
  PartitionHealth health;
  const KafkaStatistics empty;
  for (int i = 1; i < PartitionHealth::kSilentReports; ++i) {
    EXPECT_EQ(health.Report(empty, kPartition, -1, false, true), Change::kNone);
  }
  EXPECT_EQ(health.Report(empty, kPartition, -1, false, true), Change::kInterrupted);
}

TEST(KafkaStatistics, ReadsWhatLibrdkafkaWrites) {
  const std::string json = R"({"name":"rdkafka#consumer-1","brokers":{
    "127.0.0.1:9092/bootstrap":{"name":"127.0.0.1:9092/bootstrap","nodeid":-1,"source":"configured","state":"UP","rx":3},
    "127.0.0.1:9092/1":{"nodeid":1,"source":"learned","state":"UP","rx":17},
    "127.0.0.1:9093/2":{"nodeid":2,"source":"learned","state":"CONNECT","rx":4},
    "GroupCoordinator":{"nodeid":1,"source":"logical","state":"UP","rx":2}},
    "topics":{"readings":{"topic":"readings","partitions":{
      "3":{"partition":3,"leader":1,"next_offset":10,"hi_offset":12,"ls_offset":11},
      "-1":{"partition":-1,"leader":-1,"next_offset":0,"hi_offset":-1001,"ls_offset":-1001}}}}})";
  const KafkaStatistics committed = ParseKafkaStatistics(json, true).ValueOrDie();
  ASSERT_EQ(committed.brokers.size(), 2u);
  EXPECT_TRUE(committed.brokers.at(1).up);
  EXPECT_EQ(committed.brokers.at(1).responses, 17);
  EXPECT_FALSE(committed.brokers.at(2).up);
  ASSERT_EQ(committed.partitions.size(), 1u);
  EXPECT_EQ(committed.partitions.at(kPartition).leader, 1);
  EXPECT_EQ(committed.partitions.at(kPartition).next_offset, 10);
  EXPECT_EQ(committed.partitions.at(kPartition).end_offset, 11);
  EXPECT_EQ(ParseKafkaStatistics(json, false).ValueOrDie().partitions.at(kPartition).end_offset,
            12);
  EXPECT_FALSE(ParseKafkaStatistics("{", true).ok());
}

}  // namespace
}  // namespace millrace
