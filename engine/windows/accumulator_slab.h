// Rows of accumulators. Before each stands its header, in the cache line that adding to the row
// loads anyway.
#pragma once

#include <cstdint>

#include "engine/windows/row_slab.h"

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
  static constexpr uint32_t kRowsPerChunk = RowSlab::kRowsPerChunk;

  explicit AccumulatorSlab(size_t row_bytes) : rows_(sizeof(RowHeader) + row_bytes) {}

  // Uninitialised, its header too.
  uint32_t Take() { return rows_.Take(); }
  void Free(uint32_t slot) { rows_.Free(slot); }

  char* Row(uint32_t slot) const { return rows_.Row(slot) + sizeof(RowHeader); }
  static RowHeader& HeaderOf(char* row) {
    return *reinterpret_cast<RowHeader*>(row - sizeof(RowHeader));
  }

  size_t used() const { return rows_.used(); }
  size_t MemoryBytes() const { return rows_.MemoryBytes(); }

 private:
  RowSlab rows_;
};

}  // namespace millrace
