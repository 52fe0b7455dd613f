// What the commands print, by golden values: text made safe, quantities, tables, logs, JSON and
// YAML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <string>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/log_text.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/quantities.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/text_table.h"

namespace millrace {
namespace {

TEST(TerminalText, OrdinaryTextStaysAsItIs) {
  EXPECT_EQ(EscapeLine("readings/3 by 40 m, 21.5 °C, 温度, 🔥"),
            "readings/3 by 40 m, 21.5 °C, 温度, 🔥");
}

TEST(TerminalText, ControlCharactersAreSpelledOut) {
  EXPECT_EQ(EscapeLine("\x1b[31mred\x1b[0m\a"), "\\x1b[31mred\\x1b[0m\\x07");
  EXPECT_EQ(EscapeLine("a\nb\tc\rd\x7f"), "a\\nb\\tc\\rd\\x7f");
  EXPECT_EQ(EscapeLine(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(EscapeLine("\xc2\x9b"
                       "31m"),
            "\\x9b31m");  // CSI in one character
  EXPECT_EQ(EscapeLine("user\xe2\x80\xaetxt.exe"), "user\\u202etxt.exe");
}

TEST(TerminalText, BytesThatAreNoTextAreSpelledOut) {
  EXPECT_EQ(EscapeLine("\xff\x9b"), "\\xff\\x9b");
  EXPECT_EQ(EscapeLine("\xc3"), "\\xc3");           // cut off
  EXPECT_EQ(EscapeLine("\xc0\x8a"), "\\xc0\\x8a");  // a line break in two bytes
  EXPECT_EQ(EscapeLine("\xe0\x82\x9b"), "\\xe0\\x82\\x9b");
  EXPECT_EQ(EscapeLine("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half of a pair
  EXPECT_EQ(EscapeLine("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(TerminalText, LinesKeepTheirBreaksAndAreIndented) {
  EXPECT_EQ(EscapeLines("one\ntwo\t2\n\n", "  "), "one\n  two\t2");
  EXPECT_EQ(EscapeLines("one\rtwo\x1b", ""), "one\\rtwo\\x1b");
}

TEST(TerminalText, JsonMeansTheSame) {
  EXPECT_EQ(EscapeJson("{\"a\":\"\x1b[0m\xc2\x85\"}"), R"({"a":"\u001b[0m\u0085"})");
  EXPECT_EQ(EscapeJson(R"({"a":"\u001b","b":"°"})"), R"({"a":"\u001b","b":"°"})");
  EXPECT_EQ(EscapeJson("\"\xff\""), "\"\\ufffd\"");
}

TEST(TerminalText, WidthsAreOfCharacters) {
  EXPECT_EQ(DisplayWidth("21 °C"), 5U);
  EXPECT_EQ(CutToWidth("21 °C", 4), "21 °");
  EXPECT_EQ(CutToWidth("21 °C", 3), "21 ");
  EXPECT_EQ(CutToWidth("21", 9), "21");
}

TEST(Quantities, Seconds) {
  EXPECT_EQ(FormatSeconds(-1), "-");
  EXPECT_EQ(FormatSeconds(0), "0.0s");
  EXPECT_EQ(FormatSeconds(0.84), "0.8s");
  EXPECT_EQ(FormatSeconds(9.96), "10s");
  EXPECT_EQ(FormatSeconds(59.4), "59s");
  EXPECT_EQ(FormatSeconds(59.6), "1m0s");
  EXPECT_EQ(FormatSeconds(192), "3m12s");
  EXPECT_EQ(FormatSeconds(3599.7), "1h0m");
  EXPECT_EQ(FormatSeconds(5 * 3600 + 7 * 60 + 59), "5h7m");
  EXPECT_EQ(FormatSeconds(86'400 * 3 + 3600 * 4), "3d4h");
  EXPECT_EQ(FormatSeconds(1e300), "11574074074d1h");
  EXPECT_EQ(FormatSeconds(std::nan("")), "-");
}

TEST(Quantities, CountsAndBytes) {
  EXPECT_EQ(FormatCount(-1), "-");
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(99'999), "99999");
  EXPECT_EQ(FormatCount(123'456), "123.5k");
  EXPECT_EQ(FormatCount(999'960), "1.0M");
  EXPECT_EQ(FormatCount(34'560'000), "34.6M");
  EXPECT_EQ(FormatCount(1'200'000'000), "1.2G");
  EXPECT_EQ(FormatBytes(812), "812 B");
  EXPECT_EQ(FormatBytes(12'595), "12.3 KiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(int64_t(3) << 29), "1.5 GiB");
}

TEST(TextTable, ColumnsAreLinedUp) {
  TextTable table({{"NAME"}, {"LAG", true}, {"WHY"}});
  EXPECT_EQ(table.Format({{"smoke", "12", "runs"}, {"°", "12345", ""}}),
            "NAME     LAG  WHY\n"
            "smoke     12  runs\n"
            "°      12345  -\n");
}

TEST(TextTable, CellsAreSafeForATerminal) {
  TextTable table({{"NAME"}, {"WHY"}});
  EXPECT_EQ(table.Format({{"x", "\x1b]0;gone\a\nNAME"}}),
            "NAME  WHY\n"
            "x     \\x1b]0;gone\\x07\\nNAME\n");
}

TEST(TextTable, LaterRowsLineUpWithThoseBefore) {
  TextTable table({{"NAME"}, {"STATE"}, {"LAG", true}});
  const std::string first = table.Format({{"hydraulics", "running", "1"}});
  EXPECT_EQ(first,
            "NAME        STATE    LAG\n"
            "hydraulics  running    1\n");
  EXPECT_EQ(table.Rows({{"x", "paused", "20"}}), "x           paused    20\n");
}

TEST(TextTable, MeasurementsAloneAreNoChange) {
  const TextTable table({{"NAME"}, {"LAG", true, true}, {"STATE"}});
  EXPECT_EQ(table.Unmeasured({"x", "1", "running"}), table.Unmeasured({"x", "2", "running"}));
  EXPECT_NE(table.Unmeasured({"x", "1", "running"}), table.Unmeasured({"x", "1", "paused"}));
  // No text of one cell passes for two.
  const TextTable two({{"A"}, {"B"}});
  EXPECT_NE(two.Unmeasured({"ab", ""}), two.Unmeasured({"a", "b"}));
}

proto::LogLine Line(const std::string& level, const std::string& message) {
  proto::LogLine line;
  line.set_sequence(7);
  line.set_time("2026-03-01T08:00:10.000000Z");
  line.set_level(level);
  line.set_where("worker-0");
  line.set_message(message);
  return line;
}

TEST(LogText, ALineIsTimeLevelWhereMessage) {
  EXPECT_EQ(FormatLogLine(Line("warn", "no broker answers")),
            "2026-03-01T08:00:10.000000Z  warn   worker-0      no broker answers\n");
}

TEST(LogText, NothingInAMessagePassesForAnotherLine) {
  EXPECT_EQ(FormatLogLine(Line("info", "one\n2026-03-01T08:00:11.000000Z  error  x\x1b[2J\n")),
            "2026-03-01T08:00:10.000000Z  info   worker-0      one\n"
            "    2026-03-01T08:00:11.000000Z  error  x\\x1b[2J\n");
}

TEST(LogText, LevelsAreOrderedAndUnknownOnesAreNotMissed) {
  EXPECT_LT(LevelOf(Line("info", "")), LevelOf(Line("warn", "")));
  EXPECT_LT(LevelOf(Line("warn", "")), LevelOf(Line("error", "")));
  EXPECT_EQ(LevelOf(Line("critical", "")), JobLogLevel::kError);
}

proto::SavepointList Savepoints() {
  proto::SavepointList list;
  proto::SavepointStatus& one = *list.add_savepoints();
  one.set_name("before-edit");
  one.set_state("failed");
  one.set_why("yes");
  one.set_epoch(9'007'199'254'740'993);
  one.set_created("2026-03-01T08:00:10.000000Z");
  return list;
}

TEST(MessageText, JsonHasFieldsAsTheyAreNamed) {
  EXPECT_EQ(ToJsonLine(Savepoints()),
            R"({"savepoints":[{"name":"before-edit","state":"failed","why":"yes",)"
            R"("epoch":"9007199254740993","created":"2026-03-01T08:00:10.000000Z",)"
            R"("generation":""}]})");
  EXPECT_EQ(ToJson(proto::SavepointList()), "{\n \"savepoints\": []\n}\n");
}

TEST(MessageText, YamlKeepsNumbersAndQuotesWhatWouldBeRead) {
  EXPECT_EQ(ToYaml(Savepoints()),
            "savepoints:\n"
            "  - name: before-edit\n"
            "    state: failed\n"
            "    why: \"yes\"\n"
            "    epoch: 9007199254740993\n"
            "    created: \"2026-03-01T08:00:10.000000Z\"\n"
            "    generation: \"\"\n");
  EXPECT_EQ(ToYaml(proto::SavepointList()), "savepoints: []\n");
}

TEST(MessageText, YamlReadsBackAsWhatItWas) {
  for (const std::string text :
       {"a: b\n", "one\ntwo\n", "  indented\nfirst\n", "no end", "two ends\n\n", "\ttab\n",
        "\x1b[31m\n", "# no comment", "- x", "null", "1e3", "~", "°C\n", "x \n", "\nfirst\n", "'",
        "\"\\", "a\n\n  b\n", "y"}) {
    proto::JobDescription description;
    description.set_file(text);
    description.mutable_status()->set_seconds_in_state(0.1);
    description.mutable_status()->set_watermark_delay_seconds(-1);
    const YAML::Node read = YAML::Load(ToYaml(description));
    EXPECT_EQ(read["file"].as<std::string>(), text);
    EXPECT_EQ(read["status"]["seconds_in_state"].as<std::string>(), "0.1");
    EXPECT_EQ(read["status"]["watermark_delay_seconds"].as<double>(), -1);
  }
}

TEST(MessageText, AFileIsABlock) {
  proto::ApplyRequest request;
  request.set_file_name("jobs/job.yaml");
  request.set_file("kind: StreamJob\nspec:\n  streams:\n");
  EXPECT_EQ(ToYaml(request),
            "file_name: jobs/job.yaml\n"
            "file: |\n"
            "  kind: StreamJob\n"
            "  spec:\n"
            "    streams:\n"
            "dry_run: false\n");
}

TEST(MessageText, FieldsOfANewerCoordinatorArePassedOver) {
  proto::JobStatus job;
  ASSERT_TRUE(ParseJson(R"({"name":"x","lag_records":"12","colour":{"of":["it"]}})", &job).ok());
  EXPECT_EQ(job.name(), "x");
  EXPECT_EQ(job.lag_records(), 12);
}

TEST(MessageText, GarbageIsToldSafely) {
  proto::JobStatus job;
  const Status status = ParseJson("<html>\x1b[2J", &job);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "bad_answer");
  EXPECT_THAT(status.message(), testing::HasSubstr("<html>\\x1b[2J"));
}

}  // namespace
}  // namespace millrace
