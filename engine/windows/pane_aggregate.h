// WindowAggregate over shared panes. Invariants:
// - a pane is here from its first row until its last window has been given out; so the earliest
//   pane decides which window comes next, and empty windows cost nothing, however many;
// - windows before next_window_ have been given out, or had no rows; rows whose last window is due
//   are refused, so what is given out is final;
// - a key has an id while it has a pane; the rows of a window come in the order of ids.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_slab.h"
#include "engine/windows/accumulator_update.h"
#include "engine/windows/key_table.h"
#include "engine/windows/pane_table.h"
#include "engine/windows/window_aggregate.h"
#include "engine/windows/window_geometry.h"

namespace millrace {

class PaneAggregate final : public WindowAggregate {
 public:
  PaneAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                AccumulatorLayout layout);
  ~PaneAggregate() override;

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  void AdvanceTo(EventTime watermark) override;
  Result<std::shared_ptr<arrow::RecordBatch>> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override;
  Status Save(StateWriter* writer) const override;
  Status Restore(StateReader* reader) override;
  WindowAggregateStats stats() const override;

 private:
  // The accumulators of one key in one pane; orders by key.
  struct Member {
    uint32_t key;
    uint32_t slot;
    friend auto operator<=>(const Member&, const Member&) = default;
  };
  struct Pane {
    std::vector<Member> members;
    bool sorted = true;
  };
  // Where the merge of a window's panes stands in one of them.
  struct Cursor {
    const Member* next;
    const Member* end;
    int64_t pane;
    // As a heap: the least key first, and of one key the earliest pane.
    friend bool operator<(const Cursor& left, const Cursor& right) {
      if (left.next->key != right.next->key) return left.next->key > right.next->key;
      return left.pane > right.pane;
    }
  };
  // The event times of a pane: a run of rows in one pane is placed once.
  struct PaneRange {
    int64_t first = 1;
    int64_t last = 0;
    int64_t pane = 0;
    bool open = false;
  };

  // Rows are worked on in blocks that stay in the first-level cache.
  static constexpr size_t kBlockRows = 512;
  static constexpr size_t kPrefetchAhead = 12;
  // Of saved state; a larger one is damage.
  static constexpr uint32_t kKeyIdMax = 1u << 26;

  PaneRange RangeOf(int64_t time) const;
  void AddBlock(std::span<const uint64_t> hashes);
  char* AccumulatorsOf(uint32_t key, int64_t pane);
  uint32_t NewMember(uint32_t key, int64_t pane);

  // The next window with rows, and whether there is one.
  bool FindNext(int64_t* window) const;
  void SkipEmptyWindows();
  std::vector<Cursor> CursorsOf(int64_t window);
  // One row of a window: the merge of `parts`, the accumulators of a key's panes.
  Status AppendRow(std::span<char* const> parts, uint32_t key, int64_t window,
                   std::span<arrow::ArrayBuilder* const> columns);
  void FinishWindow(int64_t window);
  void FreePane(int64_t index, const Pane& pane);

  std::string Fingerprint() const;
  std::string EncodeHeader() const;
  std::string EncodeKey(int64_t pane, const Member& member) const;
  Status RestoreHeader(std::string_view value);
  Status RestoreMember(std::string_view key, std::string_view value);

  const WindowAggregateNode node_;
  const std::shared_ptr<arrow::Schema> output_;
  const WindowGeometry geometry_;
  const AccumulatorLayout layout_;

  KeyTable keys_;
  PaneTable slots_;
  AccumulatorSlab slab_;
  std::map<int64_t, Pane> panes_;
  int64_t object_bytes_ = 0;

  EventTime watermark_ = kEventTimeMin;
  int64_t next_window_ = INT64_MIN;
  uint32_t next_key_ = 0;  // of next_window_, where a part of it has been given out
  WindowAggregateStats counts_;

  // Of the current block, and of the pane last looked up.
  AccumulatorUpdate update_;
  std::vector<uint32_t> rows_;  // of the batch: those of the block that are not refused
  std::vector<int64_t> row_panes_;
  std::vector<uint32_t> row_keys_;
  std::vector<char*> row_accumulators_;
  int64_t recent_pane_ = 0;
  Pane* recent_ = nullptr;
  std::unique_ptr<char[]> merged_;
};

}  // namespace millrace
