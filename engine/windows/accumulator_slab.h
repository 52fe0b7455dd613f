// Fixed-size rows of accumulators in chunks that never move. Freed rows are given again first; the
// chunks themselves are given back when no row is in use. Before a row stands its header, in the
// cache line that adding to the row loads anyway.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace millrace {

struct RowHeader {
  uint32_t
      touched;  // the seal number as of which the row is in a list of what to write; 0: in none
  uint32_t parts : 30;      // parts of values in the store
  uint32_t is_changed : 1;  // in its pane's lists of that name
  uint32_t is_late : 1;
};

class AccumulatorSlab {
 public:
  static constexpr uint32_t kRowsPerChunk = 4096;

  explicit AccumulatorSlab(size_t row_bytes);

  // Uninitialised, its header too.
  uint32_t Take();
  void Free(uint32_t slot);

  char* Row(uint32_t slot) const {
    return chunks_[slot / kRowsPerChunk].get() + size_t(slot % kRowsPerChunk) * stride_ +
           sizeof(RowHeader);
  }
  static RowHeader& HeaderOf(char* row) {
    return *reinterpret_cast<RowHeader*>(row - sizeof(RowHeader));
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
