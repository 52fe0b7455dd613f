// Fixed-size rows of accumulators in chunks that never move. Freed rows are given again first; the
// chunks themselves are given back when no row is in use.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace millrace {

class AccumulatorSlab {
 public:
  static constexpr uint32_t kRowsPerChunk = 4096;

  explicit AccumulatorSlab(size_t row_bytes);

  // Uninitialised.
  uint32_t Take();
  void Free(uint32_t slot);

  char* Row(uint32_t slot) const {
    return chunks_[slot / kRowsPerChunk].get() + size_t(slot % kRowsPerChunk) * stride_;
  }

  size_t used() const { return next_ - free_.size(); }
  size_t MemoryBytes() const { return chunks_.size() * kRowsPerChunk * stride_; }

 private:
  struct Release {
    void operator()(char* chunk) const { std::free(chunk); }
  };

  size_t stride_;  // whole cache lines
  std::vector<std::unique_ptr<char[], Release>> chunks_;
  std::vector<uint32_t> free_;
  uint32_t next_ = 0;
};

}  // namespace millrace
