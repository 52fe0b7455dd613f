// Bytes compared and searched eight at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// A high bit in every byte of `word` that is `byte`; bytes above the first one may be wrong.
inline uint64_t MarkByte(uint64_t word, uint8_t byte) {
  const uint64_t rest = word ^ (kLowBits * byte);
  return (rest - kLowBits) & ~rest & kHighBits;
}

// Where the string whose inside begins at `at` ends: its closing quote, before `end`. Null where an
// escape or a control character comes first. `ascii`: no byte above 127.
inline const char* FindPlainStringEnd(const char* at, const char* end, bool* ascii) {
  uint64_t high = 0;
  for (; end - at >= 8; at += 8) {
    const uint64_t word = LoadWord(at);
    const uint64_t control = (word - kLowBits * 0x20) & ~word & kHighBits;
    const uint64_t stop = MarkByte(word, '"') | MarkByte(word, '\\') | control;
    if (stop != 0) {
      const uint64_t before = (stop & -stop) - 1;
      *ascii = (high | (word & before & kHighBits)) == 0;
      at += std::countr_zero(stop) >> 3;
      return *at == '"' ? at : nullptr;
    }
    high |= word & kHighBits;
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
