// Sixteen bytes at once: compared, and searched for bytes of a kind. With SSE2, which every x86-64
// has, a few instructions each; elsewhere loops that mean the same.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace millrace {

// Sets of bytes are given as bits, that of the first byte lowest.
class JsonBlock {
 public:
  static constexpr uint32_t kSize = 16;
  static constexpr uint32_t kAll = 0xFFFF;

  // Reads all sixteen bytes at `at`.
  explicit JsonBlock(const char* at);

  // Bytes that equal the other's in their place.
  uint32_t Same(const JsonBlock& other) const;
  uint32_t Is(char byte) const;
  // Bytes from `low` to `high`, compared without a sign.
  uint32_t Within(char low, char high) const;
  // Bytes above 127.
  uint32_t High() const;

 private:
#if defined(__SSE2__)
  __m128i bytes_;
#else
  template <typename Test>
  uint32_t Where(Test test) const {
    uint32_t found = 0;
    for (uint32_t i = 0; i < kSize; ++i) found |= uint32_t(test(bytes_[i], i)) << i;
    return found;
  }

  std::array<uint8_t, kSize> bytes_;
#endif
};

#if defined(__SSE2__)

inline JsonBlock::JsonBlock(const char* at)
    : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))) {}

inline uint32_t JsonBlock::Same(const JsonBlock& other) const {
  return uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes_, other.bytes_)));
}

inline uint32_t JsonBlock::Is(char byte) const {
  return uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes_, _mm_set1_epi8(byte))));
}

inline uint32_t JsonBlock::Within(char low, char high) const {
  const __m128i above = _mm_sub_epi8(bytes_, _mm_set1_epi8(low));
  const __m128i span = _mm_set1_epi8(char(uint8_t(high) - uint8_t(low)));
  return uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(above, span), above)));
}

inline uint32_t JsonBlock::High() const { return uint32_t(_mm_movemask_epi8(bytes_)); }

#else

inline JsonBlock::JsonBlock(const char* at) { std::memcpy(bytes_.data(), at, kSize); }

inline uint32_t JsonBlock::Same(const JsonBlock& other) const {
  return Where([&](uint8_t byte, uint32_t i) { return byte == other.bytes_[i]; });
}

inline uint32_t JsonBlock::Is(char byte) const {
  return Where([=](uint8_t own, uint32_t) { return own == uint8_t(byte); });
}

inline uint32_t JsonBlock::Within(char low, char high) const {
  const auto span = uint8_t(uint8_t(high) - uint8_t(low));
  return Where([=](uint8_t own, uint32_t) { return uint8_t(own - uint8_t(low)) <= span; });
}

inline uint32_t JsonBlock::High() const {
  return Where([](uint8_t own, uint32_t) { return own > 127; });
}

#endif

}  // namespace millrace
