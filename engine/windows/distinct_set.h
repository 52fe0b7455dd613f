// The distinct values of one argument in one pane: 64-bit canonical values, or texts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/windows/state_bytes.h"
#include "engine/windows/text_hash.h"

namespace millrace {

class DistinctSet {
 public:
  // Returns the bytes that the set has grown by, approximately; 0: it was there.
  int64_t Insert(uint64_t bits);
  int64_t InsertText(std::string_view text);
  void MergeFrom(const DistinctSet& other);
  void Clear();

  bool empty() const { return size() == 0; }
  size_t size() const { return fixed_count_ + texts_.size(); }
  // What the inserts returned, summed.
  int64_t bytes() const { return bytes_; }

  void ForEachFixed(const std::function<void(uint64_t)>& visit) const;
  void ForEachText(const std::function<void(std::string_view)>& visit) const;

  void Save(StateEncoder* out) const;
  void Restore(StateDecoder* in, bool is_text);

 private:
  void Grow();
  // The place of `bits` (not 0) or the free one where it belongs.
  uint64_t* Find(uint64_t bits);

  std::vector<uint64_t> table_;  // a power of two, at most half full; 0 is free
  size_t fixed_count_ = 0;       // with 0, which is not in the table
  bool has_zero_ = false;
  std::unordered_set<std::string, TextHash, std::equal_to<>> texts_;
  int64_t bytes_ = 0;
};

}  // namespace millrace
