#include "engine/connectors/files/lines_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/connectors/files/fault_file_system.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class LinesSinkTest : public testing::Test {
 protected:
  FileSinkOptions Options(std::string generation = "g1") {
    return {"job-a", std::move(generation), "out", clock_, filesystem_};
  }
  FilesSinkSpec Spec(Format format, int64_t roll_bytes = 64 << 20) {
    return {.path = "lines", .format = format, .roll_bytes = roll_bytes};
  }
  Rows MakeRows(std::vector<std::optional<std::string>> names, std::vector<double> values) {
    arrow::StringBuilder name;
    arrow::DoubleBuilder value;
    for (const auto& text : names)
      EXPECT_TRUE((text ? name.Append(*text) : name.AppendNull()).ok());
    EXPECT_TRUE(value.AppendValues(values).ok());
    return {arrow::RecordBatch::Make(schema_.ToArrow(), int64_t(names.size()),
                                     {*name.Finish(), *value.Finish()}),
            nullptr};
  }
  DeadLetter Letter(std::string value) {
    return {.value = std::move(value),
            .key = "k",
            .reason = "late",
            .message = "2s late",
            .stream = "readings",
            .source = {"topic", 3},
            .offset = 17};
  }

  TestFolder folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<FaultFileSystem> filesystem_ = std::make_shared<FaultFileSystem>(folder_.path());
  Schema schema_{{{"name", Type::kText, ""}, {"value", Type::kDouble, ""}}};
};

TEST_F(LinesSinkTest, WritesJsonLinesAsideAndRenames) {
  auto sink = *MakeLinesSink(Spec(Format::kJson), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"a", std::nullopt}, {1.5, std::nan("")}), nullptr).ok());
  ASSERT_TRUE(sink->Flush(/*close_files=*/false).ok());
  const std::string text = "{\"name\":\"a\",\"value\":1.5}\n{\"name\":null,\"value\":null}\n";
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/.inprogress-job-a-g1-out-0.jsonl", text)));
  ASSERT_TRUE(sink->Flush(/*close_files=*/true).ok());
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/job-a-g1-out-0.jsonl", text)));
  EXPECT_EQ(sink->stats().rows_written, 2);
  EXPECT_EQ(sink->stats().bytes_written, int64_t(text.size()));
  EXPECT_EQ(sink->stats().non_finite_values, 1);
  EXPECT_EQ(sink->description(), "JSON lines under lines");
}

TEST_F(LinesSinkTest, CsvQuotesWhatMustBeQuoted) {
  auto sink = *MakeLinesSink(Spec(Format::kCsv), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"a,\"b\"\nc", "", std::nullopt, "d"},
                                   {0.1, -2, 1e300, std::numeric_limits<double>::infinity()}),
                          nullptr)
                  .ok());
  ASSERT_TRUE(sink->Flush(true).ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/job-a-g1-out-0.csv",
                               "name,value\n\"a,\"\"b\"\"\nc\",0.1\n\"\",-2\n,1e+300\nd,\n")));
  EXPECT_EQ(sink->stats().non_finite_values, 1);
}

TEST_F(LinesSinkTest, RollsBySizeAndByAge) {
  auto sink = *MakeLinesSink(Spec(Format::kJson, /*roll_bytes=*/40), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(sink->Write(MakeRows({"abc"}, {1}), nullptr).ok());
  const std::string line = "{\"name\":\"abc\",\"value\":1}\n";  // 25 bytes
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/.inprogress-job-a-g1-out-1.jsonl", line),
                                           Pair("lines/job-a-g1-out-0.jsonl", line + line)));
  clock_->Advance(std::chrono::seconds(59));
  ASSERT_TRUE(sink->Flush(false).ok());
  EXPECT_EQ(folder_.Files().count("lines/job-a-g1-out-1.jsonl"), 0u);
  clock_->Advance(std::chrono::seconds(1));
  ASSERT_TRUE(sink->Flush(false).ok());
  EXPECT_EQ(folder_.Files().count("lines/job-a-g1-out-1.jsonl"), 1u);
}

TEST_F(LinesSinkTest, ParquetIsNotLines) {
  const auto made = MakeLinesSink(Spec(Format::kParquet), schema_, Options());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(ErrorDetail::Of(made.status())->code(), "bad_format");
}

TEST_F(LinesSinkTest, AFullDiskLeavesNothingAndStaysAFailure) {
  auto sink = *MakeLinesSink(Spec(Format::kJson), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"abc"}, {1}), nullptr).ok());
  filesystem_->set_bytes_left(10);
  ASSERT_TRUE(sink->Write(MakeRows({"abc"}, {2}), nullptr).ok());  // held in memory
  Status status = sink->Flush(false);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
  EXPECT_THAT(status.message(), HasSubstr("lines"));
  EXPECT_THAT(folder_.Files(), IsEmpty());
  filesystem_->set_bytes_left(1 << 20);
  status = sink->Flush(true);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
}

TEST_F(LinesSinkTest, AFolderThatCannotBeIsNamed) {
  folder_.Put("lines", "a file");
  auto sink = *MakeLinesSink(Spec(Format::kJson), schema_, Options());
  const Status status = sink->Open();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "unwritable_path");
  EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kUser);
  EXPECT_THAT(status.message(), HasSubstr("the folder lines: "));
}

TEST_F(LinesSinkTest, OpenRemovesOnlyLeftoversOfTheSameSinkOfAnEarlierStart) {
  folder_.Put("lines/.inprogress-job-a-g0-out-4.jsonl", "x");
  folder_.Put("lines/.inprogress-job-a-g1-out-7.jsonl", "same start");
  folder_.Put("lines/.inprogress-job-a-b-g0-out-4.jsonl", "another job");
  folder_.Put("lines/.inprogress-job-a-g0-other-4.jsonl", "another sink");
  folder_.Put("lines/job-a-g0-out-3.jsonl", "complete");
  auto sink = *MakeLinesSink(Spec(Format::kJson), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/.inprogress-job-a-b-g0-out-4.jsonl", "another job"),
                          Pair("lines/.inprogress-job-a-g0-other-4.jsonl", "another sink"),
                          Pair("lines/.inprogress-job-a-g1-out-7.jsonl", "same start"),
                          Pair("lines/job-a-g0-out-3.jsonl", "complete")));
}

TEST_F(LinesSinkTest, ACompleteFileIsNeverOverwritten) {
  folder_.Put("lines/job-a-g1-out-0.jsonl", "complete");
  auto sink = *MakeLinesSink(Spec(Format::kJson), schema_, Options());
  ASSERT_TRUE(sink->Open().ok());
  ASSERT_TRUE(sink->Write(MakeRows({"a"}, {1}), nullptr).ok());
  const Status status = sink->Flush(true);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "file_exists");
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/job-a-g1-out-0.jsonl", "complete")));
}

TEST_F(LinesSinkTest, DeadLettersKeepBytes) {
  auto writer = MakeDeadLetterFiles(Spec(Format::kJson), Options());
  ASSERT_TRUE(writer->Open().ok());
  DeadLetter window;
  window.value = "\xff\x01";
  window.reason = "division_by_zero";
  window.message = "a / b";
  window.stream = "metrics";
  ASSERT_TRUE(writer->Write({Letter("{\"a\": \"\n\"}"), window}).ok());
  ASSERT_TRUE(writer->Flush().ok());
  const std::string text =
      "{\"reason\":\"late\",\"message\":\"2s late\",\"stream\":\"readings\",\"topic\":\"topic\","
      "\"partition\":3,\"offset\":17,\"key\":\"k\",\"value\":\"{\\\"a\\\": \\\"\\n\\\"}\"}\n"
      "{\"reason\":\"division_by_zero\",\"message\":\"a / b\",\"stream\":\"metrics\","
      "\"value_base64\":\"/wE=\"}\n";
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/.inprogress-job-a-g1-out-0.jsonl", text)));
  writer.reset();
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/job-a-g1-out-0.jsonl", text)));
}

TEST_F(LinesSinkTest, DeadLettersOfADeadProcessAreFinished) {
  folder_.Put("lines/.inprogress-job-a-g0-out-2.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":");
  folder_.Put("lines/.inprogress-job-a-g0-out-3.jsonl", "{\"n\"");
  auto writer = MakeDeadLetterFiles(Spec(Format::kJson), Options());
  ASSERT_TRUE(writer->Open().ok());
  EXPECT_THAT(folder_.Files(),
              ElementsAre(Pair("lines/job-a-g0-out-2.jsonl", "{\"n\":1}\n{\"n\":2}\n")));
}

TEST_F(LinesSinkTest, DeadLettersSurviveAFullDisk) {
  auto writer = MakeDeadLetterFiles(Spec(Format::kJson), Options());
  ASSERT_TRUE(writer->Open().ok());
  ASSERT_TRUE(writer->Write({Letter("one")}).ok());
  ASSERT_TRUE(writer->Flush().ok());
  const std::string first = folder_.Files().begin()->second;
  filesystem_->set_bytes_left(5);
  ASSERT_TRUE(writer->Write({Letter("two")}).ok());
  const Status status = writer->Flush();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
  writer.reset();
  filesystem_->set_bytes_left(1 << 20);
  auto next = MakeDeadLetterFiles(Spec(Format::kJson), Options("g2"));
  ASSERT_TRUE(next->Open().ok());
  EXPECT_THAT(folder_.Files(), ElementsAre(Pair("lines/job-a-g1-out-0.jsonl", first)));
}

}  // namespace
}  // namespace millrace
