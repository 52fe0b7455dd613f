#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/metadata.h>

#include "engine/connectors/files/fault_file_system.h"
#include "engine/connectors/files/roll_writer.h"
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

class ParquetRollWriterTest : public testing::Test {
 protected:
  RollWriterOptions Options() { return {filesystem_, "n1", "smoke", "lake"}; }
  static ParquetSinkSpec Partitioned(std::vector<std::string> columns) {
    return {.path = "lake", .partition_by = std::move(columns)};
  }
  std::unique_ptr<RollWriter> Opened(const ParquetSinkSpec& spec) {
    auto writer = MakeParquetRollWriter(spec, schema_, 0, Options());
    EXPECT_TRUE(writer.ok()) << writer.status().ToString();
    EXPECT_TRUE((*writer)->Open().ok());
    return std::move(*writer);
  }
  Result<RollResult> Write(RollWriter* writer, const std::vector<Rows>& parts) {
    return writer->Write({"smoke", "g1", "lake", /*shard=*/0, /*epoch=*/9},
                         [&](const RollWriter::Visit& visit) {
                           for (const Rows& rows : parts) {
                             ARROW_RETURN_NOT_OK(visit(*rows.batch));
                           }
                           return Status::OK();
                         });
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
  std::shared_ptr<FaultFileSystem> filesystem_ = std::make_shared<FaultFileSystem>(folder_.path());
  Schema schema_{{{"window_end", Type::kTimestamp, ""},
                  {"site", Type::kText, ""},
                  {"count", Type::kBigint, "{readings}"}}};
};

TEST_F(ParquetRollWriterTest, PartitionsByDateAndColumn) {
  auto writer = Opened(Partitioned({"date", "site"}));
  const auto result = Write(writer.get(), {MakeRows({{"2022-06-13T23:59:59.999999Z", "a/b", 1},
                                                     {"2022-06-14T00:00:00Z", "a/b", 2},
                                                     {"2022-06-13T10:00:00Z", "a/b", 3},
                                                     {"", std::nullopt, 4},
                                                     {"1969-12-31T23:00:00Z", "", 5}})});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  const std::string null_name = "__HIVE_DEFAULT_PARTITION__";
  EXPECT_THAT(Names(),
              ElementsAre("lake/date=1969-12-31/site=" + null_name + "/smoke-g1-lake-0-9-3.parquet",
                          "lake/date=2022-06-13/site=a%2Fb/smoke-g1-lake-0-9-0.parquet",
                          "lake/date=2022-06-14/site=a%2Fb/smoke-g1-lake-0-9-1.parquet",
                          "lake/date=" + null_name + "/site=" + null_name +
                              "/smoke-g1-lake-0-9-2.parquet"));
  EXPECT_THAT(Counts("lake/date=2022-06-13/site=a%2Fb/smoke-g1-lake-0-9-0.parquet"),
              ElementsAre(1, 3));
  EXPECT_THAT(Counts("lake/date=2022-06-14/site=a%2Fb/smoke-g1-lake-0-9-1.parquet"),
              ElementsAre(2));
  EXPECT_EQ(result->rows, 5);
  EXPECT_EQ(result->files_written, 4);
  EXPECT_EQ(writer->description(), "parquet files under lake");
}

TEST_F(ParquetRollWriterTest, FilesHoldValuesTypesAndUnits) {
  auto writer = Opened(Partitioned({}));
  const Rows rows = MakeRows({{"2022-06-13T10:00:00.000001Z", "x", 7}, {"", std::nullopt, -1}});
  const auto result = Write(writer.get(), {rows});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  const std::string name = "lake/smoke-g1-lake-0-9-0.parquet";
  const auto table = Read(name);
  EXPECT_TRUE(table->schema()->Equals(*schema_.ToArrow(), /*check_metadata=*/false));
  EXPECT_EQ(*table->schema()->field(2)->metadata()->Get("unit"), "{readings}");
  EXPECT_TRUE(table->Equals(**arrow::Table::FromRecordBatches({rows.batch})));
  const auto reader = Reader(name);
  EXPECT_EQ(reader->parquet_reader()->metadata()->RowGroup(0)->ColumnChunk(2)->compression(),
            parquet::Compression::SNAPPY);
  EXPECT_EQ(result->bytes, int64_t(folder_.Files()[name].size()));
}

TEST_F(ParquetRollWriterTest, FilesEndByTheirRowsHoweverTheyAreBatched) {
  ParquetSinkSpec spec = Partitioned({});
  spec.roll_bytes = 100'000;
  auto writer = Opened(spec);
  std::vector<Reading> readings;
  for (int i = 0; i < 20'000; ++i) {
    readings.push_back(
        {"2022-06-13T10:00:00Z", std::to_string(uint64_t(i + 1) * 0x9E3779B97F4A7C15u), i});
  }
  const Rows rows = MakeRows(readings);
  ASSERT_TRUE(Write(writer.get(), {rows}).ok());
  const auto files = folder_.Files();
  EXPECT_GT(files.size(), 3u);
  std::vector<int64_t> counts;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = "lake/smoke-g1-lake-0-9-" + std::to_string(i) + ".parquet";
    ASSERT_EQ(files.count(name), 1u);
    EXPECT_LT(files.at(name).size(), 250'000u);
    for (const int64_t count : Counts(name)) counts.push_back(count);
  }
  ASSERT_EQ(counts.size(), 20'000u);
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(counts[size_t(i)], i);

  std::filesystem::remove_all(folder_.path() + "/lake");
  ASSERT_TRUE(writer->Open().ok());
  std::vector<Rows> parts;
  for (int64_t at = 0; at < 20'000; at += 777) parts.push_back({rows.batch->Slice(at, 777), {}});
  ASSERT_TRUE(Write(writer.get(), parts).ok());
  EXPECT_TRUE(folder_.Files() == files);
}

TEST_F(ParquetRollWriterTest, RowGroupsAreBounded) {
  auto writer = Opened(Partitioned({}));
  ASSERT_TRUE(
      Write(writer.get(), {MakeRows(std::vector<Reading>(100'000, {"2022-06-13", "a", 1}))}).ok());
  const auto metadata = Reader("lake/smoke-g1-lake-0-9-0.parquet")->parquet_reader()->metadata();
  ASSERT_EQ(metadata->num_row_groups(), 2);
  EXPECT_EQ(metadata->RowGroup(0)->num_rows(), 65'536);
  EXPECT_EQ(metadata->RowGroup(1)->num_rows(), 34'464);
}

TEST_F(ParquetRollWriterTest, ClosesTheLeastRecentlyWrittenBeyondAHundred) {
  auto writer = Opened(Partitioned({"site"}));
  std::vector<Reading> readings;
  for (int i = 0; i < 100; ++i) readings.push_back({"2022-06-13", "s" + std::to_string(i), i});
  readings.push_back({"2022-06-13", "s0", 1000});
  readings.push_back({"2022-06-13", "new", 2000});  // s1 makes way for it
  readings.push_back({"2022-06-13", "s0", 3000});
  readings.push_back({"2022-06-13", "s1", 4000});  // and s2 for s1
  ASSERT_TRUE(Write(writer.get(), {MakeRows(readings)}).ok());
  EXPECT_EQ(Names().size(), 102u);
  EXPECT_THAT(Counts("lake/site=s0/smoke-g1-lake-0-9-0.parquet"), ElementsAre(0, 1000, 3000));
  EXPECT_THAT(Counts("lake/site=s1/smoke-g1-lake-0-9-1.parquet"), ElementsAre(1));
  EXPECT_THAT(Counts("lake/site=new/smoke-g1-lake-0-9-100.parquet"), ElementsAre(2000));
  EXPECT_THAT(Counts("lake/site=s1/smoke-g1-lake-0-9-101.parquet"), ElementsAre(4000));
}

TEST_F(ParquetRollWriterTest, WhatIsThereIsLeftAlone) {
  folder_.Put("lake/site=b/smoke-g1-lake-0-9-1.parquet", "complete");
  auto writer = Opened(Partitioned({"site"}));
  const auto result =
      Write(writer.get(),
            {MakeRows({{"2022-06-13", "a", 1}, {"2022-06-13", "b", 2}, {"2022-06-13", "c", 3}})});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->files_written, 2);
  EXPECT_EQ(result->files_found, 1);
  EXPECT_EQ(result->rows, 3);
  EXPECT_EQ(folder_.Files()["lake/site=b/smoke-g1-lake-0-9-1.parquet"], "complete");
  EXPECT_THAT(Counts("lake/site=c/smoke-g1-lake-0-9-2.parquet"), ElementsAre(3));
}

TEST_F(ParquetRollWriterTest, ARollWithoutRowsWritesNothing) {
  auto writer = Opened(Partitioned({}));
  ASSERT_TRUE(Write(writer.get(), {}).ok());
  ASSERT_TRUE(Write(writer.get(), {MakeRows({})}).ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ParquetRollWriterTest, RowsWithTooLongValuesAreRefusedBefore) {
  auto writer = Opened(Partitioned({"site"}));
  Rows rows = MakeRows({{"2022-06-13", "a", 1}, {"2022-06-13", std::string(251, 'x'), 2}});
  rows.origins = std::make_shared<Origins>(Origins{{"topic", 1}, {40, 41}});
  std::vector<uint32_t> refused;
  std::vector<DeadLetter> letters;
  ASSERT_TRUE(writer->Check(rows, &refused, &letters).ok());
  EXPECT_THAT(refused, ElementsAre(1));
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].reason, "partition_value_too_long");
  EXPECT_EQ(letters[0].offset, 41);
  EXPECT_EQ(letters[0].source.topic, "topic");
  EXPECT_THAT(letters[0].value, HasSubstr("\"count\":2}"));
  const Status status = Write(writer.get(), {rows}).status();
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "partition_value_too_long");
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ParquetRollWriterTest, RefusesPartitionsThatCannotBe) {
  auto message = [&](std::vector<std::string> columns, int time_column) {
    const auto made =
        MakeParquetRollWriter(Partitioned(std::move(columns)), schema_, time_column, Options());
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
