// Rows of one size in chunks that never move, each at the beginning of a cache line. Freed rows are
// given again first; the chunks themselves are given back when no row is in use.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace millrace {

class RowSlab {
 public:
  static constexpr uint32_t kRowsPerChunk = 4096;

  explicit RowSlab(size_t row_bytes)
      : stride_((row_bytes + kCacheLine - 1) / kCacheLine * kCacheLine) {}

  // Uninitialised.
  uint32_t Take() {
    if (!free_.empty()) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if (next_ % kRowsPerChunk == 0 && next_ / kRowsPerChunk == chunks_.size()) AddChunk();
    return next_++;
  }
  void Free(uint32_t slot) {
    free_.push_back(slot);
    if (free_.size() < next_) return;
    free_.clear();
    next_ = 0;
    if (chunks_.size() > 1) chunks_.resize(1);
  }

  char* Row(uint32_t slot) const {
    return chunks_[slot / kRowsPerChunk].get() + size_t(slot % kRowsPerChunk) * stride_;
  }
  size_t used() const { return next_ - free_.size(); }
  // Of the chunks.
  size_t MemoryBytes() const { return chunks_.size() * kRowsPerChunk * stride_; }

 private:
  static constexpr size_t kCacheLine = 64;
  struct Release {
    void operator()(char* chunk) const { std::free(chunk); }
  };

  void AddChunk() {
    auto* const chunk = static_cast<char*>(std::aligned_alloc(kCacheLine, kRowsPerChunk * stride_));
    if (chunk == nullptr && stride_ > 0) throw std::bad_alloc();
    chunks_.emplace_back(chunk);
  }

  size_t stride_;  // whole cache lines
  std::vector<std::unique_ptr<char[], Release>> chunks_;
  std::vector<uint32_t> free_;
  uint32_t next_ = 0;
};

}  // namespace millrace
