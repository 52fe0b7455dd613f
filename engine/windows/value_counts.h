// How often each value of one argument occurs in one pane: ordered bits (ordered_bits.h), or texts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/windows/state_bytes.h"
#include "engine/windows/text_hash.h"

namespace millrace {

class ValueCounts {
 public:
  // Both return the bytes by which it has grown, approximately.
  int64_t Add(int64_t bits, int64_t count = 1);
  int64_t AddText(std::string_view text, int64_t count = 1);
  int64_t MergeFrom(const ValueCounts& other);
  int64_t bytes() const { return bytes_; }
  bool empty() const { return fixed_.empty() && texts_.empty(); }

  // The most frequent; of several the least. There is one.
  int64_t Mode() const;
  std::string_view TextMode() const;

  void Save(StateEncoder* out) const;
  void Restore(StateDecoder* in, bool is_text);

 private:
  std::unordered_map<int64_t, int64_t> fixed_;
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> texts_;
  int64_t bytes_ = 0;
};

}  // namespace millrace
