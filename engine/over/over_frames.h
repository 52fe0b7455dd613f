// The frames of a node's calls, and what slides with them. Calls of one frame share a lane: their
// aggregates are one layout of accumulators.
//
// A lane looks at the rows [lo, hi) of a partition, which both only grow. It aggregates them with
// two stacks: rows from `mid` on are summed up in `back`; before it every row has, in `front`, the
// sum of itself and all rows up to `mid`. A row is added once, and summed up with those behind it
// once, when what was before it is used up: so its cost does not depend on how long the frame is,
// nothing is ever taken off a sum, and so no sum loses digits. A frame that begins with the
// partition is `back` alone.
//
// What sums of numbers need of a row is computed of its cells whenever it is needed, and `front` is
// one piece of memory for the rows of a frame. Where a lane keeps anything else (texts, pairs, what
// comes first or last) each row has accumulators of its own, which become its sum in place.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/ordered/cell_value.h"
#include "engine/ordered/ordered_partition.h"
#include "engine/plan/plan.h"
#include "engine/windows/accumulate_numbers.h"
#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_update.h"
#include "engine/windows/row_slab.h"

namespace millrace {

// Where a lane stands in one partition. Rows are counted from the first one that the partition ever
// had.
struct LanePlace {
  // At no row, before `row`.
  static LanePlace Before(int64_t row) {
    LanePlace place;
    place.lo = place.hi = place.mid = row;
    return place;
  }

  int64_t lo = 0;
  int64_t hi = 0;
  int64_t mid = 0;
  std::vector<char> front;  // of lanes of numbers, from row `front_first` on
  int64_t front_first = 0;
};

struct Lane {
  OverFrame frame;
  AccumulatorLayout layout;
  size_t offset = 0;      // of its accumulators in those of a partition
  size_t row_offset = 0;  // the same in those of a row, where rows have them
  bool has_aggregates = false;
  bool is_of_numbers = false;  // a row's share is computed of its cells
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
  bool has_aggregates() const { return back_bytes_ > 0; }
  // Whether rows have accumulators.
  bool has_rows() const { return row_bytes_ > 0; }

  // Accumulators of all lanes, of no row: the backs of a partition.
  uint32_t TakeBacks();
  void FreeBacks(uint32_t slot);
  char* Back(uint32_t slot, const Lane& lane) const { return backs_.Row(slot) + lane.offset; }
  // Accumulators of a row, of the lanes that are not of numbers.
  uint32_t TakeRow();
  void FreeRow(uint32_t slot);
  // Frees all; these are in use.
  void Clear(const std::vector<uint32_t>& backs, const std::vector<uint32_t>& rows);
  // What `rows` rows need, approximately.
  int64_t MemoryBytes(size_t rows) const {
    return int64_t(backs_.MemoryBytes() + rows_.MemoryBytes() + rows * front_bytes_);
  }

  // Accumulators of rows of the batch, one each, from row 0 on.
  Status Apply(const arrow::RecordBatch& batch, const std::vector<uint32_t>& slots);

  // `row_of(row)` is a row of the partition: cell(column) of it, by columns of the batches that
  // Apply takes, slot() of its accumulators, Prefetch() of the row.
  // Adds row `hi`.
  template <typename RowOf>
  void Add(const Lane& lane, LanePlace* place, uint32_t back, RowOf row_of) const {
    const int64_t row = place->hi++;
    if (!lane.has_aggregates) return;
    char* const newer = Back(back, lane);
    if (lane.is_of_numbers) {
      AddNumbers(lane, row_of(row), newer);
    } else {
      lane.layout.Merge(newer, Row(row_of(row).slot(), lane));
    }
  }
  template <typename RowOf>
  void MoveTo(const Lane& lane, LanePlace* place, uint32_t back, int64_t lo, RowOf row_of) const {
    if (lo <= place->lo) return;
    if (lo >= place->hi) {
      place->lo = place->mid = place->hi = lo;
      if (lane.has_aggregates) Reset(lane, back);
      return;
    }
    place->lo = lo;
    if (!lane.has_aggregates || lo <= place->mid) return;
    if (lane.is_of_numbers) {
      SumUpNumbers(lane, place, row_of);
    } else {
      for (int64_t row = place->hi - 2; row >= lo; --row) {
        lane.layout.Merge(Row(row_of(row).slot(), lane), Row(row_of(row + 1).slot(), lane));
      }
    }
    place->mid = place->hi;
    Reset(lane, back);
  }
  // The accumulators of the rows [lo, hi); valid until the next call for the lane.
  template <typename RowOf>
  char* Sum(const Lane& lane, const LanePlace& place, uint32_t back, RowOf row_of) {
    char* const newer = Back(back, lane);
    if (lane.frame.from_first || place.lo >= place.mid) return newer;
    const char* const older =
        lane.is_of_numbers
            ? place.front.data() + size_t(place.lo - place.front_first) * lane.layout.row_bytes()
            : Row(row_of(place.lo).slot(), lane);
    return Merged(lane, older, place.mid == place.hi ? nullptr : newer);
  }

 private:
  OverFrames() = default;
  void Reset(const Lane& lane, uint32_t back) const;
  char* Row(uint32_t slot, const Lane& lane) const { return rows_.Row(slot) + lane.row_offset; }
  // `newer` may be null.
  char* Merged(const Lane& lane, const char* older, const char* newer);

  // What AccumulatorUpdate adds of a row, in its order.
  template <typename OneRow>
  static void AddNumbers(const Lane& lane, const OneRow& row, char* sums) {
    const AccumulatorLayout& layout = lane.layout;
    ++FieldAt<int64_t>(sums, 0);
    uint64_t passed = 0;
    for (size_t i = 0; i < layout.filters().size(); ++i) {
      const CellValue cell = row.cell(layout.filters()[i]);
      if (cell.is_null || cell.bits == 0) continue;
      ++FieldAt<int64_t>(sums, AccumulatorLayout::FilterOffset(i));
      passed |= uint64_t(1) << i;
    }
    for (const Measure& measure : layout.measures()) {
      if (measure.filter >= 0) {
        const size_t filter = measure.rows_offset / sizeof(int64_t) - 1;
        if ((passed >> filter & 1) == 0) continue;
      }
      const CellValue cell = row.cell(measure.argument);
      if (cell.is_null) {
        ++FieldAt<int64_t>(sums, measure.base);
      } else if (measure.type == Type::kDouble) {
        const auto x = std::bit_cast<double>(cell.bits);
        if (measure.Has(kSum)) FieldAt<DoubleSum>(sums, measure.Offset(kSum)).Add(x);
        AddSquareAndExtremes(measure, x, sums);
      } else if (measure.parts != 0) {
        const auto x = int64_t(cell.bits);
        if (measure.Has(kSum)) FieldAt<Int128>(sums, measure.Offset(kSum)).Add(x);
        if (measure.Has(kTrues)) FieldAt<int64_t>(sums, measure.Offset(kTrues)) += x;
        AddSquareAndExtremes(measure, x, sums);
      }
    }
  }
  template <typename Number>
  static void AddSquareAndExtremes(const Measure& measure, Number x, char* sums) {
    if (measure.Has(kSquares)) {
      FieldAt<DoubleSum>(sums, measure.Offset(kSquares)).Add(ExactSquare(x));
    }
    if (measure.Has(kMin)) TakeExtreme(x, &FieldAt<Number>(sums, measure.Offset(kMin)));
    if (measure.Has(kMax)) TakeLargest(x, &FieldAt<Number>(sums, measure.Offset(kMax)));
  }

  // The sums from each row of [lo, hi) on.
  template <typename RowOf>
  void SumUpNumbers(const Lane& lane, LanePlace* place, RowOf row_of) const {
    const size_t bytes = lane.layout.row_bytes();
    place->front.resize(size_t(place->hi - place->lo) * bytes);
    place->front_first = place->lo;
    constexpr int64_t kAhead = 8;
    char* later = nullptr;
    for (int64_t row = place->hi - 1; row >= place->lo; --row) {
      if (row - kAhead >= place->lo) row_of(row - kAhead).Prefetch();
      char* const sums = place->front.data() + size_t(row - place->lo) * bytes;
      lane.layout.Initialise(sums);
      AddNumbers(lane, row_of(row), sums);
      if (later != nullptr) lane.layout.Merge(sums, later);
      later = sums;
    }
  }

  std::vector<Lane> lanes_;
  size_t back_bytes_ = 0;
  size_t row_bytes_ = 0;
  size_t front_bytes_ = 0;  // of a row in all lanes of numbers
  bool has_objects_ = false;
  RowSlab backs_{0};
  RowSlab rows_{0};
  std::unique_ptr<char[]> merged_;  // of each lane what Sum gave last
};

}  // namespace millrace
