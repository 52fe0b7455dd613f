// Text forms of values. The expected intervals are what PostgreSQL 15 answers.
#include "engine/plan/literals.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;

struct IntervalCase {
  const char* text;
  Interval expected;
};

TEST(Literals, IntervalsReadAsInPostgres) {
  const std::vector<IntervalCase> cases = {
      {"1 minute", {0, 0, 60 * kSecond}},
      {"90 s", {0, 0, 90 * kSecond}},
      {"1.5 hours", {0, 0, 5400 * kSecond}},
      {"1 day 02:03:04", {0, 1, 7384 * kSecond}},
      {"-1 day 02:00", {0, -1, 7200 * kSecond}},
      {"1 day -1 hour", {0, 1, -3600 * kSecond}},
      {"1.5 weeks", {0, 10, 43'200 * kSecond}},
      {"1.5 days", {0, 1, 43'200 * kSecond}},
      {"2 mons", {2, 0, 0}},
      {"1 year 3 months", {15, 0, 0}},
      {"00:00:00.000001", {0, 0, 1}},
      {"-1:30:15.5", {0, 0, -5'415'500'000}},
      {"100:00:00", {0, 0, 360'000 * kSecond}},
      {"250 msec", {0, 0, 250'000}},
      {"7 us", {0, 0, 7}},
      {"10", {0, 0, 10 * kSecond}},
      {"1h30m", {0, 0, 5400 * kSecond}},
      {"+2 min", {0, 0, 120 * kSecond}},
      {" 3  W ", {0, 21, 0}},
      {"1 hrs", {0, 0, 3600 * kSecond}},
      {"P1Y2M3DT4H5M6.5S", {14, 3, 14'706'500'000}},
      {" PT15M ", {0, 0, 900 * kSecond}},
      {"P2W-1D", {0, 13, 0}},
      {"1 mon 2 days 00:00:01 ago", {-1, -2, -kSecond}},
  };
  for (const IntervalCase& test : cases) {
    const std::optional<Interval> interval = ParseInterval(test.text);
    ASSERT_TRUE(interval.has_value()) << test.text;
    EXPECT_EQ(*interval, test.expected) << test.text;
    EXPECT_EQ(ParseInterval(FormatInterval(*interval)), interval) << FormatInterval(*interval);
  }
  for (const char* bad : {"",
                          "minute",
                          "1:60",
                          "1 fortnight",
                          "1 2",
                          "--1 day",
                          "10 seconds 5",
                          "1 mss",
                          "99999999999 days",
                          "9223372036854775807 hours",
                          "1 day x",
                          "P",
                          "PT",
                          "P1H",
                          "PT1D",
                          "P1",
                          "P1D 2",
                          "ago",
                          "pt15m",
                          "P1D ago"}) {
    EXPECT_FALSE(ParseInterval(bad).has_value()) << bad;
  }
}

TEST(Literals, FixedLengthsHaveNoMonths) {
  EXPECT_EQ(FixedLength({0, 1, kSecond}), Micros(86'401 * kSecond));
  EXPECT_EQ(FixedLength({1, 0, 0}), std::nullopt);
  EXPECT_EQ(FixedLength({0, 2'147'483'647, INT64_MAX}), std::nullopt);
}

TEST(Literals, StringsTakeTheTypeTheyMeet) {
  EXPECT_EQ(ParseLiteral(" 12 ", Type::kInteger), Literal(int64_t(12)));
  EXPECT_EQ(ParseLiteral("2147483648", Type::kInteger), std::nullopt);
  EXPECT_EQ(ParseLiteral("2147483648", Type::kBigint), Literal(int64_t(2'147'483'648)));
  EXPECT_EQ(ParseLiteral("1.5", Type::kBigint), std::nullopt);
  EXPECT_EQ(ParseLiteral("-Infinity", Type::kDouble),
            Literal(-std::numeric_limits<double>::infinity()));
  for (const char* yes : {"t", "TRUE", "y", "on", "1", " yes "}) {
    EXPECT_EQ(ParseLiteral(yes, Type::kBoolean), Literal(true)) << yes;
  }
  for (const char* no : {"f", "fal", "n", "off", "of", "0"}) {
    EXPECT_EQ(ParseLiteral(no, Type::kBoolean), Literal(false)) << no;
  }
  for (const char* bad : {"", "o", "2", "truely", "tr ue"}) {
    EXPECT_EQ(ParseLiteral(bad, Type::kBoolean), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseLiteral("2022-06-13 14:14:45+02", Type::kTimestamp),
            Literal(int64_t(1'655'122'485'000'000)));
  EXPECT_EQ(ParseLiteral("yesterday", Type::kTimestamp), std::nullopt);
  EXPECT_EQ(ParseLiteral(" 2022-06-13 ", Type::kDate), Literal(int64_t(19'156)));
  EXPECT_EQ(ParseLiteral("2022-06-13 23:00-05", Type::kDate), Literal(int64_t(19'156)));
  EXPECT_EQ(ParseLiteral("2022-06-31", Type::kDate), std::nullopt);
  EXPECT_EQ(ParseLiteral("0.1", Type::kReal), Literal(double(0.1F)));
  EXPECT_EQ(ParseLiteral("1e39", Type::kReal), std::nullopt);
  EXPECT_EQ(ParseLiteral(" a ", Type::kText), Literal(std::string(" a ")));
}

TEST(Literals, AreWrittenAsSql) {
  EXPECT_EQ(FormatLiteral(Literal(), Type::kText), "NULL");
  EXPECT_EQ(FormatLiteral(Literal(std::string("it's")), Type::kText), "'it''s'");
  EXPECT_EQ(FormatLiteral(Literal(2.0), Type::kDouble), "2.0");
  EXPECT_EQ(FormatLiteral(Literal(std::numeric_limits<double>::quiet_NaN()), Type::kDouble),
            "'NaN'::double precision");
  EXPECT_EQ(FormatLiteral(Literal(int64_t(0)), Type::kTimestamp),
            "TIMESTAMP '1970-01-01T00:00:00.000000Z'");
  EXPECT_EQ(FormatLiteral(Literal(int64_t(19'156)), Type::kDate), "DATE '2022-06-13'");
  EXPECT_EQ(FormatLiteral(Literal(Interval{14, -1, 1500}), Type::kInterval),
            "INTERVAL '14 months -1 days 1500 microseconds'");
}

}  // namespace
}  // namespace millrace
