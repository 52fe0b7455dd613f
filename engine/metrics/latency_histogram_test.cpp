#include "engine/metrics/latency_histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace millrace {
namespace {

TEST(LatencyHistogramTest, IsZeroWhenEmpty) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.Quantile(0.5), Micros(0));
  EXPECT_EQ(histogram.min(), Micros(0));
  EXPECT_EQ(histogram.max(), Micros(0));
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 50; ++i) histogram.Record(Micros(i));
  EXPECT_EQ(histogram.Quantile(0), Micros(1));
  EXPECT_EQ(histogram.Quantile(0.5), Micros(25));
  EXPECT_EQ(histogram.Quantile(0.99), Micros(50));
  EXPECT_EQ(histogram.Quantile(1), Micros(50));
}

TEST(LatencyHistogramTest, NegativeCountsAsZeroAndTheLargestValueFits) {
  LatencyHistogram histogram;
  histogram.Record(Micros(-5));
  histogram.Record(Micros(INT64_MAX));
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.Quantile(0.5), Micros(0));
  EXPECT_NEAR(double(histogram.Quantile(1).count()), double(INT64_MAX), double(INT64_MAX) / 64);
  EXPECT_EQ(histogram.max(), Micros(INT64_MAX));
}

// Against sorted values, over nine decades.
TEST(LatencyHistogramTest, QuantilesAreWithinOneSixtyFourth) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(0, 9);
  std::vector<int64_t> values;
  LatencyHistogram histogram;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(int64_t(std::pow(10, exponent(random))));
    histogram.Record(Micros(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (double fraction : {0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = double(values[size_t(std::ceil(fraction * 20000)) - 1]);
    EXPECT_NEAR(double(histogram.Quantile(fraction).count()), exact, exact / 64) << fraction;
  }
}

TEST(LatencyHistogramTest, MergeIsAsIfRecordedInOne) {
  LatencyHistogram one, two, both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? one : two).Record(Micros(i * 977));
    both.Record(Micros(i * 977));
  }
  one.Merge(two);
  EXPECT_EQ(one.count(), 1000);
  EXPECT_EQ(one.min(), Micros(0));
  EXPECT_EQ(one.max(), Micros(999 * 977));
  for (double fraction : {0.0, 0.2, 0.5, 0.9, 0.99}) {
    EXPECT_EQ(one.Quantile(fraction), both.Quantile(fraction));
  }
}

}  // namespace
}  // namespace millrace
