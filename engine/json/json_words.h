// Bytes compared and searched eight or sixteen at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/json/json_block.h"

namespace millrace {

// The bytes in order of significance: the first byte is the lowest, so bits are found in order.
static_assert(std::endian::native == std::endian::little);

inline constexpr uint64_t kLowBits = 0x0101010101010101;
inline constexpr uint64_t kHighBits = 0x8080808080808080;

inline uint64_t LoadWord(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// As memcmp for equality, without its call: for the short texts that stand between values.
inline bool SameBytes(const char* a, const char* b, size_t size) {
  if (size >= 8) {
    uint64_t different = 0;
    for (size_t i = 0; i + 8 <= size; i += 8) different |= LoadWord(a + i) ^ LoadWord(b + i);
    return (different | (LoadWord(a + size - 8) ^ LoadWord(b + size - 8))) == 0;
  }
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// SameBytes where sixteen bytes can be read at `a` and at `b`, whatever the size.
inline bool SameBytesWithRoom(const char* a, const char* b, size_t size) {
  uint32_t same = JsonBlock(a).Same(JsonBlock(b));
  if (size <= JsonBlock::kSize) [[likely]]
    return (~same & ((uint32_t(1) << size) - 1)) == 0;
  for (size_t i = JsonBlock::kSize; i + JsonBlock::kSize <= size; i += JsonBlock::kSize) {
    same &= JsonBlock(a + i).Same(JsonBlock(b + i));
  }
  const size_t last = size - JsonBlock::kSize;
  return (same & JsonBlock(a + last).Same(JsonBlock(b + last))) == JsonBlock::kAll;
}

// Where the string whose inside begins at `at` ends: its closing quote, before `end`. Null where an
// escape or a control character comes first. `ascii`: no byte above 127.
inline const char* FindPlainStringEnd(const char* at, const char* end, bool* ascii) {
  uint32_t high = 0;
  for (; end - at >= JsonBlock::kSize; at += JsonBlock::kSize) {
    const JsonBlock block(at);
    const uint32_t stop = block.Is('"') | block.Is('\\') | block.Within('\0', '\x1f');
    if (stop != 0) {
      *ascii = (high | (block.High() & (stop ^ (stop - 1)))) == 0;
      at += std::countr_zero(stop);
      return *at == '"' ? at : nullptr;
    }
    high |= block.High();
  }
  for (; at < end; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"') {
      *ascii = high == 0;
      return at;
    }
    if (byte == '\\' || byte < 0x20) return nullptr;
    high |= byte & 0x80;
  }
  return nullptr;
}

}  // namespace millrace
