// Latencies counted in logarithmic buckets, for exact-enough percentiles in an end summary: every
// octave is cut into 32 buckets, so that a reported quantile is off by at most 1/64 of its value
// (values under 64 us are exact). 15 KiB, whatever the number of values. Pure; used by one thread,
// merged by its owner.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/time.h"

namespace millrace {

class LatencyHistogram {
 public:
  // Negative latencies (clocks that disagree) count as zero.
  void Record(Micros latency, int64_t count = 1);
  void Merge(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  // Exact; zero when nothing was recorded.
  Micros min() const { return Micros(count_ == 0 ? 0 : min_); }
  Micros max() const { return Micros(max_); }

  // The smallest recorded value such that at least `fraction` (0 to 1) of the values are not above
  // it, as the middle of its bucket. Zero when nothing was recorded.
  Micros Quantile(double fraction) const;

 private:
  static constexpr int kLinear = 64;  // values below have a bucket each
  static constexpr int kBucketsPerOctave = 32;
  static constexpr int kOctaves = 63 - 6;  // 2^6 to 2^63
  static int BucketOf(int64_t micros);
  static int64_t MiddleOf(int bucket);

  std::array<int64_t, kLinear + kOctaves * kBucketsPerOctave> counts_{};
  int64_t count_ = 0;
  int64_t min_ = INT64_MAX;
  int64_t max_ = 0;
};

}  // namespace millrace
