// Text forms of values.
#include "engine/plan/literals.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;

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
