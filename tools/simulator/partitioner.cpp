#include "tools/simulator/partitioner.h"

#include <cstddef>

namespace millrace {

uint32_t KafkaMurmur2(std::string_view key) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  const auto byte = [&](size_t index) { return uint32_t(uint8_t(key[index])); };
  uint32_t hash = 0x9747b28cu ^ uint32_t(key.size());
  size_t index = 0;
  for (; index + 4 <= key.size(); index += 4) {
    uint32_t word =
        byte(index) | byte(index + 1) << 8 | byte(index + 2) << 16 | byte(index + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  const size_t rest = key.size() - index;
  if (rest > 0) {
    if (rest > 2) hash ^= byte(index + 2) << 16;
    if (rest > 1) hash ^= byte(index + 1) << 8;
    hash ^= byte(index);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

}  // namespace millrace
