// The calendar at the edges of what 64 bits of microseconds hold.
#include "engine/operators/calendar.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Calendar, TheEarliestAndTheLatestTimeAreReadAndPutTogetherAgain) {
  const CivilTime first = ToCivil(INT64_MIN);
  EXPECT_EQ(first.year, -290'308);
  EXPECT_EQ(first.month, 12);
  EXPECT_EQ(first.day, 21);
  EXPECT_EQ(first.hour, 19);
  EXPECT_EQ(first.minute, 59);
  EXPECT_EQ(first.second, 5);
  EXPECT_EQ(first.micros, 224'192);
  EXPECT_EQ(FromCivil(first), INT64_MIN);
  const CivilTime last = ToCivil(INT64_MAX);
  EXPECT_EQ(last.year, 294'247);
  EXPECT_EQ(last.month, 1);
  EXPECT_EQ(last.day, 10);
  EXPECT_EQ(last.micros, 775'807);
  EXPECT_EQ(FromCivil(last), INT64_MAX);
}

TEST(Calendar, AnIntervalBeyondTheRangeIsRefused) {
  EXPECT_EQ(AddInterval(0, {.days = INT32_MAX}, 1), std::nullopt);
  EXPECT_EQ(AddInterval(0, {.days = INT32_MIN}, -1), std::nullopt);
  EXPECT_EQ(AddInterval(-1, {.micros = INT64_MIN}, 1), std::nullopt);
  EXPECT_EQ(AddInterval(-1, {.micros = INT64_MIN}, -1), INT64_MAX);
}

}  // namespace
}  // namespace millrace
