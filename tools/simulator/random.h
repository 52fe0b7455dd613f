// A seeded random sequence whose values are the same with every compiler and standard library
// (the distributions of <random> are not): splitmix64. Not for secrets.
#pragma once

#include <cstdint>

namespace millrace {

class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // In [0, 1).
  double Unit() { return double(Next() >> 11) * 0x1.0p-53; }
  // In [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Unit(); }
  // In [0, count); count > 0. The bias is below count / 2^32.
  uint32_t Below(uint32_t count) { return uint32_t(((Next() >> 32) * count) >> 32); }
  // True with this probability.
  bool Chance(double probability) { return Unit() < probability; }

 private:
  uint64_t state_;
};

}  // namespace millrace
