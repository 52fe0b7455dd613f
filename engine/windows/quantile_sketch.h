// Percentiles within 1 % of a value in little memory: values counted in buckets whose bounds grow
// by a constant factor (C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile
// sketch with relative-error guarantees", 2019). Buckets only add up, so neither order nor cutting
// of the input changes a result.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/windows/state_bytes.h"

namespace millrace {

class QuantileSketch {
 public:
  static constexpr double kRelativeError = 0.01;

  // Both return the bytes by which it has grown, approximately.
  int64_t Add(double value);
  int64_t MergeFrom(const QuantileSketch& other);
  int64_t bytes() const { return int64_t(buckets_.size() * sizeof(buckets_[0])); }
  bool empty() const { return buckets_.empty(); }

  // Within kRelativeError of the value at rank floor(fraction * (n - 1)) of the sorted values, n
  // being how many there are: at least one. Zeros, infinities and NaN (greater than every number)
  // come out as they are.
  double Quantile(double fraction) const;

  void Save(StateEncoder* out) const;
  void Restore(StateDecoder* in, bool is_text);

 private:
  int64_t AddTo(int32_t bucket, int64_t count);

  // By bucket, which orders as the values in it do.
  std::vector<std::pair<int32_t, int64_t>> buckets_;
  int64_t count_ = 0;
};

}  // namespace millrace
