#include "engine/metrics/log_limit.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::seconds;

TEST(LogLimit, SoManyLinesInAWindowThatBeginsWithTheFirst) {
  LogLimit limit(2, seconds(10));
  EXPECT_TRUE(limit.Take(seconds(7)));
  EXPECT_TRUE(limit.Take(seconds(8)));
  EXPECT_FALSE(limit.Take(seconds(9)));
  EXPECT_FALSE(limit.Take(seconds(16)));
  EXPECT_TRUE(limit.Take(seconds(17)));
  EXPECT_TRUE(limit.Take(seconds(26)));
  EXPECT_FALSE(limit.Take(seconds(26)));
}

TEST(LogLimit, WhatIsLeftOutIsToldOnceWhenTheWindowIsOver) {
  LogLimit limit(1, seconds(10));
  EXPECT_EQ(limit.TakeLeftOut(seconds(0)), 0);
  EXPECT_TRUE(limit.Take(seconds(1)));
  EXPECT_FALSE(limit.Take(seconds(2)));
  EXPECT_FALSE(limit.Take(seconds(3)));
  EXPECT_EQ(limit.TakeLeftOut(seconds(10)), 0);
  EXPECT_EQ(limit.TakeLeftOut(seconds(11)), 2);
  EXPECT_EQ(limit.TakeLeftOut(seconds(12)), 0);
}

}  // namespace
}  // namespace millrace
