#include "engine/connectors/files/files_source.h"

#include <arrow/builder.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "engine/connectors/files/fault_file_system.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FilesSourceTest : public testing::Test {
 protected:
  FilesSourceTest() {
    node_.spec.format = Format::kCsv;
    node_.spec.columns = {Column("device_id", Type::kText), Column("at", Type::kTimestamp),
                          Column("value", Type::kDouble), Column("count", Type::kInteger)};
    node_.spec.event_time = EventTimeSpec();
    node_.spec.event_time->column = "at";
    node_.used_columns = {0, 1, 2, 3};
    plan_node_.stream = "readings";
  }

  static SourceColumn Column(const std::string& name, Type type) {
    SourceColumn column;
    column.field.name = name;
    column.field.type = type;
    column.from = name;
    return column;
  }

  std::unique_ptr<Source> MakeSource(std::vector<std::string> paths, std::string null_text = "") {
    node_.spec.input = FilesSourceSpec{std::move(paths)};
    node_.spec.csv.null_text = std::move(null_text);
    return *MakeFilesSource(node_, plan_node_, filesystem_);
  }

  struct Output {
    std::vector<std::string> rows;      // "path:offset device at value count"
    std::vector<std::string> rejected;  // "offset reason: message | value"
    std::vector<std::string> ended;     // "path:offset"
    std::vector<std::shared_ptr<const OriginalRecords>> originals;
  };

  Result<Output> ReadAll(Source* source, int64_t rows_max = 1000,
                         std::map<std::string, int64_t> starts = {}) {
    ARROW_ASSIGN_OR_RAISE(const auto partitions, source->Discover(std::chrono::seconds(1)));
    ARROW_ASSIGN_OR_RAISE(auto reader, source->MakeReader());
    std::vector<StartPosition> positions;
    for (const auto& partition : partitions.partitions) {
      positions.push_back({partition, std::nullopt});
      if (starts.contains(partition.topic)) positions.back().offset = starts[partition.topic];
    }
    ARROW_RETURN_NOT_OK(reader->Start(positions));
    Output output;
    for (bool more = true; more;) {
      ARROW_ASSIGN_OR_RAISE(const Polled polled, reader->Poll(rows_max));
      more = polled.more;
      for (const auto& batch : polled.batches) Add(batch, rows_max, &output);
      for (const auto& event : polled.events) {
        EXPECT_EQ(event.kind, SourceEvent::Kind::kPartitionEnded);
        output.ended.push_back(event.partition.topic + ":" + std::to_string(event.offset));
      }
    }
    return output;
  }

  void Add(const SourceBatch& batch, int64_t rows_max, Output* output) {
    EXPECT_LE(batch.rows.size(), rows_max);
    EXPECT_TRUE(batch.rows.batch->ValidateFull().ok());
    EXPECT_EQ(batch.record_timestamps.size(), size_t(batch.rows.size()));
    EXPECT_EQ(batch.rows.origins->offsets.size(), size_t(batch.rows.size()));
    for (int64_t row = 0; row < batch.rows.size(); ++row) {
      std::string text =
          batch.partition.topic + ":" + std::to_string(batch.rows.origins->offsets[size_t(row)]);
      for (const auto& column : batch.rows.batch->columns()) {
        text += " " + column->GetScalar(row).ValueOrDie()->ToString();
      }
      output->rows.push_back(text + " | " + std::string(batch.originals->ValueOfRow(row)));
    }
    for (const auto& record : batch.rejected) {
      output->rejected.push_back(std::to_string(record.offset) + " " + record.reason + ": " +
                                 record.message + " | " + record.value);
    }
  }

  std::string CodeOf(const Status& status) {
    const ErrorDetail* detail = ErrorDetail::Of(status);
    return detail == nullptr ? "" : detail->code();
  }

  TestFolder folder_;
  std::shared_ptr<FaultFileSystem> filesystem_ = std::make_shared<FaultFileSystem>(folder_.path());
  SourceNode node_;
  PlanNode plan_node_;
};

TEST_F(FilesSourceTest, ReadsCsv) {
  folder_.Put("a.csv",
              "\xef\xbb\xbf,device_id,at,unused,value,count\r\n"
              "0,\"d,1\",2022-06-13T10:00:00Z,x,1.5,7\r\n"
              "1,\"line\none\",2022-06-13 10:00:01,\"q\"\"q\",,3.0\r\n");
  auto source = MakeSource({"a.csv"});
  EXPECT_TRUE(source->bounded());
  const auto output = ReadAll(source.get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows, ElementsAre("a.csv:0 d,1 2022-06-13 10:00:00.000000Z 1.5 7 | "
                                        "0,\"d,1\",2022-06-13T10:00:00Z,x,1.5,7",
                                        "a.csv:1 line\none 2022-06-13 10:00:01.000000Z null 3 | "
                                        "1,\"line\none\",2022-06-13 10:00:01,\"q\"\"q\",,3.0"));
  EXPECT_THAT(output->rejected, IsEmpty());
  EXPECT_THAT(output->ended, ElementsAre("a.csv:2"));
}

TEST_F(FilesSourceTest, ReadsCsvWithoutAHeaderAndAsItIsWritten) {
  node_.spec.csv.delimiter = ';';
  node_.spec.csv.quote = '\'';
  node_.spec.csv.fields = {"device_id", "skipped", "at", "value", "count"};
  folder_.Put("a.csv", "'d;1';x;2022-06-13;1.5;7\nd2;x;2022-06-14;;\nd3;x\n");
  const auto output = ReadAll(MakeSource({"a.csv"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(
      output->rows,
      ElementsAre("a.csv:0 d;1 2022-06-13 00:00:00.000000Z 1.5 7 | 'd;1';x;2022-06-13;1.5;7",
                  "a.csv:1 d2 2022-06-14 00:00:00.000000Z null null | d2;x;2022-06-14;;"));
  EXPECT_THAT(output->rejected, ElementsAre("2 malformed: expected 5 cells, found 2 | d3;x"));
}

TEST_F(FilesSourceTest, TheRestOfALineMayBeOneCell) {
  node_.spec.columns[0].field.type = Type::kJson;
  node_.spec.columns[0].from = "payload";
  node_.used_columns = {0, 1};
  node_.spec.csv.fields = {"at", "payload"};
  node_.spec.csv.rest = true;
  folder_.Put("a.csv", "2022-06-13,{\"a\":[1,\"x,y\"]}\n2022-06-14,{\"a\"\n2022-06-15,\n");
  const auto output = ReadAll(MakeSource({"a.csv"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows, ElementsAre("a.csv:0 {\"a\":[1,\"x,y\"]} 2022-06-13 00:00:00.000000Z | "
                                        "2022-06-13,{\"a\":[1,\"x,y\"]}",
                                        "a.csv:2 null 2022-06-15 00:00:00.000000Z | 2022-06-15,"));
  EXPECT_THAT(output->rejected,
              ElementsAre("1 type_mismatch: column device_id: expected json, found '{\"a\"' | "
                          "2022-06-14,{\"a\""));
}

TEST_F(FilesSourceTest, ALineOfJsonMayHoldSeveralReadings) {
  node_.spec.format = Format::kJson;
  node_.used_columns = {0, 1};
  folder_.Put("a.json",
              "[{\"device_id\":\"a\",\"at\":\"2022-06-13\"},{\"device_id\":\"b\"}]\n[]\n"
              "{\"device_id\":\"c\",\"at\":\"2022-06-14\"}\n");
  const auto source = MakeSource({"a.json"});
  const auto output = ReadAll(source.get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows, ElementsAre("a.json:0 a 2022-06-13 00:00:00.000000Z | "
                                        "{\"device_id\":\"a\",\"at\":\"2022-06-13\"}",
                                        "a.json:2 c 2022-06-14 00:00:00.000000Z | "
                                        "{\"device_id\":\"c\",\"at\":\"2022-06-14\"}"));
  EXPECT_THAT(output->rejected,
              ElementsAre("0 missing_event_time: column 'at': key 'at' is missing | "
                          "{\"device_id\":\"b\"}"));
  // From a later line on, the indexes go with their rows.
  const auto later = ReadAll(source.get(), 1000, {{"a.json", 2}});
  ASSERT_TRUE(later.ok());
  EXPECT_EQ(later->rows.size(), 1u);
}

TEST_F(FilesSourceTest, RefusesRowsThatAreWrong) {
  folder_.Put("a.csv",
              "device_id,at,value,count\n"
              "d,2022-06-13,1,1\n"
              "d,2022-06-13,warm,1\n"
              "d,2022-06-13,1\n"
              "d,NA,1,1\n"
              "d,yesterday,x,1\n"
              "d,2022-06-13,1,3000000000\n"
              "d,2022-06-13,1,1,1\n"
              "NA,2022-06-14,2,2\n"
              "d\n");
  const auto output = ReadAll(MakeSource({"a.csv"}, "NA").get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows,
              ElementsAre("a.csv:0 d 2022-06-13 00:00:00.000000Z 1 1 | d,2022-06-13,1,1",
                          "a.csv:7 null 2022-06-14 00:00:00.000000Z 2 2 | NA,2022-06-14,2,2"));
  EXPECT_THAT(
      output->rejected,
      ElementsAre("1 type_mismatch: column value: expected double precision, found 'warm' | "
                  "d,2022-06-13,warm,1",
                  "2 malformed: expected 4 cells, found 3 | d,2022-06-13,1",
                  "3 missing_event_time: column at is null | d,NA,1,1",
                  "4 missing_event_time: column at: expected timestamp, found 'yesterday' | "
                  "d,yesterday,x,1",
                  "5 type_mismatch: column count: expected integer, found '3000000000' | "
                  "d,2022-06-13,1,3000000000",
                  "6 malformed: expected 4 cells, found 5 | d,2022-06-13,1,1,1",
                  "8 malformed: expected 4 cells, found 1 | d"));
  EXPECT_THAT(output->ended, ElementsAre("a.csv:9"));
}

TEST_F(FilesSourceTest, ReadsEpochs) {
  node_.spec.columns[1].timestamp_unit = TimestampUnit::kSeconds;
  folder_.Put("a.csv",
              "device_id,at,value,count\n"
              "d,1655129685,1,1\nd,1655129685.1234569,1,1\nd,-0.0000001,1,1\nd,1e99,1,1\n");
  auto output = ReadAll(MakeSource({"a.csv"}).get());
  ASSERT_TRUE(output.ok());
  ASSERT_EQ(output->rows.size(), 3u);
  EXPECT_THAT(output->rows[0], HasSubstr("2022-06-13 14:14:45.000000Z"));
  EXPECT_THAT(output->rows[1], HasSubstr("2022-06-13 14:14:45.123456Z"));
  EXPECT_THAT(output->rows[2], HasSubstr("1969-12-31 23:59:59.999999Z"));
  EXPECT_EQ(output->rejected.size(), 1u);
  node_.spec.columns[1].timestamp_unit = TimestampUnit::kNanos;
  folder_.Put("a.csv", "device_id,at,value,count\nd,1655129685123456789,1,1\n");
  output = ReadAll(MakeSource({"a.csv"}).get());
  ASSERT_TRUE(output.ok());
  EXPECT_THAT(output->rows[0], HasSubstr("2022-06-13 14:14:45.123456Z"));
}

// Two rows a chunk: the file that is least far goes on.
TEST_F(FilesSourceTest, ReplaysByEventTime) {
  auto file = [](const std::string& device, const std::vector<int>& minutes) {
    std::string text = "device_id,at,value,count\n";
    for (const int minute : minutes) {
      text += device + ",2022-06-13T10:" + (minute < 10 ? "0" : "") + std::to_string(minute) +
              ":00Z,1,1\n";
    }
    return text;
  };
  folder_.Put("in/b.csv", file("b", {2, 4, 6, 8}));
  folder_.Put("in/a.csv", file("a", {20, 21, 22, 23}));
  folder_.Put("in/c.csv", file("c", {1, 30}));
  folder_.Put("in/.hidden.csv", "x");
  folder_.Put("in/readme.txt", "x");
  const auto output = ReadAll(MakeSource({"in"}).get(), 2);
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  std::string order;
  for (const auto& row : output->rows) order += row[3];
  EXPECT_EQ(order, "aabbccbbaa");
  EXPECT_THAT(output->ended, ElementsAre("in/b.csv:4", "in/a.csv:4", "in/c.csv:2"));
}

TEST_F(FilesSourceTest, GoesOnFromAnOffset) {
  std::string text = "device_id,at,value,count\n";
  for (int i = 0; i < 20; ++i) text += "d,2022-06-13,1," + std::to_string(i) + "\n";
  folder_.Put("a.csv", text + "d,2022-06-13,x,20\n");
  const auto output = ReadAll(MakeSource({"a.csv"}).get(), 8, {{"a.csv", 18}});
  ASSERT_TRUE(output.ok());
  EXPECT_THAT(output->rows,
              ElementsAre("a.csv:18 d 2022-06-13 00:00:00.000000Z 1 18 | d,2022-06-13,1,18",
                          "a.csv:19 d 2022-06-13 00:00:00.000000Z 1 19 | d,2022-06-13,1,19"));
  EXPECT_EQ(output->rejected.size(), 1u);
}

TEST_F(FilesSourceTest, ManyBlocksKeepTheirRowNumbers) {
  std::string text = "device_id,at,value,count\n";
  const std::string filler(200, 'f');
  int64_t good = 0;
  for (int i = 0; i < 20'000; ++i) {  // 5 MB
    const bool bad = i % 1000 == 999;
    good += bad ? 0 : 1;
    text += filler + ",2022-06-13T10:00:00Z,1" + (bad ? "" : "," + std::to_string(i)) + "\n";
  }
  folder_.Put("a.csv", text);
  const auto output = ReadAll(MakeSource({"a.csv"}).get(), 777);
  ASSERT_TRUE(output.ok());
  ASSERT_EQ(int64_t(output->rows.size()), good);
  ASSERT_EQ(output->rejected.size(), 20u);
  for (const auto& row : output->rows) {
    const std::string number = row.substr(6, row.find(' ') - 6);
    ASSERT_THAT(row, HasSubstr(" 1 " + number + " | "));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(
        output->rejected[size_t(i)].starts_with(std::to_string(i * 1000 + 999) + " malformed"));
  }
  EXPECT_THAT(output->ended, ElementsAre("a.csv:20000"));
}

TEST_F(FilesSourceTest, FindsFiles) {
  for (const char* name : {"x/1/b.csv", "x/2/a.csv", "x/2/c.txt", "x/1/a.csv"})
    folder_.Put(name, "");
  auto names = [&](std::vector<std::string> paths) {
    std::vector<std::string> found;
    auto partitions = MakeSource(std::move(paths))->Discover(std::chrono::seconds(1));
    EXPECT_TRUE(partitions.ok()) << partitions.status().ToString();
    for (const auto& partition : partitions->partitions) found.push_back(partition.topic);
    return found;
  };
  EXPECT_THAT(names({"x/*/*.csv"}), ElementsAre("x/1/a.csv", "x/1/b.csv", "x/2/a.csv"));
  EXPECT_THAT(names({"x/2/c.txt", "x/[13]/?.csv", "x/1/a.csv"}),
              ElementsAre("x/2/c.txt", "x/1/a.csv", "x/1/b.csv"));
  auto error = [&](std::vector<std::string> paths) {
    return MakeSource(std::move(paths))->Discover(std::chrono::seconds(1)).status();
  };
  EXPECT_EQ(CodeOf(error({"x/none.csv"})), "path_missing");
  EXPECT_THAT(error({"x/none.csv"}).message(),
              HasSubstr("stream readings: there is no file or folder x/none.csv"));
  EXPECT_THAT(error({"x/*.csv"}).message(), HasSubstr("no file matches x/*.csv"));
  EXPECT_THAT(error({"x"}).message(), HasSubstr("no file in the folder x ends in .csv"));
  folder_.Put("x/z.csv.gz", "");
  EXPECT_EQ(CodeOf(error({"x/z.csv.gz"})), "compressed_file");
  for (int i = 0; i < 257; ++i) folder_.Put("many/" + std::to_string(i) + ".csv", "");
  EXPECT_EQ(CodeOf(error({"many"})), "too_many_files");
}

TEST_F(FilesSourceTest, TellsWhatIsWrongWithAHeader) {
  folder_.Put("a.csv", "device,at,valu,count\nd,2022-06-13,1,1\n");
  folder_.Put("empty.csv", "");
  node_.used_columns = {1, 2, 3};
  auto status = ReadAll(MakeSource({"a.csv"}).get()).status();
  EXPECT_EQ(CodeOf(status), "bad_file");
  EXPECT_THAT(
      status.message(),
      HasSubstr("a.csv: the header has no column 'value' (for value); did you mean 'valu'?"));
  status = ReadAll(MakeSource({"empty.csv"}).get()).status();
  EXPECT_EQ(CodeOf(status), "bad_file");
  EXPECT_THAT(status.message(), HasSubstr("empty.csv"));
  folder_.Put("header.csv", "at,value,count\n");
  const auto output = ReadAll(MakeSource({"header.csv"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows, IsEmpty());
  EXPECT_THAT(output->ended, ElementsAre("header.csv:0"));
}

TEST_F(FilesSourceTest, ReadsJsonLines) {
  node_.spec.format = Format::kJson;
  const std::string one = R"({"device_id":"a","at":"2022-06-13T10:00:00Z","value":1.5,"count":1})";
  const std::string two = R"({"at":"2022-06-13T10:00:01Z","count":2})";
  folder_.Put("a.jsonl", "\xef\xbb\xbf" + one + "\r\n\nnot json\n{\"value\":1}\n" + two);
  const auto output = ReadAll(MakeSource({"a.jsonl"}).get(), 2);
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows,
              ElementsAre("a.jsonl:0 a 2022-06-13 10:00:00.000000Z 1.5 1 | " + one,
                          "a.jsonl:4 null 2022-06-13 10:00:01.000000Z null 2 | " + two));
  ASSERT_EQ(output->rejected.size(), 2u);
  EXPECT_TRUE(output->rejected[0].starts_with("2 malformed: ")) << output->rejected[0];
  EXPECT_TRUE(output->rejected[0].ends_with(" | not json")) << output->rejected[0];
  EXPECT_TRUE(output->rejected[1].starts_with("3 missing_event_time: ")) << output->rejected[1];
  EXPECT_THAT(output->ended, ElementsAre("a.jsonl:5"));
}

TEST_F(FilesSourceTest, ALineThatIsTooLongIsRefused) {
  node_.spec.format = Format::kJson;
  const std::string row = R"({"at":"2022-06-13T10:00:01Z","count":2})";
  folder_.Put("a.json", row + "\n{\"x\":\"" + std::string(20 << 20, 'x') + "\"}\n" + row + "\n");
  const auto output = ReadAll(MakeSource({"a.json"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_EQ(output->rows.size(), 2u);
  ASSERT_EQ(output->rejected.size(), 1u);
  EXPECT_TRUE(output->rejected[0].starts_with("1 too_large: "));
  EXPECT_THAT(output->ended, ElementsAre("a.json:3"));
}

class ParquetSourceTest : public FilesSourceTest {
 protected:
  ParquetSourceTest() { node_.spec.format = Format::kParquet; }

  void PutParquet(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                  const std::vector<std::shared_ptr<arrow::Array>>& columns) {
    auto stream = *filesystem_->OpenOutputStream(name);
    ASSERT_TRUE(parquet::arrow::WriteTable(*arrow::Table::Make(schema, columns),
                                           arrow::default_memory_pool(), stream, 2)
                    .ok());
    ASSERT_TRUE(stream->Close().ok());
  }

  template <typename Builder, typename Value>
  static std::shared_ptr<arrow::Array> Array(const std::shared_ptr<arrow::DataType>& type,
                                             std::vector<std::optional<Value>> values) {
    Builder builder(type, arrow::default_memory_pool());
    for (const auto& value : values) {
      EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
    }
    return *builder.Finish();
  }
};

TEST_F(ParquetSourceTest, CastsWhatIsLossless) {
  const auto millis = arrow::timestamp(arrow::TimeUnit::MILLI);
  PutParquet(
      "a.parquet",
      arrow::schema({arrow::field("count", arrow::int64()), arrow::field("at", millis),
                     arrow::field("unused", arrow::utf8()), arrow::field("value", arrow::float32()),
                     arrow::field("device_id", arrow::large_utf8())}),
      {Array<arrow::Int64Builder, int64_t>(arrow::int64(), {1, std::nullopt, 3}),
       Array<arrow::TimestampBuilder, int64_t>(millis,
                                               {1655129685123, std::nullopt, 1655129686000}),
       Array<arrow::StringBuilder, std::string>(arrow::utf8(), {"u", "u", "u"}),
       Array<arrow::FloatBuilder, float>(arrow::float32(), {1.5f, 2.5f, std::nullopt}),
       Array<arrow::LargeStringBuilder, std::string>(arrow::large_utf8(), {"a", "b", "c"})});
  const auto output = ReadAll(MakeSource({"a.parquet"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(
      output->rows,
      ElementsAre("a.parquet:0 a 2022-06-13 14:14:45.123000Z 1.5 1 | "
                  "{\"device_id\":\"a\",\"at\":\"2022-06-13T14:14:45.123000Z\",\"value\":1.5,"
                  "\"count\":1}",
                  "a.parquet:2 c 2022-06-13 14:14:46.000000Z null 3 | "
                  "{\"device_id\":\"c\",\"at\":\"2022-06-13T14:14:46.000000Z\",\"value\":null,"
                  "\"count\":3}"));
  EXPECT_THAT(output->rejected,
              ElementsAre("1 missing_event_time: column at is null | {\"device_id\":\"b\","
                          "\"at\":null,\"value\":2.5,\"count\":null}"));
  EXPECT_THAT(output->ended, ElementsAre("a.parquet:3"));
}

TEST_F(ParquetSourceTest, TextThatIsNoneIsRefusedByItsRow) {
  node_.used_columns = {0, 1, 3};
  node_.spec.columns[3].field.type = Type::kJson;
  const auto millis = arrow::timestamp(arrow::TimeUnit::MILLI);
  PutParquet(
      "a.parquet",
      arrow::schema({arrow::field("device_id", arrow::utf8()), arrow::field("at", millis),
                     arrow::field("count", arrow::utf8())}),
      {Array<arrow::StringBuilder, std::string>(arrow::utf8(), {"a", "b\xff", "c", "d\xc3"}),
       Array<arrow::TimestampBuilder, int64_t>(millis, {0, 1, 2, std::nullopt}),
       Array<arrow::StringBuilder, std::string>(arrow::utf8(), {"[1]", "{}", "[1", std::nullopt})});
  const auto output = ReadAll(MakeSource({"a.parquet"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows,
              ElementsAre("a.parquet:0 a 1970-01-01 00:00:00.000000Z [1] | "
                          "{\"device_id\":\"a\",\"at\":\"1970-01-01T00:00:00.000000Z\","
                          "\"count\":[1]}"));
  ASSERT_EQ(output->rejected.size(), 3u);
  EXPECT_THAT(output->rejected[0], HasSubstr("1 type_mismatch: column device_id: not valid UTF-8"));
  EXPECT_THAT(output->rejected[1],
              HasSubstr("2 type_mismatch: column count: expected json, found '[1'"));
  EXPECT_THAT(output->rejected[2], HasSubstr("3 missing_event_time: column at is null"));
}

TEST_F(ParquetSourceTest, NumbersAndDatesBeyondTheirTypeAreRefusedByTheirRow) {
  node_.used_columns = {2, 3};
  node_.spec.columns[2].field.type = Type::kReal;
  node_.spec.columns[3].field.type = Type::kDate;
  node_.spec.event_time.reset();
  PutParquet("a.parquet",
             arrow::schema(
                 {arrow::field("value", arrow::float64()), arrow::field("count", arrow::date32())}),
             {Array<arrow::DoubleBuilder, double>(arrow::float64(),
                                                  {0.1, 1e39, -INFINITY, std::nullopt, 2}),
              Array<arrow::Date32Builder, int32_t>(arrow::date32(),
                                                   {1, 2, std::nullopt, INT32_MIN, 106751991})});
  const auto output = ReadAll(MakeSource({"a.parquet"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  ASSERT_EQ(output->rows.size(), 3u);
  EXPECT_THAT(output->rows[0], HasSubstr("{\"value\":0.1,\"count\":\"1970-01-02\"}"));
  EXPECT_THAT(output->rows[2], HasSubstr("\"count\":\"294247-01-10\"}"));
  ASSERT_EQ(output->rejected.size(), 2u);
  EXPECT_TRUE(output->rejected[0].starts_with(
      "1 type_mismatch: column value: 1e+39 is out of range for real"))
      << output->rejected[0];
  EXPECT_TRUE(output->rejected[1].starts_with(
      "3 type_mismatch: column count: date 5877642-06-23 BC is out of range"))
      << output->rejected[1];
}

// As pandas writes its categories.
TEST_F(ParquetSourceTest, DictionariesAreTheirValues) {
  node_.used_columns = {0, 2};
  node_.spec.event_time.reset();
  const auto names = Array<arrow::StringBuilder, std::string>(arrow::utf8(), {"a", "b"});
  const auto indexes = Array<arrow::Int8Builder, int8_t>(arrow::int8(), {1, std::nullopt, 0});
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto column = arrow::DictionaryArray::FromArrays(type, indexes, names).ValueOrDie();
  const auto schema =
      arrow::schema({arrow::field("device_id", type), arrow::field("value", arrow::float64())});
  const auto values = Array<arrow::DoubleBuilder, double>(arrow::float64(), {1, 2, 3});
  auto stream = *filesystem_->OpenOutputStream("a.parquet");
  const auto with_schema = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  ASSERT_TRUE(parquet::arrow::WriteTable(*arrow::Table::Make(schema, {column, values}),
                                         arrow::default_memory_pool(), stream, 2,
                                         parquet::default_writer_properties(), with_schema)
                  .ok());
  ASSERT_TRUE(stream->Close().ok());
  const auto output = ReadAll(MakeSource({"a.parquet"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  ASSERT_EQ(output->rows.size(), 3u);
  EXPECT_THAT(output->rows[0], HasSubstr("a.parquet:0 b 1"));
  EXPECT_THAT(output->rows[1], HasSubstr("a.parquet:1 null 2"));
  EXPECT_THAT(output->rows[2], HasSubstr("a.parquet:2 a 3"));
}

TEST_F(ParquetSourceTest, RefusesFilesThatDoNotFit) {
  node_.used_columns = {1, 3};
  node_.spec.columns[1].timestamp_unit = TimestampUnit::kSeconds;
  const auto schema =
      arrow::schema({arrow::field("at", arrow::int64()), arrow::field("count", arrow::int64())});
  auto put = [&](int64_t count) {
    PutParquet("a.parquet", schema,
               {Array<arrow::Int64Builder, int64_t>(arrow::int64(), {1655129685}),
                Array<arrow::Int64Builder, int64_t>(arrow::int64(), {count})});
  };
  put(7);
  auto output = ReadAll(MakeSource({"a.parquet"}).get());
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(output->rows[0], HasSubstr("a.parquet:0 2022-06-13 14:14:45.000000Z 7 | "));
  put(int64_t(1) << 40);
  auto status = ReadAll(MakeSource({"a.parquet"}).get()).status();
  EXPECT_EQ(CodeOf(status), "bad_file");
  EXPECT_THAT(status.message(),
              HasSubstr("a.parquet: column 'count', rows from 0: not all values are integer"));
  node_.spec.columns[3].field.type = Type::kText;
  status = ReadAll(MakeSource({"a.parquet"}).get()).status();
  EXPECT_THAT(status.message(), HasSubstr("column 'count' is int64, which is no text"));
  node_.spec.columns[3].from = "cuont";
  status = ReadAll(MakeSource({"a.parquet"}).get()).status();
  EXPECT_THAT(status.message(),
              HasSubstr("no plain column 'cuont' (for count); did you mean 'count'?"));
  folder_.Put("b.parquet", "no parquet");
  status = ReadAll(MakeSource({"b.parquet"}).get()).status();
  EXPECT_EQ(CodeOf(status), "bad_file");
  EXPECT_THAT(status.message(), HasSubstr("b.parquet"));
}

}  // namespace
}  // namespace millrace
