#include "engine/connectors/kafka/kafka_sink.h"

#include <arrow/builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "engine/connectors/kafka/mock_cluster_testing.h"

namespace millrace {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Schema MakeSchema() {
  const auto field = [](std::string name, Type type) {
    Field made;
    made.name = std::move(name);
    made.type = type;
    return made;
  };
  return {{field("window_end", Type::kTimestamp), field("device", Type::kText),
           field("n", Type::kBigint)}};
}

Rows MakeRows(const std::vector<std::optional<std::string>>& devices) {
  arrow::TimestampBuilder ends(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  arrow::StringBuilder texts;
  arrow::Int64Builder counts;
  int64_t n = 0;
  for (const auto& device : devices) {
    EXPECT_TRUE(ends.Append(1'655'129'700'000'000 + n * 60'000'000).ok());
    EXPECT_TRUE((device.has_value() ? texts.Append(*device) : texts.AppendNull()).ok());
    EXPECT_TRUE(counts.Append(n++).ok());
  }
  Rows rows;
  rows.batch = arrow::RecordBatch::Make(
      MakeSchema().ToArrow(), int64_t(devices.size()),
      {ends.Finish().ValueOrDie(), texts.Finish().ValueOrDie(), counts.Finish().ValueOrDie()});
  return rows;
}

KafkaSinkOptions MakeOptions(const KafkaProperties& properties) {
  KafkaSinkOptions options;
  options.job = "test";
  options.default_properties = properties;
  return options;
}

std::unique_ptr<SinkWriter> MakeSink(const KafkaSinkOptions& options, const std::string& topic,
                                     std::vector<int> keys, int time_column) {
  KafkaSinkSpec spec;
  spec.topic = topic;
  return MakeKafkaSink(spec, MakeSchema(), std::move(keys), time_column, options).ValueOrDie();
}

TEST(KafkaSink, WritesJsonWithKeyTimestampAndHeader) {
  MockCluster cluster;
  cluster.CreateTopic("windows", 4);
  const auto sink = MakeSink(MakeOptions(cluster.properties()), "windows", {1}, 0);
  EXPECT_EQ(sink->description(), "kafka topic windows");
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"dev-1", "dev-2", std::nullopt}), nullptr).ok());
  ASSERT_TRUE(sink->Flush().ok());
  EXPECT_EQ(sink->stats().rows_written, 3);
  auto records = ConsumeRecords(cluster.properties(), "windows", 4, 3);
  ASSERT_EQ(records.size(), 3u);
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.value < b.value; });
  EXPECT_EQ(records[0].value,
            R"({"window_end":"2022-06-13T14:15:00.000000Z","device":"dev-1","n":0})");
  EXPECT_EQ(records[0].key, "dev-1");
  EXPECT_EQ(records[0].timestamp_ms, 1'655'129'700'000);
  EXPECT_EQ(records[0].headers, (Headers{{"millrace-job", "test"}}));
  EXPECT_EQ(records[1].key, "dev-2");
  EXPECT_EQ(records[1].timestamp_ms, 1'655'129'760'000);
  EXPECT_EQ(records[2].key, "");
  // As Java's partitioner: (murmur2(key) & 0x7fffffff) % 4, computed with kafka-clients 4.1.
  EXPECT_EQ(records[0].partition, 1);
  EXPECT_EQ(records[1].partition, 0);
}

TEST(KafkaSink, SeveralKeyColumnsAreAJsonObject) {
  MockCluster cluster;
  cluster.CreateTopic("windows", 1);
  const auto sink = MakeSink(MakeOptions(cluster.properties()), "windows", {1, 2}, -1);
  ASSERT_TRUE(sink->Open().ok());
  const auto before = std::chrono::system_clock::now();
  ASSERT_TRUE(sink->Write(MakeRows({"a", std::nullopt}), nullptr).ok());
  ASSERT_TRUE(sink->Flush().ok());
  const auto records = ConsumeRecords(cluster.properties(), "windows", 1, 2);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, R"({"device":"a","n":0})");
  EXPECT_EQ(records[1].key, R"({"device":null,"n":1})");
  EXPECT_GE(
      records[0].timestamp_ms,
      std::chrono::duration_cast<std::chrono::milliseconds>(before.time_since_epoch()).count());
}

TEST(KafkaSink, RowsTooLargeForTheTopicAreRejected) {
  MockCluster cluster;
  cluster.CreateTopic("windows", 1);
  const auto sink = MakeSink(MakeOptions(cluster.properties()), "windows", {1}, 0);
  ASSERT_TRUE(sink->Open().ok());
  std::vector<DeadLetter> rejected;
  ASSERT_TRUE(sink->Write(MakeRows({"a", std::string(2'000'000, 'x'), "c"}), &rejected).ok());
  ASSERT_TRUE(sink->Flush().ok());
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].reason, "too_large");
  EXPECT_EQ(rejected[0].value.substr(0, 15), R"({"window_end":")");
  EXPECT_GT(rejected[0].value.size(), 2'000'000u);
  EXPECT_EQ(sink->stats().rows_written, 2);
  EXPECT_EQ(ConsumeRecords(cluster.properties(), "windows", 1, 2).size(), 2u);
}

TEST(KafkaSink, NothingIsLostWhileTheBrokerIsAway) {
  MockCluster cluster;
  cluster.CreateTopic("windows", 1);
  KafkaSinkOptions options = MakeOptions(cluster.properties());
  options.flush_timeout = std::chrono::milliseconds(300);
  const auto sink = MakeSink(options, "windows", {}, 0);
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"a"}), nullptr).ok());
  ASSERT_TRUE(sink->Flush().ok());
  cluster.TakeBrokerDown();
  ASSERT_TRUE(sink->Write(MakeRows({"b", "c"}), nullptr).ok());
  const Status away = sink->Flush();
  EXPECT_EQ(CodeOf(away), "broker_unreachable");
  EXPECT_EQ(away.message().substr(0, 34), "2 records wait for topic windows: ");
  cluster.BringBrokerUp();
  Status flushed = away;
  for (int i = 0; i < 60 && !flushed.ok(); ++i) flushed = sink->Flush();
  ASSERT_TRUE(flushed.ok()) << flushed.ToString();
  const auto records = ConsumeRecords(cluster.properties(), "windows", 1, 3);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_NE(records[2].value.find("\"c\""), std::string::npos);
}

TEST(KafkaSink, AFullQueueWaitsUntilItIsToldToStop) {
  MockCluster cluster;
  cluster.CreateTopic("windows", 1);
  std::atomic<bool> stop = false;
  KafkaSinkOptions options = MakeOptions(cluster.properties());
  options.default_properties["queue.buffering.max.messages"] = "2";
  options.stop = &stop;
  const auto sink = MakeSink(options, "windows", {}, 0);
  ASSERT_TRUE(sink->Open().ok());
  cluster.TakeBrokerDown();
  ASSERT_TRUE(sink->Write(MakeRows({"a", "b"}), nullptr).ok());
  std::atomic<bool> returned = false;
  Status written;
  std::thread writer([&] {
    written = sink->Write(MakeRows({"c"}), nullptr);
    returned = true;
  });
  // It cannot return by itself: the queue stays full while the broker is away.
  EXPECT_FALSE(returned);
  stop = true;
  writer.join();
  EXPECT_EQ(CodeOf(written), "stopped");
  EXPECT_EQ(CodeOf(sink->Flush()), "stopped");
}

TEST(KafkaSink, OpenTellsWhatIsWrong) {
  const auto unreachable =
      MakeSink(MakeOptions({{"bootstrap.servers", "127.0.0.1:1"}}), "x", {}, 0);
  EXPECT_EQ(CodeOf(unreachable->Open()), "broker_unreachable");
  // librdkafka's mock cluster has no admin interface: the topic cannot be created.
  MockCluster cluster;
  cluster.ForgetTopic("nowhere");
  const auto missing = MakeSink(MakeOptions(cluster.properties()), "nowhere", {}, 0);
  const Status status = missing->Open();
  EXPECT_EQ(CodeOf(status), "topic_missing");
  EXPECT_NE(status.message().find("'nowhere' does not exist and could not be created"),
            std::string::npos)
      << status.message();
  KafkaSinkSpec spec;
  spec.topic = "x";
  spec.properties = {{"acks", "0"}};
  EXPECT_EQ(
      CodeOf(MakeKafkaSink(spec, MakeSchema(), {}, -1, MakeOptions(cluster.properties())).status()),
      "bad_kafka_property");
}

}  // namespace
}  // namespace millrace
