// How many different values there are, with a standard error of 0.8 %, in at most 16 KiB:
// HyperLogLog with 2^14 registers (P. Flajolet et al., 2007) and the estimator of O. Ertl, "New
// cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs no correction for
// small or large counts. Up to kExactMax hashes are kept as they are, and then the count is exact.
// What it holds depends on the set of values alone, not on their order or how they were cut.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "engine/windows/state_bytes.h"

namespace millrace {

class DistinctSketch {
 public:
  static constexpr size_t kExactMax = 512;

  // A hash of 64 good bits. Both return the bytes by which it has grown, approximately.
  int64_t Add(uint64_t hash);
  int64_t MergeFrom(const DistinctSketch& other);
  int64_t bytes() const;
  bool empty() const { return hashes_.empty() && registers_.empty(); }

  int64_t Estimate() const;

  void Save(StateEncoder* out) const;
  void Restore(StateDecoder* in, bool is_text);

 private:
  static constexpr int kBits = 14;
  static constexpr int kRankMax = 64 - kBits + 1;

  void Count(uint64_t hash);
  void CountAll();

  std::unordered_set<uint64_t> hashes_;  // empty once there are registers
  std::vector<uint8_t> registers_;       // 2^kBits, or none
};

}  // namespace millrace
