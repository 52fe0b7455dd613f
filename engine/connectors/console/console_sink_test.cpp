#include "engine/connectors/console/console_sink.h"

#include <arrow/builder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "engine/connectors/console/console_text.h"

namespace millrace {
namespace {

using testing::HasSubstr;

EventTime At(int hour, int minute, int second = 0) {
  return EventTime(std::chrono::sys_days(std::chrono::year(2022) / 6 / 13)) +
         std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
}

class ConsoleSinkTest : public testing::Test {
 protected:
  ConsoleSinkTest() {
    screen_->out = &out_;
    screen_->width = 100;
  }

  std::unique_ptr<SinkWriter> Sink(const Schema& schema, std::vector<int> keys,
                                   int64_t limit = 50) {
    auto sink =
        MakeConsoleSink({.rows_per_second_max = limit}, "metrics", schema, keys, clock_, screen_);
    EXPECT_TRUE(sink->Open().ok());
    return sink;
  }

  Schema WindowSchema(int extra) {
    Schema schema{{{"window_start", Type::kTimestamp, ""},
                   {"window_end", Type::kTimestamp, ""},
                   {"records", Type::kBigint, ""},
                   {"device_id", Type::kText, ""}}};
    for (int i = 0; i < extra; ++i) {
      schema.fields.push_back({"avg_temperature_" + std::to_string(i), Type::kDouble, ""});
    }
    return schema;
  }

  // Rows of WindowSchema, windows of 5 minutes from 13:55 on.
  Rows Windows(const Schema& schema, const std::vector<std::string>& devices, double value) {
    const auto arrow_schema = schema.ToArrow();
    const int64_t count = int64_t(devices.size());
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const EventTime time : {At(13, 55), At(14, 0)}) {
      arrow::TimestampBuilder builder(arrow_schema->field(0)->type(), arrow::default_memory_pool());
      for (int64_t i = 0; i < count; ++i) {
        EXPECT_TRUE(builder.Append(time.time_since_epoch().count()).ok());
      }
      columns.push_back(*builder.Finish());
    }
    arrow::Int64Builder records;
    arrow::StringBuilder device;
    for (const auto& name : devices) {
      EXPECT_TRUE(records.Append(300).ok());
      EXPECT_TRUE(device.Append(name).ok());
    }
    columns.push_back(*records.Finish());
    columns.push_back(*device.Finish());
    for (size_t i = 4; i < schema.fields.size(); ++i) {
      arrow::DoubleBuilder builder;
      for (int64_t row = 0; row < count; ++row) EXPECT_TRUE(builder.Append(value).ok());
      columns.push_back(*builder.Finish());
    }
    return {arrow::RecordBatch::Make(arrow_schema, count, columns), nullptr};
  }

  std::string Taken() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }

  std::ostringstream out_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<ConsoleScreen> screen_ = std::make_shared<ConsoleScreen>();
};

std::string Rule(int count) {
  std::string rule;
  for (int i = 0; i < count; ++i) rule += "─";
  return rule;
}

TEST_F(ConsoleSinkTest, ShowsWindowsAsATable) {
  const Schema schema = WindowSchema(1);
  auto sink = Sink(schema, {3});
  ASSERT_TRUE(sink->Write(Windows(schema, {"sensor-0001", "s2"}, 21.532), nullptr).ok());
  EXPECT_EQ(Taken(), "\n── metrics · 2022-06-13 UTC " + Rule(32) +
                         "\n"
                         "                                               avg\n"
                         "  window       device_id    records  temperature_0\n"
                         "  13:55-14:00  sensor-0001      300          21.53\n"
                         "  13:55-14:00  s2               300          21.53\n");
  // The header is not repeated while nobody else writes and nothing grows.
  ASSERT_TRUE(sink->Write(Windows(schema, {"s3"}, -0.00712), nullptr).ok());
  EXPECT_EQ(Taken(), "  13:55-14:00  s3               300        -0.0071\n");
  EXPECT_EQ(sink->stats().rows_written, 3);
}

TEST_F(ConsoleSinkTest, ShowsTheColumnsThatFit) {
  const Schema schema = WindowSchema(27);
  screen_->width = 80;
  auto sink = Sink(schema, {3});
  ASSERT_TRUE(sink->Write(Windows(schema, {"sensor-0001"}, 1), nullptr).ok());
  std::istringstream lines(Taken());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(TextWidth(line), 80) << line;
  EXPECT_EQ(count, 5);
  EXPECT_THAT(lines.str(), HasSubstr("24 more columns\n"));
  EXPECT_THAT(lines.str(), HasSubstr("  13:55-14:00  sensor-0001      300  "));
}

TEST_F(ConsoleSinkTest, RepeatsTheHeaderAfterAnotherStream) {
  const Schema schema = WindowSchema(0);
  auto one = Sink(schema, {3});
  auto two = Sink(schema, {3});
  ASSERT_TRUE(one->Write(Windows(schema, {"a"}, 1), nullptr).ok());
  ASSERT_TRUE(two->Write(Windows(schema, {"a"}, 1), nullptr).ok());
  Taken();
  ASSERT_TRUE(one->Write(Windows(schema, {"a"}, 1), nullptr).ok());
  EXPECT_THAT(Taken(), HasSubstr("── metrics · 2022-06-13 UTC ──"));
}

TEST_F(ConsoleSinkTest, CountsWhatIsTooMuch) {
  const Schema schema = WindowSchema(0);
  auto sink = Sink(schema, {3}, /*limit=*/2);
  ASSERT_TRUE(sink->Write(Windows(schema, {"a", "b", "c"}, 1), nullptr).ok());
  ASSERT_TRUE(sink->Write(Windows(schema, std::vector<std::string>(1200, "d"), 1), nullptr).ok());
  std::string text = Taken();
  EXPECT_THAT(text, testing::Not(HasSubstr(" c ")));
  EXPECT_THAT(text, testing::Not(HasSubstr("more rows")));
  ASSERT_TRUE(sink->Flush().ok());
  EXPECT_EQ(Taken(), "");
  clock_->Advance(std::chrono::seconds(1));
  ASSERT_TRUE(sink->Flush().ok());
  EXPECT_EQ(Taken(), "  … and 1,201 more rows of metrics\n");
  ASSERT_TRUE(sink->Write(Windows(schema, {"e", "f", "g"}, 1), nullptr).ok());
  EXPECT_THAT(Taken(), HasSubstr("13:55-14:00  f"));
  ASSERT_TRUE(sink->Finish().ok());
  EXPECT_EQ(Taken(), "  … and 1 more rows of metrics\n");
  EXPECT_EQ(sink->stats().rows_written, 1206);
}

TEST_F(ConsoleSinkTest, AlertsAreColouredBySeverity) {
  const Schema schema{{{"alert", Type::kText, ""},
                       {"key", Type::kText, "", true},
                       {"labels", Type::kText, "", true},
                       {"annotations", Type::kText, "", true},
                       {"event_time", Type::kTimestamp, ""}}};
  arrow::StringBuilder alert, key, labels, annotations;
  arrow::TimestampBuilder time(schema.ToArrow()->field(4)->type(), arrow::default_memory_pool());
  EXPECT_TRUE(alert.Append("CriticalTemperature").ok());
  EXPECT_TRUE(key.Append(R"({"device_id":"sensor-3","line":7})").ok());
  EXPECT_TRUE(labels.Append(R"({"severity":"critical"})").ok());
  EXPECT_TRUE(annotations.Append(R"({"summary":"too \u001b hot"})").ok());
  EXPECT_TRUE(time.Append(At(14, 0, 7).time_since_epoch().count()).ok());
  const Rows rows{arrow::RecordBatch::Make(schema.ToArrow(), 1,
                                           {*alert.Finish(), *key.Finish(), *labels.Finish(),
                                            *annotations.Finish(), *time.Finish()}),
                  nullptr};
  ASSERT_TRUE(Sink(schema, {})->Write(rows, nullptr).ok());
  EXPECT_EQ(Taken(),
            "▲ 14:00:07 critical CriticalTemperature  device_id=sensor-3 line=7  too · hot\n");
  screen_->color = true;
  screen_->last = nullptr;
  ASSERT_TRUE(Sink(schema, {})->Write(rows, nullptr).ok());
  EXPECT_EQ(Taken(),
            "\x1b[1;31m▲\x1b[0m 14:00:07 \x1b[1;31mcritical CriticalTemperature\x1b[0m"
            "  device_id=sensor-3 line=7  too · hot\n");
}

TEST_F(ConsoleSinkTest, SaysThatItIsClosed) {
  const Schema schema = WindowSchema(0);
  auto sink = Sink(schema, {});
  out_.setstate(std::ios::badbit);
  const Status status = sink->Write(Windows(schema, {"a"}, 1), nullptr);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "console_closed");
}

TEST(ConsoleTextTest, NumbersAreShort) {
  EXPECT_EQ(ShortNumber(0), "0");
  EXPECT_EQ(ShortNumber(1234.567), "1234.57");
  EXPECT_EQ(ShortNumber(-0.12345), "-0.1235");
  EXPECT_EQ(ShortNumber(0.00001), "1.00e-05");
  EXPECT_EQ(ShortNumber(2.5e12), "2.50e+12");
  EXPECT_EQ(ShortNumber(std::nan("")), "NaN");
  EXPECT_EQ(GroupedNumber(1234567), "1,234,567");
  EXPECT_EQ(GroupedNumber(-123), "-123");
}

TEST(ConsoleTextTest, WindowsShowWhatIsNeeded) {
  EXPECT_EQ(WindowText(At(13, 55), At(14, 0)), "13:55-14:00");
  EXPECT_EQ(WindowText(At(13, 55, 10), At(13, 55, 20)), "13:55:10-13:55:20");
  EXPECT_EQ(WindowText(At(0, 0), At(24, 0)), "2022-06-13 00:00 - 2022-06-14 00:00");
}

TEST(ConsoleTextTest, TextIsCleanedAndCut) {
  EXPECT_EQ(CleanText("a\tb", 10), "a·b");
  EXPECT_EQ(CleanText("äöüß", 4), "äöüß");
  EXPECT_EQ(CleanText("äöüß!", 4), "äöü…");
}

}  // namespace
}  // namespace millrace
