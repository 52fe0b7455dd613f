#include "engine/windows/distinct_sketch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace millrace {
namespace {

constexpr int64_t kHashBytes = 40;  // an entry of the set, with its allocation

// Ertl (2017), algorithm 6: sigma and tau.
double Sigma(double x) {
  if (x == 1) return INFINITY;
  double y = 1, z = x;
  for (double before = -1; z != before;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1, z = 1 - x;
  for (double before = -1; z != before;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

int64_t DistinctSketch::bytes() const {
  return int64_t(registers_.size()) + int64_t(hashes_.size()) * kHashBytes;
}

// The first kBits say which register; it keeps the largest position of the first 1 in the rest.
void DistinctSketch::Count(uint64_t hash) {
  uint8_t& kept = registers_[hash >> (64 - kBits)];
  const uint64_t rest = hash << kBits;
  const int rank = rest == 0 ? kRankMax : std::countl_zero(rest) + 1;
  kept = std::max(kept, uint8_t(rank));
}

void DistinctSketch::CountAll() {
  registers_.assign(size_t(1) << kBits, 0);
  for (const uint64_t hash : hashes_) Count(hash);
  hashes_ = {};
}

int64_t DistinctSketch::Add(uint64_t hash) {
  if (!registers_.empty()) {
    Count(hash);
    return 0;
  }
  const int64_t before = bytes();
  hashes_.insert(hash);
  if (hashes_.size() > kExactMax) CountAll();
  return bytes() - before;
}

int64_t DistinctSketch::MergeFrom(const DistinctSketch& other) {
  const int64_t before = bytes();
  if (!other.registers_.empty() && registers_.empty()) CountAll();
  for (size_t i = 0; i < other.registers_.size(); ++i) {
    registers_[i] = std::max(registers_[i], other.registers_[i]);
  }
  for (const uint64_t hash : other.hashes_) Add(hash);
  return bytes() - before;
}

int64_t DistinctSketch::Estimate() const {
  if (registers_.empty()) return int64_t(hashes_.size());
  std::array<int64_t, kRankMax + 1> of_rank{};
  for (const uint8_t rank : registers_) ++of_rank[rank];
  const auto m = double(registers_.size());
  double z = m * Tau(1 - double(of_rank[kRankMax]) / m);
  for (int rank = kRankMax - 1; rank >= 1; --rank) z = 0.5 * (z + double(of_rank[size_t(rank)]));
  z += m * Sigma(double(of_rank[0]) / m);
  return std::llround(m * m / (2 * std::log(2.0) * z));
}

void DistinctSketch::Save(StateEncoder* out) const {
  out->Put8(registers_.empty() ? 0 : 1);
  for (const uint8_t rank : registers_) out->Put8(rank);
  if (!registers_.empty()) return;
  out->Put64(hashes_.size());
  for (const uint64_t hash : hashes_) out->Put64(hash);
}

void DistinctSketch::Restore(StateDecoder* in, bool) {
  if (in->Take8() != 0) {
    CountAll();
    for (uint8_t& rank : registers_) rank = std::min(in->Take8(), uint8_t(kRankMax));
    return;
  }
  const uint64_t hashes = in->TakeCount(8);
  for (uint64_t i = 0; i < hashes; ++i) Add(in->Take64());
}

}  // namespace millrace
