#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/connectors/files/fault_file_system.h"
#include "engine/connectors/files/roll_writer.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

std::string CodeOf(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

class LinesRollWriterTest : public testing::Test {
 protected:
  RollWriterOptions Options(std::string nonce = "n1") {
    return {filesystem_, std::move(nonce), "job-a", "out"};
  }
  FilesSinkSpec Spec(Format format, int64_t roll_bytes = 64 << 20) {
    return {.path = "lines", .format = format, .roll_bytes = roll_bytes};
  }
  std::unique_ptr<RollWriter> Opened(const FilesSinkSpec& spec) {
    auto writer = *MakeLinesRollWriter(spec, schema_, Options());
    EXPECT_TRUE(writer->Open().ok());
    return writer;
  }
  std::shared_ptr<arrow::RecordBatch> Batch(std::vector<std::optional<std::string>> names,
                                            std::vector<double> values) {
    arrow::StringBuilder name;
    arrow::DoubleBuilder value;
    for (const auto& text : names) {
      EXPECT_TRUE((text ? name.Append(*text) : name.AppendNull()).ok());
    }
    EXPECT_TRUE(value.AppendValues(values).ok());
    return arrow::RecordBatch::Make(schema_.ToArrow(), int64_t(names.size()),
                                    {*name.Finish(), *value.Finish()});
  }
  Result<RollResult> Write(RollWriter* writer, const Batches& batches) {
    return writer->Write(name_, [&](const RollWriter::Visit& visit) {
      for (const auto& batch : batches) ARROW_RETURN_NOT_OK(visit(*batch));
      return Status::OK();
    });
  }

  TestFolder folder_;
  std::shared_ptr<FaultFileSystem> filesystem_ = std::make_shared<FaultFileSystem>(folder_.path());
  Schema schema_{{{"name", Type::kText, ""}, {"value", Type::kDouble, ""}}};
  RollName name_ = {"job-a", "g1", "out", /*shard=*/2, /*epoch=*/7};
};

TEST_F(LinesRollWriterTest, WritesJsonLines) {
  auto writer = Opened(Spec(Format::kJson));
  const auto result = Write(writer.get(), {Batch({"a", std::nullopt}, {1.5, std::nan("")})});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  const std::string text = "{\"name\":\"a\",\"value\":1.5}\n{\"name\":null,\"value\":null}\n";
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/job-a-g1-out-2-7-0.jsonl", text)));
  EXPECT_EQ(result->files_written, 1);
  EXPECT_EQ(result->files_found, 0);
  EXPECT_EQ(result->rows, 2);
  EXPECT_EQ(result->bytes, int64_t(text.size()));
  EXPECT_EQ(result->non_finite_values, 1);
  EXPECT_EQ(writer->description(), "JSON lines under lines");
}

TEST_F(LinesRollWriterTest, CsvQuotesWhatMustBeQuoted) {
  auto writer = Opened(Spec(Format::kCsv));
  const auto result =
      Write(writer.get(), {Batch({"a,\"b\"\nc", "", std::nullopt, "d"},
                                 {0.1, -2, 1e300, std::numeric_limits<double>::infinity()})});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/job-a-g1-out-2-7-0.csv",
                               "name,value\n\"a,\"\"b\"\"\nc\",0.1\n\"\",-2\n,1e+300\nd,\n")));
  EXPECT_EQ(result->non_finite_values, 1);
  EXPECT_EQ(writer->description(), "CSV files under lines");
}

TEST_F(LinesRollWriterTest, FilesEndByTheirLinesHoweverTheyAreBatched) {
  const std::string line = "{\"name\":\"abc\",\"value\":1}\n";  // 25 bytes
  const std::vector<Batches> cuts = {
      {Batch({"abc", "abc", "abc"}, {1, 1, 1})},
      {Batch({"abc"}, {1}), Batch({}, {}), Batch({"abc", "abc"}, {1, 1})}};
  for (const Batches& batches : cuts) {
    auto writer = Opened(Spec(Format::kJson, /*roll_bytes=*/40));
    ++name_.epoch;
    ASSERT_TRUE(Write(writer.get(), batches).ok());
    const std::string prefix = "lines/job-a-g1-out-2-" + std::to_string(name_.epoch);
    auto files = folder_.Files();
    EXPECT_EQ(files[prefix + "-0.jsonl"], line + line);
    EXPECT_EQ(files[prefix + "-1.jsonl"], line);
  }
  EXPECT_EQ(folder_.Files().size(), 4u);
}

TEST_F(LinesRollWriterTest, EveryCsvFileHasItsHeader) {
  auto writer = Opened(Spec(Format::kCsv, /*roll_bytes=*/15));
  ASSERT_TRUE(Write(writer.get(), {Batch({"a", "b", "c"}, {1, 2, 3})}).ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/job-a-g1-out-2-7-0.csv", "name,value\na,1\n"),
                          Pair("lines/job-a-g1-out-2-7-1.csv", "name,value\nb,2\n"),
                          Pair("lines/job-a-g1-out-2-7-2.csv", "name,value\nc,3\n")));
}

TEST_F(LinesRollWriterTest, ARollWithoutRowsWritesNothing) {
  auto writer = Opened(Spec(Format::kCsv));
  const auto result = Write(writer.get(), {Batch({}, {})});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->files_written, 0);
  EXPECT_THAT(folder_.Files(), IsEmpty());
}

TEST_F(LinesRollWriterTest, WhatIsThereIsLeftAlone) {
  folder_.Put("lines/job-a-g1-out-2-7-1.jsonl", "complete");
  auto writer = Opened(Spec(Format::kJson, /*roll_bytes=*/1));
  const auto result = Write(writer.get(), {Batch({"a", "b", "c"}, {1, 2, 3})});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->files_written, 2);
  EXPECT_EQ(result->files_found, 1);
  EXPECT_EQ(result->rows, 3);
  EXPECT_THAT(
      folder_.Files(),
      ElementsAre(Pair("lines/job-a-g1-out-2-7-0.jsonl", "{\"name\":\"a\",\"value\":1}\n"),
                  Pair("lines/job-a-g1-out-2-7-1.jsonl", "complete"),
                  Pair("lines/job-a-g1-out-2-7-2.jsonl", "{\"name\":\"c\",\"value\":3}\n")));
}

TEST_F(LinesRollWriterTest, NamesAreMadeOfLettersThatFit) {
  name_ = {"a/b", "g-1", "minutes>json:out-x", 0, 1};
  auto writer = Opened(Spec(Format::kJson));
  ASSERT_TRUE(Write(writer.get(), {Batch({"a"}, {1})}).ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/a_b-g_1-minutes_json_out_x-0-1-0.jsonl", testing::_)));
}

TEST_F(LinesRollWriterTest, ParquetIsNotLines) {
  const auto made = MakeLinesRollWriter(Spec(Format::kParquet), schema_, Options());
  EXPECT_EQ(CodeOf(made.status()), "bad_format");
}

TEST_F(LinesRollWriterTest, AFolderThatCannotBeIsNamed) {
  folder_.Put("lines", "a file");
  auto writer = *MakeLinesRollWriter(Spec(Format::kJson), schema_, Options());
  const Status status = writer->Open();
  EXPECT_EQ(CodeOf(status), "unwritable_path");
  EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kUser);
  EXPECT_THAT(status.message(), HasSubstr("the folder lines: "));
}

TEST_F(LinesRollWriterTest, LeftoversAreThoseOfTheSameSinkOfOtherProcesses) {
  folder_.Put("lines/.inprogress-n0-job-a-g0-out-0-4-1.jsonl", "a dead process");
  folder_.Put("lines/.inprogress-n0-job-a-g0-out-1-4-1.csv", "before the format was changed");
  folder_.Put("lines/.inprogress-n1-job-a-g1-out-0-4-1.jsonl", "this process");
  folder_.Put("lines/.inprogress-n0-job-a-b-g0-out-0-4-1.jsonl", "another job");
  folder_.Put("lines/.inprogress-n0-job-a-g0-other-0-4-1.jsonl", "another sink");
  folder_.Put("lines/.inprogress-job-a-g0-out-4.jsonl", "of another form");
  folder_.Put("lines/job-a-g0-out-0-4-0.jsonl", "complete");
  const auto writer = Opened(Spec(Format::kJson));
  const auto leftovers = writer->Leftovers().ValueOrDie();
  EXPECT_EQ(leftovers.size(), 2u);
  folder_.Put("lines/.inprogress-n2-job-a-g0-out-0-5-1.jsonl", "begun after they were listed");
  ASSERT_TRUE(writer->RemoveLeftovers(leftovers).ok());
  ASSERT_TRUE(writer->RemoveLeftovers(leftovers).ok());  // they are gone
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/.inprogress-job-a-g0-out-4.jsonl", "of another form"),
                          Pair("lines/.inprogress-n0-job-a-b-g0-out-0-4-1.jsonl", "another job"),
                          Pair("lines/.inprogress-n0-job-a-g0-other-0-4-1.jsonl", "another sink"),
                          Pair("lines/.inprogress-n1-job-a-g1-out-0-4-1.jsonl", "this process"),
                          Pair("lines/.inprogress-n2-job-a-g0-out-0-5-1.jsonl",
                               "begun after they were listed"),
                          Pair("lines/job-a-g0-out-0-4-0.jsonl", "complete")));
}

TEST_F(LinesRollWriterTest, ErrorsOfTheRowsAreTheirOwn) {
  auto writer = Opened(Spec(Format::kJson));
  const auto result = writer->Write(name_, [&](const RollWriter::Visit& visit) -> Status {
    ARROW_RETURN_NOT_OK(visit(*Batch({"a"}, {1})));
    return ExternalError("segment_damaged", "it is damaged", Retry::kNo);
  });
  EXPECT_EQ(CodeOf(result.status()), "segment_damaged");
  EXPECT_THAT(folder_.Files(), IsEmpty());
}

TEST_F(LinesRollWriterTest, DeadLettersKeepBytes) {
  DeadLetter late = {.value = "{\"a\": \"\n\"}",
                     .key = "k",
                     .reason = "late",
                     .message = "2s late",
                     .stream = "readings",
                     .source = {"topic", 3},
                     .offset = 17};
  DeadLetter window;
  window.value = "\xff\x01";
  window.reason = "division_by_zero";
  window.message = "a / b";
  window.stream = "metrics";
  const std::string first =
      "{\"reason\":\"late\",\"message\":\"2s late\",\"stream\":\"readings\",\"topic\":\"topic\","
      "\"partition\":3,\"offset\":17,\"key\":\"k\",\"value\":\"{\\\"a\\\": \\\"\\n\\\"}\"}";
  const std::string second =
      "{\"reason\":\"division_by_zero\",\"message\":\"a / b\",\"stream\":\"metrics\","
      "\"value_base64\":\"/wE=\"}";
  EXPECT_EQ(DeadLetterLine(late), first);
  EXPECT_EQ(DeadLetterLine(window), second);

  arrow::StringBuilder lines;
  ASSERT_TRUE(lines.AppendValues({first, second}).ok());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("line", arrow::utf8())}),
                                              2, {*lines.Finish()});
  auto writer = MakeDeadLetterRollWriter(Spec(Format::kJson), Options());
  ASSERT_TRUE(writer->Open().ok());
  ASSERT_TRUE(Write(writer.get(), {batch}).ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/job-a-g1-out-2-7-0.jsonl", first + "\n" + second + "\n")));
  EXPECT_EQ(CodeOf(Write(writer.get(), {Batch({"a"}, {1})}).status()), "schema_mismatch");
}

}  // namespace
}  // namespace millrace
