// The frames of a node's calls, and what slides with them. Calls of one frame share a lane: their
// aggregates are one layout of accumulators.
//
// A lane looks at the rows [lo, hi) of a partition, which both only grow. It aggregates them with
// two stacks: rows from `mid` on are summed up in `back`; before it every row has, in place of its
// own, the sum of itself and all rows up to `mid`. A row is added once, and summed up with those
// behind it once, when what was before it is used up: so its cost does not depend on how long the
// frame is, nothing is ever taken off a sum, and so no sum loses digits. A frame that begins with
// the partition is `back` alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/ordered/ordered_partition.h"
#include "engine/plan/plan.h"
#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_update.h"
#include "engine/windows/row_slab.h"

namespace millrace {

// Where a lane stands in one partition. Rows are counted from the first one that the partition ever
// had.
struct LanePlace {
  int64_t lo = 0;
  int64_t hi = 0;
  int64_t mid = 0;
};

struct Lane {
  OverFrame frame;
  AccumulatorLayout layout;
  size_t offset = 0;  // of its accumulators in those of a row
  bool has_aggregates = false;
};

class OverFrames {
 public:
  // `aggregates`: of each lane, over columns of the batches that Apply takes.
  static Result<OverFrames> Make(const std::vector<OverFrame>& frames,
                                 const std::vector<std::vector<AggregateSpec>>& aggregates);

  OverFrames(OverFrames&&) = default;
  OverFrames& operator=(OverFrames&&) = delete;
  ~OverFrames();

  const std::vector<Lane>& lanes() const { return lanes_; }
  bool has_aggregates() const { return row_bytes_ > 0; }

  // Accumulators for all lanes, of no row.
  uint32_t Take();
  void Free(uint32_t slot);
  // Frees all; `in_use` are those that are.
  void Clear(const std::vector<uint32_t>& in_use);
  char* Row(uint32_t slot, const Lane& lane) const { return slab_.Row(slot) + lane.offset; }
  int64_t MemoryBytes() const { return int64_t(slab_.MemoryBytes()); }

  // Accumulators of rows of the batch, one each, from row 0 on.
  Status Apply(const arrow::RecordBatch& batch, const std::vector<uint32_t>& slots);

  // Adds row `hi`, whose accumulators are `slot`.
  void Add(const Lane& lane, LanePlace* place, uint32_t back, uint32_t slot) const;
  // `slot_of(row)`: accumulators of a row in [place->lo, place->hi).
  template <typename SlotOf>
  void MoveTo(const Lane& lane, LanePlace* place, uint32_t back, int64_t lo, SlotOf slot_of) const {
    if (lo <= place->lo) return;
    if (lo >= place->hi) {
      *place = {lo, lo, lo};
      if (lane.has_aggregates) Reset(lane, back);
      return;
    }
    place->lo = lo;
    if (!lane.has_aggregates || lo <= place->mid) return;
    for (int64_t row = place->hi - 2; row >= lo; --row) {
      lane.layout.Merge(Row(slot_of(row), lane), Row(slot_of(row + 1), lane));
    }
    place->mid = place->hi;
    Reset(lane, back);
  }
  // The accumulators of the rows [lo, hi); valid until the next call for the lane. `front`: those
  // of row `lo`, where it is before `mid`.
  char* Sum(const Lane& lane, const LanePlace& place, uint32_t back, uint32_t front);

 private:
  OverFrames() = default;
  void Reset(const Lane& lane, uint32_t back) const;

  std::vector<Lane> lanes_;
  size_t row_bytes_ = 0;
  bool has_objects_ = false;
  RowSlab slab_{0};
  std::unique_ptr<char[]> merged_;  // of each lane what Sum gave last
};

}  // namespace millrace
