// Series at the ends of time, where damaged state may have them.
#include "engine/windows/series.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

Series OfTimes(std::initializer_list<std::pair<int64_t, double>> values) {
  Series series;
  for (const auto& [by, value] : values) series.Add(by, OrderedBits(value));
  return series;
}

TEST(Series, TimesMayBeAsFarApartAsThereAre) {
  Series steady = OfTimes({{INT64_MIN, 3.0}, {INT64_MAX - 10, 3.0}});
  EXPECT_DOUBLE_EQ(TimeWeightedAverage(&steady, INT64_MAX), 3.0);
  Series counter = OfTimes({{INT64_MIN, 1.0}, {INT64_MAX, 0x1p64 / 1e6 + 1.0}});
  double rate = 0;
  ASSERT_TRUE(Rate(&counter, &rate));
  EXPECT_DOUBLE_EQ(rate, 1.0);
}

}  // namespace
}  // namespace millrace
