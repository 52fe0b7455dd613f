#include "engine/connectors/kafka/kafka_row_encoder.h"

#include <arrow/builder.h>
#include <gtest/gtest.h>

#include "engine/connectors/kafka/kafka_records.h"

namespace millrace {
namespace {

constexpr int64_t kHour = 3'600'000'000;
const EventTime kNow = EventTime(Micros(1'700'000'000'000'000));

struct Row {
  std::optional<int64_t> time;
  std::optional<std::string> device;
  int64_t n = 0;
};

struct Written {
  std::string topic;
  std::optional<std::string> key;
  std::string value;
  int64_t timestamp_ms = 0;
  RecordHeaders headers;
};

KafkaRowEncoderOptions MakeOptions(std::vector<int> keys, int time_column) {
  KafkaRowEncoderOptions options;
  options.topic = "windows";
  for (const auto& [name, type] : std::vector<std::pair<std::string, Type>>{
           {"t", Type::kTimestamp}, {"device", Type::kText}, {"n", Type::kBigint}}) {
    Field field;
    field.name = name;
    field.type = type;
    options.schema.fields.push_back(field);
  }
  options.keys = std::move(keys);
  options.time_column = time_column;
  options.headers = {{"millrace-job", "smoke"}, {"millrace-epoch", "7"}};
  return options;
}

Rows MakeRows(const std::vector<Row>& rows) {
  arrow::TimestampBuilder times(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  arrow::StringBuilder devices;
  arrow::Int64Builder counts;
  for (const Row& row : rows) {
    EXPECT_TRUE((row.time.has_value() ? times.Append(*row.time) : times.AppendNull()).ok());
    EXPECT_TRUE((row.device.has_value() ? devices.Append(*row.device) : devices.AppendNull()).ok());
    EXPECT_TRUE(counts.Append(row.n).ok());
  }
  Rows made;
  made.batch = arrow::RecordBatch::Make(
      MakeOptions({}, -1).schema.ToArrow(), int64_t(rows.size()),
      {times.Finish().ValueOrDie(), devices.Finish().ValueOrDie(), counts.Finish().ValueOrDie()});
  return made;
}

Written Copy(const OutboxRecord& record) {
  Written written;
  written.topic = record.topic;
  if (record.has_key) written.key = record.key;
  written.value = record.value;
  written.timestamp_ms = record.timestamp_ms;
  for (const auto& [name, value] : record.headers) {
    written.headers.emplace_back(std::string(name), std::string(value));
  }
  return written;
}

std::vector<Written> Encode(KafkaRowEncoder* encoder, const Rows& rows,
                            std::vector<DeadLetter>* rejected = nullptr) {
  std::vector<Written> written;
  const Status status = encoder->Encode(rows, kNow, rejected, [&](const OutboxRecord& record) {
    written.push_back(Copy(record));
    return Status::OK();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return written;
}

TEST(KafkaRowEncoder, ATextKeyIsPlainAndNullIsNone) {
  const auto encoder = KafkaRowEncoder::Make(MakeOptions({1}, 0));
  const int64_t time = kNow.time_since_epoch().count();
  const auto written =
      Encode(encoder.get(), MakeRows({{time, "dev-1", 1}, {time, std::nullopt, 2}, {time, "", 3}}));
  ASSERT_EQ(written.size(), 3u);
  EXPECT_EQ(written[0].topic, "windows");
  EXPECT_EQ(written[0].key, "dev-1");
  EXPECT_EQ(written[0].value, R"({"t":"2023-11-14T22:13:20.000000Z","device":"dev-1","n":1})");
  EXPECT_EQ(written[0].timestamp_ms, 1'700'000'000'000);
  EXPECT_EQ(written[0].headers,
            (RecordHeaders{{"millrace-job", "smoke"}, {"millrace-epoch", "7"}}));
  EXPECT_EQ(written[1].key, std::nullopt);
  EXPECT_EQ(written[2].key, "");
  EXPECT_EQ(encoder->stats().rows_written, 3);
}

TEST(KafkaRowEncoder, OtherKeysAreJson) {
  const auto two = KafkaRowEncoder::Make(MakeOptions({1, 2}, -1));
  const auto written = Encode(two.get(), MakeRows({{0, "a", 1}, {0, std::nullopt, 2}}));
  EXPECT_EQ(written[0].key, R"({"device":"a","n":1})");
  EXPECT_EQ(written[1].key, R"({"device":null,"n":2})");
  EXPECT_EQ(written[0].timestamp_ms, 0);
  const auto number = KafkaRowEncoder::Make(MakeOptions({2}, -1));
  EXPECT_EQ(Encode(number.get(), MakeRows({{0, "a", 5}}))[0].key, R"({"n":5})");
  const auto none = KafkaRowEncoder::Make(MakeOptions({}, -1));
  EXPECT_EQ(Encode(none.get(), MakeRows({{0, "a", 5}}))[0].key, std::nullopt);
}

TEST(KafkaRowEncoder, ATimeThatBrokersWouldRefuseIsLeftToThem) {
  const auto encoder = KafkaRowEncoder::Make(MakeOptions({}, 0));
  const int64_t now = kNow.time_since_epoch().count();
  const auto written = Encode(encoder.get(), MakeRows({{-1, "a", 0},
                                                       {std::nullopt, "a", 0},
                                                       {now + kHour / 2, "a", 0},
                                                       {now + kHour / 2 + 1000, "a", 0}}));
  EXPECT_EQ(written[0].timestamp_ms, 0);
  EXPECT_EQ(written[1].timestamp_ms, 0);
  EXPECT_EQ(written[2].timestamp_ms, (now + kHour / 2) / 1000);
  EXPECT_EQ(written[3].timestamp_ms, 0);
}

TEST(KafkaRowEncoder, WhatTheTopicDoesNotTakeIsRejected) {
  KafkaRowEncoderOptions options = MakeOptions({1}, -1);
  // Exactly what the first row takes: {"t":"1970-01-01T00:00:00.000000Z","device":"a","n":1} has
  // 54 bytes and its key 1; headers of 12 + 5 and 14 + 1, each with 10; a batch of its own 100.
  options.record_bytes_max = 54 + 1 + (12 + 5 + 10) + (14 + 1 + 10) + 100;
  const auto encoder = KafkaRowEncoder::Make(options);
  Rows rows = MakeRows({{0, "a", 1}, {0, "ab", 2}});
  auto origins = std::make_shared<Origins>();
  origins->source = {"readings", 3};
  origins->offsets = {10, 11};
  rows.origins = origins;
  std::vector<DeadLetter> rejected;
  const auto written = Encode(encoder.get(), rows, &rejected);
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].key, "a");
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].reason, "too_large");
  EXPECT_EQ(rejected[0].key, "ab");
  EXPECT_EQ(rejected[0].value, R"({"t":"1970-01-01T00:00:00.000000Z","device":"ab","n":2})");
  EXPECT_EQ(rejected[0].source.topic, "readings");
  EXPECT_EQ(rejected[0].offset, 11);
  EXPECT_EQ(encoder->stats().rows_written, 1);
  EXPECT_EQ(encoder->stats().bytes_written, int64_t(written[0].value.size()));
}

TEST(KafkaRowEncoder, StopsWhereTheVisitorFails) {
  const auto encoder = KafkaRowEncoder::Make(MakeOptions({}, -1));
  int visited = 0;
  const Status status = encoder->Encode(MakeRows({{0, "a", 1}, {0, "b", 2}}), kNow, nullptr,
                                        [&](const OutboxRecord& record) {
                                          ++visited;
                                          return ExternalError("disk_full", "no room", Retry::kYes);
                                        });
  EXPECT_EQ(visited, 1);
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
  EXPECT_EQ(encoder->stats().rows_written, 0);
}

DeadLetter MakeLetter() {
  DeadLetter letter;
  letter.value = "original";
  letter.key = "dev-1";
  letter.reason = "late";
  letter.message = "12 s behind";
  letter.stream = "readings";
  letter.source = {"smoke", 2};
  letter.offset = 77;
  return letter;
}

TEST(DeadLetterRecord, KeepsTheOriginalAndSaysWhy) {
  std::vector<std::string> scratch;
  const DeadLetter letter = MakeLetter();
  const RecordHeaders headers = {{"millrace-job", "j"}};
  const Written written = Copy(DeadLetterRecord(letter, "dead", headers, 1'000'000, &scratch));
  EXPECT_EQ(written.topic, "dead");
  EXPECT_EQ(written.key, "dev-1");
  EXPECT_EQ(written.value, "original");
  EXPECT_EQ(written.timestamp_ms, 0);
  EXPECT_EQ(written.headers, (RecordHeaders{{"millrace-job", "j"},
                                            {"reason", "late"},
                                            {"message", "12 s behind"},
                                            {"stream", "readings"},
                                            {"topic", "smoke"},
                                            {"partition", "2"},
                                            {"offset", "77"}}));
}

TEST(DeadLetterRecord, GivesUpWhatTheTopicDoesNotTake) {
  std::vector<std::string> scratch;
  DeadLetter letter = MakeLetter();
  letter.source = {};
  letter.value = std::string(2000, 'v');
  const RecordHeaders headers;
  OutboxRecord record = DeadLetterRecord(letter, "dead", headers, 1000, &scratch);
  EXPECT_EQ(record.value, "");
  EXPECT_EQ(record.key, "dev-1");
  EXPECT_EQ(record.headers.back(),
            (std::pair<std::string_view, std::string_view>("value_bytes", "2000")));
  EXPECT_EQ(record.headers.size(), 4u);  // no origin
  letter.key = std::string(2000, 'k');
  letter.message = std::string(2000, 'm');
  record = DeadLetterRecord(letter, "dead", headers, 1000, &scratch);
  EXPECT_FALSE(record.has_key);
  EXPECT_EQ(record.headers[1].second, std::string(200, 'm'));
  EXPECT_LE(KafkaBatchBytes(record), 1000);
}

}  // namespace
}  // namespace millrace
