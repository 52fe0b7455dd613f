#include "engine/connectors/kafka/kafka_source.h"

#include <arrow/array.h>
#include <gtest/gtest.h>

#include "engine/connectors/kafka/mock_cluster_testing.h"

namespace millrace {
namespace {

using Kind = SourceEvent::Kind;

SourceNode MakeNode(const std::string& topic) {
  SourceNode node;
  KafkaSourceSpec kafka;
  kafka.topics = {topic};
  node.spec.input = kafka;
  const auto add = [&](std::string name, Type type) {
    SourceColumn column;
    column.from = name;
    column.field.name = std::move(name);
    column.field.type = type;
    node.used_columns.push_back(int(node.spec.columns.size()));
    node.spec.columns.push_back(std::move(column));
  };
  add("device", Type::kText);
  add("t", Type::kDouble);
  return node;
}

KafkaSourceSpec& Kafka(SourceNode* node) { return std::get<KafkaSourceSpec>(node->spec.input); }

std::unique_ptr<Source> MakeSource(const MockCluster& cluster, const SourceNode& node) {
  KafkaSourceOptions options;
  options.job = "test";
  options.default_properties = cluster.properties();
  return MakeKafkaSource(node, std::move(options)).ValueOrDie();
}

std::vector<StartPosition> AllFromTheStart(Source* source) {
  std::vector<StartPosition> positions;
  const auto found = source->Discover(std::chrono::seconds(5)).ValueOrDie();
  for (const auto& partition : found.partitions) positions.push_back({partition, std::nullopt});
  return positions;
}

std::string Reading(int i) {
  return "{\"device\":\"d" + std::to_string(i) + "\",\"t\":" + std::to_string(i) + ".5}";
}

TEST(KafkaSource, ReadsRecordsWithTheirOriginsAndRefusesBadOnes) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 2);
  ProduceRecords(cluster.properties(), "readings",
                 {{0, "k0", Reading(0), 1'000, {}},
                  {0, "k1", "{\"device\":", 2'000, {}},
                  {0, "", Reading(2), 3'000, {}},
                  {1, "k3", Reading(3), 4'000, {}}});
  const auto source = MakeSource(cluster, MakeNode("readings"));
  const auto positions = AllFromTheStart(source.get());
  ASSERT_EQ(positions.size(), 2u);
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start(positions).ok());
  ASSERT_TRUE(reader.PollUntil([&] {
    return reader.rows() == 3 && reader.rejected() == 1 &&
           reader.CountEvents(Kind::kEndConfirmed) >= 2;
  })) << reader.status.ToString();
  EXPECT_EQ(reader->LagRecords(), 0);

  std::map<int64_t, double> values;
  for (const SourceBatch& batch : reader.batches) {
    if (batch.partition.partition != 0) {
      EXPECT_EQ(batch.next_offset, 1);
      EXPECT_EQ(batch.originals->KeyOfRow(0), "k3");
      continue;
    }
    const auto& origins = *batch.rows.origins;
    EXPECT_EQ(origins.source, batch.partition);
    ASSERT_EQ(origins.offsets.size(), size_t(batch.rows.size()));
    ASSERT_EQ(batch.record_timestamps.size(), size_t(batch.rows.size()));
    for (int64_t row = 0; row < batch.rows.size(); ++row) {
      const int64_t offset = origins.offsets[size_t(row)];
      values[offset] =
          static_cast<const arrow::DoubleArray&>(*batch.rows.batch->column(1)).Value(row);
      EXPECT_EQ(batch.originals->ValueOfRow(row), Reading(int(offset)));
      EXPECT_EQ(batch.originals->KeyOfRow(row), offset == 0 ? "k0" : "");
      EXPECT_EQ(batch.record_timestamps[size_t(row)], (offset + 1) * 1'000'000);
    }
    for (const RejectedRecord& rejected : batch.rejected) {
      EXPECT_EQ(rejected.offset, 1);
      EXPECT_EQ(rejected.reason, "malformed");
      EXPECT_EQ(rejected.value, "{\"device\":");
      EXPECT_EQ(rejected.key, "k1");
    }
  }
  EXPECT_EQ(values, (std::map<int64_t, double>{{0, 0.5}, {2, 2.5}}));
  EXPECT_EQ(reader.CountEvents(Kind::kInterrupted), 0);

  // Batches may outlive their reader and its source.
  auto kept = std::move(reader.batches.front());
  reader->Stop();
  EXPECT_EQ(kept.originals->ValueOfRow(0).substr(0, 11), "{\"device\":\"");
}

// An empty value is none: it is no JSON. Without being asked a source takes both for that.
TEST(KafkaSource, TellsTombstonesWhereAsked) {
  MockCluster cluster;
  cluster.CreateTopic("devices", 2);
  ProduceRecords(cluster.properties(), "devices",
                 {{0, "k0", Reading(0), 1'000, {}},
                  {0, "k1", "", 2'000, {}, /*has_value=*/false},
                  {0, "k2", "", 3'000, {}},
                  {0, "k3", Reading(3), 4'000, {}}});
  const SourceNode node = MakeNode("devices");
  KafkaSourceOptions options;
  options.job = "test";
  options.default_properties = cluster.properties();
  const auto ends = KafkaEndOffsets(node, options, std::chrono::seconds(5)).ValueOrDie();
  EXPECT_EQ(ends, (std::map<TopicPartition, int64_t>{{{"devices", 0}, 4}, {{"devices", 1}, 0}}));
  for (const bool tells : {true, false}) {
    options.tells_tombstones = tells;
    const auto source = MakeKafkaSource(node, options).ValueOrDie();
    const auto positions = AllFromTheStart(source.get());
    PollingReader reader(source->MakeReader().ValueOrDie());
    ASSERT_TRUE(reader->Start(positions).ok());
    ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() == 2 && reader.rejected() == 2; }));
    std::map<int64_t, std::string> rejected;
    for (const SourceBatch& batch : reader.batches) {
      for (const RejectedRecord& record : batch.rejected) {
        rejected[record.offset] = record.key + " " + record.reason;
      }
    }
    EXPECT_EQ(rejected, (std::map<int64_t, std::string>{
                            {1, tells ? "k1 tombstone" : "k1 malformed"}, {2, "k2 malformed"}}));
  }
}

TEST(KafkaSource, TheEndIsConfirmedAgainAndAgainOnlyWhileTheBrokerAnswers) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  ProduceRecords(cluster.properties(), "readings", {{0, "", Reading(0), 1'000, {}}});
  const auto source = MakeSource(cluster, MakeNode("readings"));
  const auto positions = AllFromTheStart(source.get());
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start(positions).ok());
  ASSERT_TRUE(reader.PollUntil([&] { return reader.CountEvents(Kind::kEndConfirmed) >= 4; }));
  for (const auto& event : reader.events) {
    EXPECT_EQ(event.offset, event.kind == Kind::kEndConfirmed ? 1 : -1);
  }

  cluster.TakeBrokerDown();
  ASSERT_TRUE(reader.PollUntil([&] { return reader.CountEvents(Kind::kInterrupted) == 1; }));
  const int confirmed = reader.CountEvents(Kind::kEndConfirmed);

  cluster.BringBrokerUp();
  ProduceRecords(cluster.properties(), "readings", {{0, "", Reading(1), 2'000, {}}});
  ASSERT_TRUE(reader.PollUntil([&] {
    return reader.rows() == 2 && reader.CountEvents(Kind::kEndConfirmed) > confirmed + 1;
  })) << reader.status.ToString();
  EXPECT_EQ(reader.CountEvents(Kind::kInterrupted), 1);
  EXPECT_EQ(reader.batches.back().next_offset, 2);
}

TEST(KafkaSource, CommittedPositionsAndTheirMetadataComeBack) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 2);
  const auto source = MakeSource(cluster, MakeNode("readings"));
  const auto positions = AllFromTheStart(source.get());
  EXPECT_TRUE(source->Discover(std::chrono::seconds(5)).ValueOrDie().committed.empty());
  {
    PollingReader reader(source->MakeReader().ValueOrDie());
    ASSERT_TRUE(reader->Start(positions).ok());
    ASSERT_TRUE(reader->Commit({{{"readings", 0}, 5, "old"}}).ok());
    ASSERT_TRUE(reader->Commit({{{"readings", 0}, 6, "older"}}).ok());
    ASSERT_TRUE(reader->Commit({{{"readings", 0}, 7, "m{1}"}, {{"readings", 1}, 9, ""}}).ok());
    EXPECT_EQ(CodeOf(reader->Commit({{{"readings", 0}, 8, std::string(5000, 'x')}})),
              "commit_metadata_too_large");
    reader->Stop();
  }
  const auto found =
      MakeSource(cluster, MakeNode("readings"))->Discover(std::chrono::seconds(5)).ValueOrDie();
  ASSERT_EQ(found.committed.size(), 2u);
  EXPECT_EQ(found.committed[0].offset, 7);
  EXPECT_EQ(found.committed[0].metadata, "m{1}");
  EXPECT_EQ(found.committed[1].offset, 9);
  EXPECT_EQ(found.committed[1].metadata, "");
}

TEST(KafkaSource, NoBrokerIsToldWithItsAddressInTime) {
  KafkaSourceOptions options;
  options.job = "test";
  options.default_properties = {{"bootstrap.servers", "127.0.0.1:1"}};
  const auto source = MakeKafkaSource(MakeNode("readings"), options).ValueOrDie();
  const auto begin = std::chrono::steady_clock::now();
  const Status status = source->Discover(std::chrono::seconds(3)).status();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(CodeOf(status), "broker_unreachable");
  EXPECT_EQ(ErrorDetail::Of(status)->retry(), Retry::kYes);
  EXPECT_NE(status.message().find("127.0.0.1:1"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("Connection refused"), std::string::npos) << status.message();
}

TEST(KafkaSource, AMissingTopicIsToldWithTheNearestName) {
  MockCluster cluster;
  cluster.CreateTopic("smoke_sensor_data", 1);
  cluster.ForgetTopic("smoke_sensor_date");
  const auto source = MakeSource(cluster, MakeNode("smoke_sensor_date"));
  const Status status = source->Discover(std::chrono::seconds(5)).status();
  EXPECT_EQ(CodeOf(status), "topic_missing");
  EXPECT_NE(status.message().find("did you mean 'smoke_sensor_data'?"), std::string::npos)
      << status.message();
}

TEST(KafkaSource, PropertiesAreCheckedBeforeAnythingRuns) {
  const auto code = [](KafkaProperties properties) {
    KafkaSourceOptions options;
    options.default_properties = std::move(properties);
    return CodeOf(MakeKafkaSource(MakeNode("readings"), options).status());
  };
  EXPECT_EQ(code({}), "no_brokers");
  EXPECT_EQ(code({{"bootstrap.servers", "a:1"}, {"no.such.thing", "1"}}), "bad_kafka_property");
  EXPECT_EQ(code({{"bootstrap.servers", "a:1"}, {"enable.auto.commit", "true"}}),
            "bad_kafka_property");
}

TEST(KafkaSource, APositionThatDoesNotExistEndsTheJob) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  ProduceRecords(cluster.properties(), "readings", {{0, "", Reading(0), 1'000, {}}});
  const auto source = MakeSource(cluster, MakeNode("readings"));
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, 100}}).ok());
  EXPECT_FALSE(reader.PollUntil([] { return false; }));
  EXPECT_EQ(CodeOf(reader.status), "data_lost");
  EXPECT_EQ(reader.status.message(),
            "topic readings, partition 0: offset 100 is wanted, but offsets 0 to 1 exist: the "
            "topic was cut off or made again");
  EXPECT_EQ(CodeOf(reader->Poll(10).status()), "data_lost");
}

TEST(KafkaSource, LostInputMayBeAcceptedAndIsCounted) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  ProduceRecords(cluster.properties(), "readings", {{0, "", Reading(0), 1'000, {}}});
  SourceNode node = MakeNode("readings");
  Kafka(&node).on_data_loss = OnDataLoss::kContinue;
  const auto source = MakeSource(cluster, node);
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, 100}}).ok());
  ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() == 1; })) << reader.status.ToString();
  ASSERT_EQ(reader.CountEvents(Kind::kDataLost), 1);
  EXPECT_EQ(reader.batches.back().next_offset, 1);
}

TEST(KafkaSource, StartsWhereItIsTold) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  ProduceRecords(cluster.properties(), "readings",
                 {{0, "", Reading(0), 1'000, {}},
                  {0, "", Reading(1), 2'000, {}},
                  {0, "", Reading(2), 3'000, {}}});
  SourceNode node = MakeNode("readings");
  Kafka(&node).start_from.kind = StartFrom::Kind::kOffsets;
  Kafka(&node).start_from.offsets = {{0, 2}};
  {
    const auto source = MakeSource(cluster, node);
    PollingReader reader(source->MakeReader().ValueOrDie());
    ASSERT_TRUE(reader->Start({{{"readings", 0}, std::nullopt}}).ok());
    ASSERT_TRUE(reader.PollUntil([&] { return reader.CountEvents(Kind::kEndConfirmed) > 0; }));
    EXPECT_EQ(reader.rows(), 1);
  }
  Kafka(&node).start_from.kind = StartFrom::Kind::kLatest;
  const auto source = MakeSource(cluster, node);
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, std::nullopt}}).ok());
  // The end is a position, told by a batch without rows.
  ASSERT_TRUE(reader.PollUntil([&] { return !reader.batches.empty(); }));
  EXPECT_EQ(reader.batches[0].rows.size(), 0);
  EXPECT_EQ(reader.batches[0].next_offset, 3);
  EXPECT_EQ(reader.batches[0].last_record_offset, -1);
  ProduceRecords(cluster.properties(), "readings", {{0, "", Reading(3), 4'000, {}}});
  ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() == 1; }));
  EXPECT_EQ(reader.batches.back().rows.origins->offsets, std::vector<int64_t>{3});
}

TEST(KafkaSource, ARecordOfSeveralReadingsIsSeveralRowsOfItsOffset) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  const std::string bad = "{\"device\":5}";
  ProduceRecords(cluster.properties(), "readings",
                 {{0, "k0", "[" + Reading(0) + "," + bad + "," + Reading(1) + "]", 1'000, {}},
                  {0, "k1", "[]", 2'000, {}},
                  {0, "k2", Reading(2), 3'000, {}}});
  const auto source = MakeSource(cluster, MakeNode("readings"));
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, 0}}).ok());
  ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() == 3; }));
  std::vector<std::string> rows;
  int64_t empty = 0;
  for (const SourceBatch& batch : reader.batches) {
    empty += batch.empty_records;
    for (int64_t row = 0; row < batch.rows.size(); ++row) {
      rows.push_back(std::to_string(batch.rows.origins->offsets[size_t(row)]) + "/" +
                     std::to_string(batch.rows.origins->IndexOf(row)) + " " +
                     std::string(batch.originals->KeyOfRow(row)) + " " +
                     std::string(batch.originals->ValueOfRow(row)));
    }
    for (const RejectedRecord& rejected : batch.rejected) {
      EXPECT_EQ(rejected.offset, 0);
      EXPECT_EQ(rejected.index, 1);
      EXPECT_EQ(rejected.reason, "type_mismatch");
      EXPECT_EQ(rejected.value, bad);
      EXPECT_EQ(rejected.key, "k0");
    }
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"0/0 k0 " + Reading(0), "0/2 k0 " + Reading(1),
                                            "2/-1 k2 " + Reading(2)}));
  EXPECT_EQ(reader.rejected(), 1);
  EXPECT_EQ(empty, 1);
  EXPECT_EQ(reader.batches.back().next_offset, 3);
}

// Records behind one with many readings wait for the next poll, in their order.
TEST(KafkaSource, APollIsBoundedByRows) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  std::vector<TestRecord> records;
  for (int record = 0; record < 6; ++record) {
    std::string value = "[";
    for (int item = 0; item < 700; ++item) value += Reading(record) + ",";
    value.back() = ']';
    records.push_back({0, "", value, 1'000, {}});
  }
  ProduceRecords(cluster.properties(), "readings", records);
  const auto source = MakeSource(cluster, MakeNode("readings"));
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, 0}}).ok());
  ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() == 6 * 700; }));
  int64_t next = 0;
  for (const SourceBatch& batch : reader.batches) {
    EXPECT_LE(batch.rows.size(), 1000 + 700);
    for (const int64_t offset : batch.rows.origins->offsets) EXPECT_GE(offset, next);
    if (batch.rows.size() > 0) {
      EXPECT_EQ(batch.next_offset, batch.rows.origins->offsets.back() + 1);
    }
    next = batch.next_offset;
  }
  EXPECT_EQ(next, 6);
  // One is stopped with records that wait.
  PollingReader other(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(other->Start({{{"readings", 0}, 0}}).ok());
  ASSERT_TRUE(other.PollUntil([&] { return other.rows() > 0; }));
  other->Stop();
}

TEST(KafkaSource, ARecordIsKnownAgain) {
  MockCluster cluster;
  cluster.CreateTopic("readings", 1);
  ProduceRecords(cluster.properties(), "readings",
                 {{0, "", Reading(0), 1'000, {}}, {0, "", "not json", 2'000, {}}});
  const auto source = MakeSource(cluster, MakeNode("readings"));
  PollingReader reader(source->MakeReader().ValueOrDie());
  ASSERT_TRUE(reader->Start({{{"readings", 0}, 0}}).ok());
  ASSERT_TRUE(reader.PollUntil([&] { return reader.rows() + reader.rejected() == 2; }));
  const SourceBatch& last = reader.batches.back();
  EXPECT_EQ(last.last_record_offset, 1);
  const auto verify = [&](int64_t offset, uint64_t hash) {
    return source->VerifyRecord({"readings", 0}, offset, hash, std::chrono::seconds(5));
  };
  EXPECT_TRUE(verify(1, last.last_record_hash).ValueOrDie());
  EXPECT_FALSE(verify(1, last.last_record_hash + 1).ValueOrDie());
  EXPECT_FALSE(verify(0, last.last_record_hash).ValueOrDie());
  EXPECT_FALSE(verify(50, 1).ValueOrDie());  // beyond the end, where it was read once
}

}  // namespace
}  // namespace millrace
