// Intervals as text: all that is expected here is what PostgreSQL 15 answers.
#include "engine/plan/interval_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/plan/literals.h"

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kHour = 3600 * kSecond;

struct IntervalCase {
  const char* text;
  Interval expected;
};

TEST(IntervalText, ReadsAsPostgres) {
  const std::vector<IntervalCase> cases = {
      {"1 minute", {0, 0, 60 * kSecond}},
      {"90 s", {0, 0, 90 * kSecond}},
      {"1.5 hours", {0, 0, 5400 * kSecond}},
      {"1 day 02:03:04", {0, 1, 7384 * kSecond}},
      {"-1 day 02:00", {0, -1, 7200 * kSecond}},
      {"1 day -1 hour", {0, 1, -kHour}},
      {"1.5 weeks", {0, 10, 12 * kHour}},
      {"1.5 days", {0, 1, 12 * kHour}},
      {"2 mons", {2, 0, 0}},
      {"1 year 3 months", {15, 0, 0}},
      {"00:00:00.000001", {0, 0, 1}},
      {"-1:30:15.5", {0, 0, -5'415'500'000}},
      {"100:00:00", {0, 0, 100 * kHour}},
      {"250 msec", {0, 0, 250'000}},
      {"7 us", {0, 0, 7}},
      {"10", {0, 0, 10 * kSecond}},
      {"1h30m", {0, 0, 5400 * kSecond}},
      {"1y2mon3d", {14, 3, 0}},
      {"+2 min", {0, 0, 120 * kSecond}},
      {" 3  W ", {0, 21, 0}},
      {"1 hrs", {0, 0, kHour}},
      {"1 mon 2 days 00:00:01 ago", {-1, -2, -kSecond}},
      {"1 century", {1200, 0, 0}},
      {"2 decades", {240, 0, 0}},
      {"1 millennium 1 c", {13'200, 0, 0}},
      {"1 mil", {12'000, 0, 0}},
      {"1.5 mon", {1, 15, 0}},
      {"1.5 years", {18, 0, 0}},
      {"1-2", {14, 0, 0}},
      {"-1-2", {-14, 0, 0}},
      {"1-11 3 4:05", {23, 3, 14'700 * kSecond}},
      {"1 2:03", {0, 1, 7380 * kSecond}},
      {"3 4:05:06", {0, 3, 14'706 * kSecond}},
      {"1 day 5", {0, 1, 5 * kSecond}},
      {"1 2 hours", {0, 1, 2 * kHour}},
      {"1 day, 2 hours", {0, 1, 2 * kHour}},
      {"@ 1 minute", {0, 0, 60 * kSecond}},
      {".5 s", {0, 0, 500'000}},
      {"5. s", {0, 0, 5 * kSecond}},
      {"- 1 day", {0, -1, 0}},
      {"4:5.5", {0, 0, 245'500'000}},
      {"1:59:60", {0, 0, 2 * kHour}},
      {"1:", {0, 0, kHour}},
      {"-1 day +2:03", {0, -1, 7380 * kSecond}},
      {"ago 1 day", {0, -1, 0}},
      {"2:03:04 1.5 days", {0, 1, 7384 * kSecond}},
      {"-2147483648 days", {0, INT32_MIN, 0}},
      {"-9223372036854775808 us", {0, 0, INT64_MIN}},
      {"9223372036854775807 us", {0, 0, INT64_MAX}},
      {"178956970 years 7 months", {INT32_MAX, 0, 0}},
      {"0.5 us", {0, 0, 0}},
      {"1.5 us", {0, 0, 1}},
      {"-1.6 us", {0, 0, -2}},
      {"1 microseconds", {0, 0, 1}},
      {"1 week 1 day", {0, 8, 0}},
      {"P1Y2M3DT4H5M6.5S", {14, 3, 14'706'500'000}},
      {"PT15M", {0, 0, 900 * kSecond}},
      {"P2W-1D", {0, 13, 0}},
      {"PT", {0, 0, 0}},
      {"P1.5M", {1, 15, 0}},
      {"P1Y1Y", {24, 0, 0}},
      {"P1e2D", {0, 100, 0}},
      {"P0001-02-03T04:05:06", {14, 3, 14'706 * kSecond}},
      {"P00010203T040506", {14, 3, 14'706 * kSecond}},
      {"P1", {12, 0, 0}},
      {"P1-2", {14, 0, 0}},
      {"P2T1:30", {24, 0, 5400 * kSecond}},
      {"PT1", {0, 0, kHour}},
  };
  for (const IntervalCase& test : cases) {
    const std::optional<Interval> interval = ParseInterval(test.text);
    ASSERT_TRUE(interval.has_value()) << test.text;
    EXPECT_EQ(*interval, test.expected) << test.text;
    EXPECT_EQ(ParseInterval(FormatInterval(*interval)), interval) << FormatInterval(*interval);
  }
}

TEST(IntervalText, RefusesWhatPostgresRefuses) {
  for (const char* bad : {"",
                          " ",
                          "minute",
                          "1:60",
                          "1 fortnight",
                          "1 2",
                          "--1 day",
                          "10 seconds 5",
                          "1 day 1 day",
                          "1.5 s 1 ms",
                          "1:00 1 minute",
                          "1-12",
                          "1 mss",
                          "1min30s",
                          "1 day\xC3\xBC",
                          "-.5",
                          "5 ago",
                          "1.5.3 s",
                          "1/2",
                          "2147483648 days",
                          "-2147483648 days ago",
                          "99999999999 days",
                          "9223372036854775807 hours",
                          "9223372036854775808 us",
                          "178956970 years 8 months",
                          "1 day x",
                          "P",
                          "P1H",
                          "PT1D",
                          "P1D 2",
                          "P+1D",
                          "P1Y2",
                          " PT15M ",
                          "PT15M ",
                          "ago",
                          "pt15m",
                          "P1D ago"}) {
    EXPECT_FALSE(ParseInterval(bad).has_value()) << bad;
  }
}

TEST(IntervalText, IsBounded) {
  const auto reads = [](size_t count, char of, const std::string& end) {
    std::string text(count, of);
    text += end;
    return ParseInterval(text).has_value();
  };
  EXPECT_TRUE(reads(10'000, ' ', "1"));
  EXPECT_TRUE(reads(254, '0', "1"));
  EXPECT_FALSE(reads(255, '0', "1"));
  EXPECT_FALSE(reads(26, '.', "1"));
  std::string words = "1";
  for (int i = 0; i < 24; ++i) words += " day";
  EXPECT_TRUE(ParseInterval(words).has_value());
  words += " day";
  EXPECT_FALSE(ParseInterval(words).has_value());
}

struct UnitCase {
  const char* text;
  const char* unit;
  Interval expected;
};

TEST(IntervalText, AUnitCutsOff) {
  const std::vector<UnitCase> cases = {
      {"1.7", "hour", {0, 0, kHour}},
      {"1.5", "day", {0, 1, 0}},
      {"0.5", "minute", {0, 0, 0}},
      {"-90.5", "minute", {0, 0, -5400 * kSecond}},
      {"1.5", "second", {0, 0, 1'500'000}},
      {"1.7", "year", {12, 0, 0}},
      {"1.7", "month", {1, 0, 0}},
      {"1 year 5", "month", {17, 0, 0}},
      {"3 days 5", "hour", {0, 3, 5 * kHour}},
      {"1:30", "hour", {0, 0, kHour}},
      {"1 day", "hour", {0, 1, 0}},
      {"PT90M", "hour", {0, 0, kHour}},
  };
  for (const UnitCase& test : cases) {
    EXPECT_EQ(ParseInterval(test.text, test.unit), test.expected) << test.text << test.unit;
  }
  EXPECT_FALSE(ParseInterval("1 fortnight", "hour").has_value());
}

}  // namespace
}  // namespace millrace
