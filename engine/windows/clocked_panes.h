// WindowAggregate over panes where each key has a clock (event_time.per_key): of a key its windows
// are given out when its own watermark reaches their end, or the fleet's less `offline_for`.
// Invariants:
// - a pane of a key is a piece (piece_aggregate.h) from its first row until its last window has
// been
//   given out; a row is late for all windows of its pane once that has ended, by what had been read
//   of its key before it: so it depends on the key's partition alone, and on the floor;
// - a clock is due at the end of the first window that is not given out of any of its keys;
// - of one clock, rows come out in the order of window_end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/windows/pane_table.h"
#include "engine/windows/piece_aggregate.h"
#include "engine/windows/window_geometry.h"

namespace millrace {

class ClockedPanes final : public PieceAggregate {
 public:
  // `node` with a clock, and without a gap.
  ClockedPanes(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
               AccumulatorLayout layout);

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  WindowAggregateStats stats() const override;

 private:
  // The event times of a pane: a run of rows in one pane is placed once.
  struct PaneRange {
    int64_t first = 1;
    int64_t last = 0;
    int64_t pane = 0;
    bool has_window = false;
  };
  PaneRange RangeOf(int64_t time) const;
  // The rows of the block that are in time, their panes and clocks.
  void Judge(const ColumnReader& times, std::span<const uint32_t> block);
  void AddBlock(std::span<const uint64_t> hashes);
  uint32_t PieceAt(uint32_t key, int64_t pane, uint32_t clock);
  uint32_t Begin(uint32_t key, int64_t pane, uint32_t clock);

  // The next window of the key that is not given out.
  int64_t NextWindowOf(uint32_t key) const;
  Status GiveClock(uint32_t clock, int64_t* left, Columns columns) override;
  Status GiveWindow(uint32_t key, int64_t window, Columns columns);
  // Adds the piece to an initialised row.
  Status Merge(uint32_t piece, bool is_last, char* row);
  void Close(uint32_t piece);

  std::string Cut() const override;
  Result<uint32_t> TakeOverPlace(const Stored& stored) override;

  const WindowGeometry geometry_;
  PaneTable by_pane_;  // (key, pane) -> piece

  // Of the current block.
  std::vector<int64_t> row_panes_;
  std::vector<uint32_t> row_clocks_;
  std::vector<uint32_t> block_clocks_;
  std::vector<uint32_t> window_;  // pieces of the window that is given out
};

}  // namespace millrace
