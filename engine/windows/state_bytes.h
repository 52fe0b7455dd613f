// Bytes of saved state: numbers little-endian in values, big-endian in keys (so that they sort),
// text with its length before it. docs/state-format.md.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/utf8.h"

namespace millrace {

// Appends to a string that it does not own.
class StateEncoder {
 public:
  explicit StateEncoder(std::string* bytes) : bytes_(bytes) {}

  void Put8(uint8_t value) { bytes_->push_back(char(value)); }
  void Put32(uint32_t value) { PutLittle(value, 4); }
  void Put64(uint64_t value) { PutLittle(value, 8); }
  void PutText(std::string_view text) {
    Put32(uint32_t(text.size()));
    bytes_->append(text);
  }

 private:
  void PutLittle(uint64_t value, int width) {
    char bytes[sizeof(value)];
    for (size_t i = 0; i < sizeof(value); ++i) bytes[i] = char(value >> (8 * i));
    bytes_->append(bytes, size_t(width));
  }
  std::string* bytes_;
};

// Of rows or values: more are never counted, so that sums of saved counts do not overflow.
inline constexpr uint64_t kTallyMax = uint64_t(1) << 48;

// Consumes a view that it does not own. After the first value that is cut short, or cannot be,
// every value is 0 and the status says so.
class StateDecoder {
 public:
  explicit StateDecoder(std::string_view* bytes) : bytes_(bytes) {}

  uint8_t Take8() { return uint8_t(TakeLittle(1)); }
  uint32_t Take32() { return uint32_t(TakeLittle(4)); }
  uint64_t Take64() { return TakeLittle(8); }
  std::string_view TakeText() {
    const uint32_t size = Take32();
    if (!Has(size)) return {};
    const std::string_view text = bytes_->substr(0, size);
    bytes_->remove_prefix(size);
    Require(IsUtf8(text));
    return is_impossible_ ? std::string_view() : text;
  }
  // A count of values of at least `width` bytes each: never more than can follow.
  uint64_t TakeCount(uint64_t width) {
    const uint64_t count = Take64();
    if (count > bytes_->size() / width) is_cut_ = true;
    return is_cut_ ? 0 : count;
  }
  // How many rows or values were counted.
  int64_t TakeTally(uint64_t max = kTallyMax) {
    const uint64_t tally = Take64();
    Require(tally <= max);
    return is_impossible_ ? 0 : int64_t(tally);
  }
  // Of what was taken: false where it cannot be.
  void Require(bool possible) { is_impossible_ = is_impossible_ || !possible; }
  Status status() const {
    if (is_cut_) {
      return ExternalError("state_damaged", "saved window state is cut short", Retry::kNo);
    }
    if (is_impossible_) {
      return ExternalError("state_damaged", "saved window state holds what cannot be", Retry::kNo);
    }
    return Status::OK();
  }

 private:
  bool Has(size_t size) {
    if (bytes_->size() < size) is_cut_ = true;
    return !is_cut_ && !is_impossible_;
  }
  uint64_t TakeLittle(size_t width) {
    if (!Has(width)) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value |= uint64_t(uint8_t((*bytes_)[i])) << (8 * i);
    bytes_->remove_prefix(width);
    return value;
  }

  std::string_view* bytes_;
  bool is_cut_ = false;
  bool is_impossible_ = false;
};

}  // namespace millrace
