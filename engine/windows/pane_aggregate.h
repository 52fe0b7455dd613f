// WindowAggregate over shared panes. Invariants:
// - a pane is here from its first row until its last window has been given out; so the earliest
//   pane decides which window comes next, and empty windows cost nothing, however many;
// - windows before a view's next_window have been given out by it, or had no rows; rows whose last
//   window is final are refused;
// - a key has an id while it has a pane in memory; the rows of a window come in the order of ids,
//   after those of keys that the store has a part of, which come in the order of the store.
//
// Rows of windows that are not final (pane_changes.cpp):
// - where lateness is allowed and somebody takes changes, a window is given out twice: at its end,
//   to those, and when it is final, to the others;
// - a row's header says whether the row is in its pane's list of those that were added to since
//   running rows were given out (`changed`), and since the first of its windows was (`late`).
//
// With a store (pane_state.cpp):
// - what is in memory is of the current chunk: the store's entries of this chunk are older images
//   of it, and what memory holds for a (key, pane) adds to what lower chunks hold;
// - a row's header has the seal number as of which the row is in a list of its pane: the current
//   one, `dirty`; the one before it, `sealed`; 0: in none, the store has it as it is. So sealing
//   visits panes and not rows;
// - nothing of a freed pane is written, but what a sealed epoch still holds of it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/windows/pane_table.h"
#include "engine/windows/stored_merge.h"
#include "engine/windows/stored_window_aggregate.h"
#include "engine/windows/window_geometry.h"

namespace millrace {

class PaneAggregate final : public StoredWindowAggregate {
 public:
  PaneAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                AccumulatorLayout layout);
  ~PaneAggregate() override;

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  Status AddPanes(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                  std::span<const uint32_t> selection) override;
  void AdvanceTo(EventTime watermark) override;
  Result<WindowOutput> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override;
  bool HasChanges(WindowChanges which) const override;
  void ShowChanges(WindowChanges which) override;
  Result<bool> WriteSealed(int64_t entries_max) override;
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
    std::vector<Member> dirty;   // touched since they were last written
    std::vector<Member> sealed;  // of the epoch being written; those touched since are written
    std::vector<Member> changed;
    std::vector<Member> late;
    bool is_written = false;  // the store has entries of it
    bool has_lower = false;   // of chunks before the current one
  };
  using PaneEntry = std::pair<const int64_t, Pane>;
  // Windows, or panes as windows of their own, are given out this long after their end.
  struct View {
    WindowGeometry geometry;
    RowAudience audience = RowAudience::kAll;
    Micros delay{0};
    int64_t next_window = INT64_MIN;
  };
  // Groups that have changed, while their rows are given out: window after window from `window` on,
  // before `end`. There is always a next row.
  struct Changes {
    RowKind kind;
    std::map<int64_t, std::vector<uint32_t>> keys;  // by pane
    int64_t window;
    int64_t end;
    std::vector<uint32_t> group;  // the keys that have changed in panes of the window
    size_t next = 0;              // of group
  };
  // A window that is being given out, of which the store has a part.
  struct StoredWindow {
    std::unique_ptr<StoredMerge> merge;
    std::vector<bool> done;  // by id of key: given out, or newer than the window
    void SetDone(uint32_t key) {
      if (key >= done.size()) done.resize(key + 1);
      done[key] = true;
    }
    bool IsDone(uint32_t key) const { return key < done.size() && done[key]; }
  };
  // Where rows of a window go.
  struct WindowRows {
    const View* view = nullptr;
    int64_t window = 0;
    bool is_final = false;
    std::vector<arrow::ArrayBuilder*> columns;
    int64_t left = 0;  // how many may still come
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

  PaneRange RangeOf(int64_t time) const;
  void AddBlock(std::span<const uint64_t> hashes);
  char* AccumulatorsOf(uint32_t key, int64_t pane);
  uint32_t NewMember(uint32_t key, int64_t pane);
  PaneEntry* PaneAt(int64_t index);

  // The next window with rows, and whether there is one.
  bool FindNext(const View& view, int64_t* window) const;
  bool IsDue(const View& view, int64_t window) const {
    return view.geometry.IsDue(window, MovedBack(watermark_, view.delay));
  }
  bool HasDue(const View& view) const;
  void SkipEmptyWindows(View* view);
  const View& final() const { return views_.back(); }
  const View& on_time() const { return gives_twice_ ? views_[views_.size() - 2] : final(); }
  View* NextDue(int64_t* window);
  // The panes of a window that are there.
  std::pair<std::map<int64_t, Pane>::iterator, std::map<int64_t, Pane>::iterator> PanesOf(
      const WindowGeometry& geometry, int64_t window);
  std::vector<Cursor> CursorsOf(const WindowRows& out);
  // The accumulators of the least key, into parts_; goes past them.
  uint32_t TakeKey(std::vector<Cursor>* cursors);
  void SkipDone(std::vector<Cursor>* cursors);
  Status GiveFromMemory(std::vector<Cursor>* cursors, WindowRows* out);
  Status OpenStoredWindow(const WindowRows& out);
  Status GiveFromStore(WindowRows* out);
  void MergeMemoryOf(uint32_t key, const WindowRows& out, char* row);
  // One row of a window, whose accumulators are merged.
  Status AppendRow(char* row, std::string_view key, uint64_t hash, WindowRows* out);
  // The accumulators themselves, as AddPanes takes them.
  Status AppendPane(const char* row, std::string_view key, uint64_t hash, WindowRows* out);
  Status GiveWindow(View* view, WindowRows* out);
  void FinishWindow(View* view, int64_t window);
  // Counts its rows, and frees it or, if a sealed epoch needs it, retires it.
  void ClosePane(PaneEntry* pane);
  void FreePane(PaneEntry* pane);

  // pane_changes.cpp
  // Puts the block's rows into the lists of what has changed.
  void MarkChanged();
  void Take(std::vector<Member> Pane::*list, Changes changes);
  // Goes to the next window with a row; false where there is none.
  bool NextGroup(Changes* changes);
  Status GiveChanges(WindowRows* out);
  // All that a window has of a key, into an initialised row.
  Status MergeGroup(uint32_t key, int64_t window, char* row);

  // pane_state.cpp
  std::string Cut() const override;
  Status TakeOver(StateIterator* entries) override;
  Status SealChanges() override;
  Status EvictAll() override;
  // Puts the block's rows into the lists of what to write. What is sealed is written first.
  void MarkTouched();
  void Touch(uint32_t key, int64_t pane);
  // Into the batch, which is given to the store where it has grown large.
  void WriteMember(PaneEntry* pane, const Member& member);
  Status WriteSealedOf(PaneEntry* pane, int64_t* left);
  void DeleteFreed();
  void ForgetMemory();

  const WindowGeometry geometry_;

  PaneTable slots_;
  std::map<int64_t, Pane> panes_;

  // Panes for others, windows at their end for those who take changes, windows that are final: the
  // last one is always there.
  std::vector<View> views_;
  bool gives_twice_ = false;  // there is one of windows at their end
  std::shared_ptr<arrow::Schema> pane_schema_;
  std::optional<size_t> given_out_;  // the view of which a window has been given out in part
  uint32_t next_key_ = 0;            // of that window
  std::deque<Changes> showing_;
  bool has_changed_ = false;  // panes may have rows in their lists
  bool has_late_ = false;

  // Of the current block, and of the pane last looked up.
  std::vector<int64_t> row_panes_;
  PaneEntry* recent_ = nullptr;
  std::vector<char*> parts_;

  std::vector<int64_t> sealed_panes_;  // with a `sealed` to write
  // Of panes that are freed and that the sealed epoch holds something of.
  std::map<int64_t, Pane> retired_;
  // The first and the last freed pane of which the store has entries.
  std::optional<std::pair<int64_t, int64_t>> freed_;
  std::unique_ptr<StoredWindow> stored_window_;
};

}  // namespace millrace
