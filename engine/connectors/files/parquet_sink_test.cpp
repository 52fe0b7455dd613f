#include "engine/connectors/files/parquet_sink.h"

#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/metadata.h>

#include "engine/connectors/files/fault_file_system.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

EventTime At(std::string_view text) {
  EventTime time;
  EXPECT_TRUE(ParseTimestamp(text, &time)) << text;
  return time;
}

struct Reading {
  std::string time;
  std::optional<std::string> site;
  int64_t count;
};

class ParquetSinkTest : public testing::Test {
 protected:
  FileSinkOptions Options(std::string generation = "g1") {
    return {"smoke", std::move(generation), "lake", clock_, filesystem_};
  }
  static ParquetSinkSpec Partitioned(std::vector<std::string> columns) {
    return {.path = "lake", .partition_by = std::move(columns)};
  }
  std::unique_ptr<SinkWriter> Opened(const ParquetSinkSpec& spec) {
    auto sink = MakeParquetSink(spec, schema_, 0, Options());
    EXPECT_TRUE(sink.ok()) << sink.status().ToString();
    EXPECT_TRUE((*sink)->Open().ok());
    return std::move(*sink);
  }
  Rows MakeRows(const std::vector<Reading>& readings) {
    const auto arrow_schema = schema_.ToArrow();
    arrow::TimestampBuilder time(arrow_schema->field(0)->type(), arrow::default_memory_pool());
    arrow::StringBuilder site;
    arrow::Int64Builder count;
    for (const Reading& reading : readings) {
      EXPECT_TRUE((reading.time.empty() ? time.AppendNull()
                                        : time.Append(At(reading.time).time_since_epoch().count()))
                      .ok());
      EXPECT_TRUE((reading.site ? site.Append(*reading.site) : site.AppendNull()).ok());
      EXPECT_TRUE(count.Append(reading.count).ok());
    }
    return {arrow::RecordBatch::Make(arrow_schema, int64_t(readings.size()),
                                     {*time.Finish(), *site.Finish(), *count.Finish()}),
            nullptr};
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& [name, text] : folder_.Files()) names.push_back(name);
    return names;
  }
  std::unique_ptr<parquet::arrow::FileReader> Reader(const std::string& name) {
    auto file = filesystem_->OpenInputFile(name);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    auto reader = parquet::arrow::OpenFile(*file, arrow::default_memory_pool());
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    return std::move(*reader);
  }
  std::shared_ptr<arrow::Table> Read(const std::string& name) { return *Reader(name)->ReadTable(); }
  std::vector<int64_t> Counts(const std::string& name) {
    const auto table = Read(name);
    const auto column = table->GetColumnByName("count");
    std::vector<int64_t> counts;
    for (const auto& chunk : column->chunks()) {
      const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
      for (int64_t i = 0; i < values.length(); ++i) counts.push_back(values.Value(i));
    }
    return counts;
  }

  TestFolder folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<FaultFileSystem> filesystem_ = std::make_shared<FaultFileSystem>(folder_.path());
  Schema schema_{{{"window_end", Type::kTimestamp, ""},
                  {"site", Type::kText, ""},
                  {"count", Type::kBigint, "{readings}"}}};
};

TEST_F(ParquetSinkTest, PartitionsByDateAndColumn) {
  auto sink = Opened(Partitioned({"date", "site"}));
  ASSERT_TRUE(sink->Write(MakeRows({{"2022-06-13T23:59:59.999999Z", "a/b", 1},
                                    {"2022-06-14T00:00:00Z", "a/b", 2},
                                    {"2022-06-13T10:00:00Z", "a/b", 3},
                                    {"", std::nullopt, 4},
                                    {"1969-12-31T23:00:00Z", "", 5}}),
                          nullptr)
                  .ok());
  EXPECT_THAT(Names(), ElementsAre(HasSubstr(".inprogress-"), HasSubstr(".inprogress-"),
                                   HasSubstr(".inprogress-"), HasSubstr(".inprogress-")));
  ASSERT_TRUE(sink->Flush(true).ok());
  const std::string null_name = "__HIVE_DEFAULT_PARTITION__";
  EXPECT_THAT(
      Names(),
      ElementsAre("lake/date=1969-12-31/site=" + null_name + "/smoke-g1-lake-3.parquet",
                  "lake/date=2022-06-13/site=a%2Fb/smoke-g1-lake-0.parquet",
                  "lake/date=2022-06-14/site=a%2Fb/smoke-g1-lake-1.parquet",
                  "lake/date=" + null_name + "/site=" + null_name + "/smoke-g1-lake-2.parquet"));
  EXPECT_THAT(Counts("lake/date=2022-06-13/site=a%2Fb/smoke-g1-lake-0.parquet"), ElementsAre(1, 3));
  EXPECT_THAT(Counts("lake/date=2022-06-14/site=a%2Fb/smoke-g1-lake-1.parquet"), ElementsAre(2));
  EXPECT_EQ(sink->stats().rows_written, 5);
}

TEST_F(ParquetSinkTest, FilesHoldValuesTypesAndUnits) {
  auto sink = Opened(Partitioned({}));
  const Rows rows = MakeRows({{"2022-06-13T10:00:00.000001Z", "x", 7}, {"", std::nullopt, -1}});
  ASSERT_TRUE(sink->Write(rows, nullptr).ok());
  ASSERT_TRUE(sink->Flush(true).ok());
  const auto table = Read("lake/smoke-g1-lake-0.parquet");
  EXPECT_TRUE(table->schema()->Equals(*schema_.ToArrow(), /*check_metadata=*/false));
  EXPECT_EQ(*table->schema()->field(2)->metadata()->Get("unit"), "{readings}");
  EXPECT_TRUE(table->Equals(**arrow::Table::FromRecordBatches({rows.batch})));
  const auto reader = Reader("lake/smoke-g1-lake-0.parquet");
  EXPECT_EQ(reader->parquet_reader()->metadata()->RowGroup(0)->ColumnChunk(2)->compression(),
            parquet::Compression::SNAPPY);
  EXPECT_EQ(sink->stats().bytes_written,
            int64_t(folder_.Files()["lake/smoke-g1-lake-0.parquet"].size()));
}

TEST_F(ParquetSinkTest, RowGroupsAndFilesAreBounded) {
  ParquetSinkSpec spec = Partitioned({});
  spec.roll_bytes = 100'000;
  auto sink = Opened(spec);
  std::vector<Reading> readings;
  for (int i = 0; i < 20'000; ++i) {
    // Text that compression cannot shrink much.
    readings.push_back(
        {"2022-06-13T10:00:00Z", std::to_string(uint64_t(i + 1) * 0x9E3779B97F4A7C15u), i});
  }
  ASSERT_TRUE(sink->Write(MakeRows(readings), nullptr).ok());
  ASSERT_TRUE(sink->Flush(true).ok());
  std::vector<int64_t> counts;
  const auto files = folder_.Files();
  EXPECT_GT(files.size(), 3u);
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = "lake/smoke-g1-lake-" + std::to_string(i) + ".parquet";
    ASSERT_EQ(files.count(name), 1u);
    EXPECT_LT(files.at(name).size(), 250'000u);
    for (int64_t count : Counts(name)) counts.push_back(count);
  }
  ASSERT_EQ(counts.size(), 20'000u);
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(counts[size_t(i)], i);
}

TEST_F(ParquetSinkTest, ClosesTheLeastRecentlyWrittenBeyondAHundred) {
  auto sink = Opened(Partitioned({"site"}));
  std::vector<Reading> readings;
  for (int i = 0; i < 100; ++i) readings.push_back({"2022-06-13", "s" + std::to_string(i), i});
  readings.push_back({"2022-06-13", "s0", 1000});
  readings.push_back({"2022-06-13", "new", 2000});
  ASSERT_TRUE(sink->Write(MakeRows(readings), nullptr).ok());
  std::vector<std::string> complete;
  for (const auto& name : Names()) {
    if (name.find(".inprogress") == std::string::npos) complete.push_back(name);
  }
  EXPECT_THAT(complete, ElementsAre("lake/site=s1/smoke-g1-lake-1.parquet"));
  ASSERT_TRUE(sink->Flush(true).ok());
  EXPECT_EQ(Names().size(), 101u);
  EXPECT_THAT(Counts("lake/site=s0/smoke-g1-lake-0.parquet"), ElementsAre(0, 1000));
}

TEST_F(ParquetSinkTest, RollsByAge) {
  ParquetSinkSpec spec = Partitioned({});
  spec.roll_interval = std::chrono::seconds(10);
  auto sink = Opened(spec);
  ASSERT_TRUE(sink->Write(MakeRows({{"2022-06-13", "a", 1}}), nullptr).ok());
  clock_->Advance(std::chrono::seconds(9));
  ASSERT_TRUE(sink->Flush(false).ok());
  EXPECT_THAT(Names(), ElementsAre("lake/.inprogress-smoke-g1-lake-0.parquet"));
  clock_->Advance(std::chrono::seconds(1));
  ASSERT_TRUE(sink->Flush(false).ok());
  EXPECT_THAT(Names(), ElementsAre("lake/smoke-g1-lake-0.parquet"));
}

TEST_F(ParquetSinkTest, AFullDiskLeavesNothing) {
  auto sink = Opened(Partitioned({"date"}));
  ASSERT_TRUE(
      sink->Write(MakeRows({{"2022-06-13", "a", 1}, {"2022-06-14", "a", 2}}), nullptr).ok());
  filesystem_->set_bytes_left(200);
  const Status status = sink->Flush(true);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
  EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kExternal);
  EXPECT_THAT(Names(), IsEmpty());
  filesystem_->set_bytes_left(1 << 20);
  EXPECT_FALSE(sink->Write(MakeRows({{"2022-06-13", "a", 1}}), nullptr).ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ParquetSinkTest, LeavesNothingWithoutAFlush) {
  auto sink = Opened(Partitioned({}));
  ASSERT_TRUE(sink->Write(MakeRows({{"2022-06-13", "a", 1}}), nullptr).ok());
  sink.reset();
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ParquetSinkTest, RowsWithTooLongValuesAreDeadLetters) {
  auto sink = Opened(Partitioned({"site"}));
  Rows rows = MakeRows({{"2022-06-13", "a", 1}, {"2022-06-13", std::string(251, 'x'), 2}});
  rows.origins = std::make_shared<Origins>(Origins{{"topic", 1}, {40, 41}});
  std::vector<DeadLetter> rejected;
  ASSERT_TRUE(sink->Write(rows, &rejected).ok());
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].reason, "partition_value_too_long");
  EXPECT_EQ(rejected[0].offset, 41);
  EXPECT_EQ(rejected[0].source.topic, "topic");
  EXPECT_THAT(rejected[0].value, HasSubstr("\"count\":2}"));
  ASSERT_TRUE(sink->Flush(true).ok());
  EXPECT_THAT(Counts("lake/site=a/smoke-g1-lake-0.parquet"), ElementsAre(1));
}

TEST_F(ParquetSinkTest, RefusesPartitionsThatCannotBe) {
  auto message = [&](std::vector<std::string> columns, int time_column) {
    const auto made =
        MakeParquetSink(Partitioned(std::move(columns)), schema_, time_column, Options());
    EXPECT_FALSE(made.ok());
    EXPECT_EQ(ErrorDetail::Of(made.status())->code(), "bad_partition");
    return made.status().message();
  };
  EXPECT_THAT(message({"sit"}, 0), HasSubstr("no column 'sit'; did you mean 'site'?"));
  EXPECT_THAT(message({"date"}, -1), HasSubstr("neither a window nor an event time"));
  EXPECT_THAT(message({"site", "site"}, 0), HasSubstr("twice"));
  EXPECT_THAT(message({"site", "count", "window_end"}, 0), HasSubstr("no column for the files"));
}

}  // namespace
}  // namespace millrace
