#include "engine/windows/quantile_sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace millrace {
namespace {

constexpr double kGamma =
    (1 + QuantileSketch::kRelativeError) / (1 - QuantileSketch::kRelativeError);
const double kLogGamma = std::log(kGamma);

// Buckets of magnitudes from the least normal double to the largest are within -36,000 and 36,000;
// moved by kShift they are positive, and those of negative values are their negatives.
constexpr int32_t kShift = 40'000;
constexpr int32_t kZero = 0;
constexpr int32_t kInfinity = 2 * kShift;
constexpr int32_t kNaN = kInfinity + 1;

// Magnitudes in (gamma^(i - 1), gamma^i] are in bucket i.
int32_t BucketOf(double value) {
  if (std::isnan(value)) return kNaN;
  const double magnitude = std::fabs(value);
  if (magnitude < std::numeric_limits<double>::min()) return kZero;
  const int32_t bucket =
      std::isinf(value) ? kInfinity : kShift + int32_t(std::ceil(std::log(magnitude) / kLogGamma));
  return value < 0 ? -bucket : bucket;
}

// The middle of a bucket, which differs from either end by the relative error.
double ValueOf(int32_t bucket) {
  if (bucket == kNaN) return std::numeric_limits<double>::quiet_NaN();
  if (bucket == kZero) return 0;
  const int32_t index = std::abs(bucket);
  const double magnitude = index == kInfinity
                               ? std::numeric_limits<double>::infinity()
                               : 2 * std::exp(double(index - kShift) * kLogGamma) / (kGamma + 1);
  return bucket < 0 ? -magnitude : magnitude;
}

}  // namespace

int64_t QuantileSketch::AddTo(int32_t bucket, int64_t count) {
  count_ += count;
  const auto place =
      std::ranges::lower_bound(buckets_, bucket, {}, [](const auto& entry) { return entry.first; });
  if (place != buckets_.end() && place->first == bucket) {
    place->second += count;
    return 0;
  }
  buckets_.emplace(place, bucket, count);
  return int64_t(sizeof(buckets_[0]));
}

int64_t QuantileSketch::Add(double value) { return AddTo(BucketOf(value), 1); }

int64_t QuantileSketch::MergeFrom(const QuantileSketch& other) {
  int64_t grown = 0;
  for (const auto& [bucket, count] : other.buckets_) grown += AddTo(bucket, count);
  return grown;
}

double QuantileSketch::Quantile(double fraction) const {
  const auto rank = int64_t(std::floor(fraction * double(count_ - 1)));
  int64_t before = 0;
  for (const auto& [bucket, count] : buckets_) {
    before += count;
    if (before > rank) return ValueOf(bucket);
  }
  return ValueOf(buckets_.back().first);
}

void QuantileSketch::Save(StateEncoder* out) const {
  out->Put64(buckets_.size());
  for (const auto& [bucket, count] : buckets_) {
    out->Put32(uint32_t(bucket));
    out->Put64(uint64_t(count));
  }
}

void QuantileSketch::Restore(StateDecoder* in, bool) {
  const uint64_t entries = in->TakeCount(12);
  for (uint64_t i = 0; i < entries; ++i) {
    const auto bucket = int32_t(in->Take32());
    in->Require(bucket >= -kInfinity && bucket <= kNaN);
    const int64_t count = in->TakeTally();
    if (!in->status().ok()) return;
    AddTo(bucket, count);
  }
}

}  // namespace millrace
