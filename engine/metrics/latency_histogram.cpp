#include "engine/metrics/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace {

int LatencyHistogram::BucketOf(int64_t micros) {
  if (micros < kLinear) return int(micros);
  const int exponent = std::bit_width(uint64_t(micros)) - 1;  // >= 6
  const int position = int(micros >> (exponent - 5)) & (kBucketsPerOctave - 1);
  return kLinear + (exponent - 6) * kBucketsPerOctave + position;
}

int64_t LatencyHistogram::MiddleOf(int bucket) {
  if (bucket < kLinear) return bucket;
  const int exponent = (bucket - kLinear) / kBucketsPerOctave + 6;
  const int64_t position = (bucket - kLinear) % kBucketsPerOctave;
  const int64_t width = int64_t(1) << (exponent - 5);
  return (kBucketsPerOctave + position) * width + width / 2;
}

void LatencyHistogram::Record(Micros latency, int64_t count) {
  if (count <= 0) return;
  const int64_t micros = std::max<int64_t>(latency.count(), 0);
  counts_[size_t(BucketOf(micros))] += count;
  count_ += count;
  min_ = std::min(min_, micros);
  max_ = std::max(max_, micros);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

Micros LatencyHistogram::Quantile(double fraction) const {
  if (count_ == 0) return Micros(0);
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * double(count_));
  const int64_t rank = std::clamp<int64_t>(int64_t(wanted), 1, count_);
  int64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return Micros(std::clamp(MiddleOf(int(i)), min_, max_));
  }
  return max();
}

}  // namespace millrace
