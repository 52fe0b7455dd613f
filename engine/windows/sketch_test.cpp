// The sketches keep the errors that they state, and what they hold depends on the values alone.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/windows/distinct_sketch.h"
#include "engine/windows/quantile_sketch.h"

namespace millrace {
namespace {

template <typename Sketch>
std::string Saved(const Sketch& sketch) {
  std::string bytes;
  StateEncoder out(&bytes);
  sketch.Save(&out);
  return bytes;
}

template <typename Sketch>
Sketch RestoredFrom(const std::string& saved) {
  std::string_view bytes = saved;
  StateDecoder in(&bytes);
  Sketch sketch;
  sketch.Restore(&in, /*is_text=*/false);
  EXPECT_TRUE(in.status().ok() && bytes.empty());
  return sketch;
}

std::vector<double> Values(int distribution, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(20, 5);
  std::lognormal_distribution<double> skewed(0, 4);
  std::uniform_real_distribution<double> exponent(-300, 300);
  std::vector<double> values(count);
  for (double& value : values) {
    value = distribution == 0   ? normal(random)
            : distribution == 1 ? skewed(random)
            : distribution == 2 ? std::pow(10, exponent(random)) * (random() % 2 ? 1 : -1)
                                : double(int64_t(random() % 11) - 5);
  }
  return values;
}

// Found by fuzzing: sums of such counts overflowed.
TEST(QuantileSketch, WhatIsNoSketchIsRefused) {
  const auto restored = [](int32_t bucket, uint64_t count) {
    std::string saved;
    StateEncoder out(&saved);
    out.Put64(1);
    out.Put32(uint32_t(bucket));
    out.Put64(count);
    std::string_view bytes = saved;
    StateDecoder in(&bytes);
    QuantileSketch sketch;
    sketch.Restore(&in, /*is_text=*/false);
    return in.status().ok();
  };
  EXPECT_TRUE(restored(80'001, kTallyMax));
  EXPECT_TRUE(restored(-80'000, 1));
  EXPECT_FALSE(restored(0, kTallyMax + 1));
  EXPECT_FALSE(restored(0, UINT64_MAX));
  EXPECT_FALSE(restored(80'002, 1));
  EXPECT_FALSE(restored(INT32_MIN, 1));
}

TEST(QuantileSketch, IsWithinOnePerCentOfTheValueAtTheRank) {
  for (const int distribution : {0, 1, 2, 3}) {
    std::vector<double> values = Values(distribution, 20'000, 7);
    QuantileSketch sketch;
    for (const double value : values) sketch.Add(value);
    std::ranges::sort(values);
    for (int percent = 0; percent <= 100; ++percent) {
      const double fraction = percent / 100.0;
      const double exact = values[size_t(std::floor(fraction * double(values.size() - 1)))];
      EXPECT_LE(std::fabs(sketch.Quantile(fraction) - exact), 0.01000001 * std::fabs(exact))
          << distribution << " at " << percent;
    }
  }
}

TEST(QuantileSketch, KnowsZerosInfinitiesAndNan) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  QuantileSketch sketch;
  for (const double value : {kInfinity, -0.0, 0.0, 5e-324, -kInfinity, -1.0, std::nan("")}) {
    sketch.Add(value);
  }
  EXPECT_EQ(sketch.Quantile(0), -kInfinity);
  EXPECT_NEAR(sketch.Quantile(1 / 6.0), -1, 0.01);
  EXPECT_EQ(sketch.Quantile(0.5), 0);
  EXPECT_EQ(sketch.Quantile(5 / 6.0), kInfinity);
  EXPECT_TRUE(std::isnan(sketch.Quantile(1)));
}

TEST(QuantileSketch, HoldsTheSameWhateverOrderAndCutting) {
  std::vector<double> values = Values(2, 5'000, 11);
  QuantileSketch whole;
  int64_t bytes = 0;
  for (const double value : values) bytes += whole.Add(value);
  EXPECT_EQ(bytes, whole.bytes());
  std::ranges::shuffle(values, std::mt19937_64(3));
  QuantileSketch merged;
  for (size_t part = 0; part < 7; ++part) {
    QuantileSketch one;
    for (size_t i = part; i < values.size(); i += 7) one.Add(values[i]);
    merged.MergeFrom(RestoredFrom<QuantileSketch>(Saved(one)));
  }
  EXPECT_EQ(Saved(merged), Saved(whole));
}

// Deviation of the error over many counts: 1.04 / sqrt(2^14) = 0.8 %.
TEST(DistinctSketch, EstimatesWithTheErrorThatItStates) {
  for (const int64_t count : {513, 2'000, 40'000, 60'000, 1'000'000}) {
    double squares = 0;
    constexpr int kRuns = 20;
    for (int run = 0; run < kRuns; ++run) {
      DistinctSketch sketch;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t value = i * 1'000 + run;
        const uint64_t hash = XXH3_64bits(&value, sizeof(value));
        sketch.Add(hash);
        if (i % 3 == 0) sketch.Add(hash);
      }
      const double error = double(sketch.Estimate() - count) / double(count);
      EXPECT_LT(std::fabs(error), 0.04) << count;
      squares += error * error;
      EXPECT_LE(sketch.bytes(), 16 << 10);
    }
    EXPECT_LT(std::sqrt(squares / kRuns), 0.0125) << count;
  }
}

TEST(DistinctSketch, IsExactForFew) {
  DistinctSketch sketch;
  EXPECT_TRUE(sketch.empty());
  for (uint64_t i = 1; i <= DistinctSketch::kExactMax; ++i) {
    sketch.Add(i * 0x9E3779B97F4A7C15);
    sketch.Add(i * 0x9E3779B97F4A7C15);
    ASSERT_EQ(sketch.Estimate(), int64_t(i));
  }
}

TEST(DistinctSketch, HoldsTheSameWhateverOrderAndCutting) {
  for (const uint64_t count : {300u, 600u, 9'000u}) {
    std::vector<uint64_t> hashes(count);
    for (uint64_t i = 0; i < count; ++i) hashes[i] = XXH3_64bits(&i, sizeof(i));
    DistinctSketch whole;
    int64_t bytes = 0;
    for (const uint64_t hash : hashes) bytes += whole.Add(hash);
    EXPECT_EQ(bytes, whole.bytes());
    std::ranges::shuffle(hashes, std::mt19937_64(5));
    // Parts that are kept as hashes, and a part that has registers, either way round.
    DistinctSketch merged;
    for (size_t begin = 0; begin < count;) {
      const size_t end = std::min<size_t>(count, begin == 0 ? 100 : begin * 3);
      DistinctSketch one;
      for (size_t i = begin; i < end; ++i) one.Add(hashes[i]);
      merged.MergeFrom(RestoredFrom<DistinctSketch>(Saved(one)));
      begin = end;
    }
    EXPECT_EQ(merged.Estimate(), whole.Estimate());
    DistinctSketch other = RestoredFrom<DistinctSketch>(Saved(whole));
    other.MergeFrom(merged);
    EXPECT_EQ(other.Estimate(), whole.Estimate());
  }
}

}  // namespace
}  // namespace millrace
