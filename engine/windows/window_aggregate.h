// Windowed aggregation with shared panes: a row is added once, to the accumulators of its
// (key, pane); a window is the merge of its panes, so a row's cost does not grow with size / slide.
// Sessions are aggregated as they are (session_aggregate.h).
// Keys are mapped to dense ids once; (key id, pane) lives in an open-addressing hash; accumulators
// are rows of one slab, worked on column by column. Sums are double-double, variances come from
// double-double sums of x and x^2, percentiles are exact. See docs/architecture.md, "Windows".
//
// Used by one actor at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/rows.h"
#include "engine/plan/plan.h"
#include "engine/state/state_store.h"

namespace millrace {

struct WindowAggregateStats {
  int64_t rows_added = 0;     // rows given to Add
  int64_t rows_counted = 0;   // rows of panes whose last window has fired: the account's figure
  int64_t rows_too_late = 0;  // rows for panes whose last window has fired: 0, or a defect above
  // Values of sum(integer) that do not fit a bigint, joined texts above their limit: null in the
  // output.
  int64_t results_out_of_range = 0;
  int64_t rows_handed_on = 0;  // rows of panes given out for kPanes, since this object was made
  int64_t open_panes = 0;      // pairs of (key, pane), in memory
  int64_t keys = 0;            // in memory
  int64_t state_bytes = 0;     // in memory, approximately
  int64_t index_bytes = 0;     // of them, what Evict leaves
  // Rows of open panes, in memory or in the store.
  int64_t rows_open() const { return rows_added - rows_counted - rows_too_late; }
  int64_t sealed_entries = 0;  // pairs of (key, pane) written for the last epoch
};

// Who takes what comes out: of rows of a window those who take changes and those who take final
// ones; windows that are put together from panes.
enum class RowAudience { kAll, kChanges, kFinal, kPanes };

struct WindowOutput {
  std::shared_ptr<arrow::RecordBatch> batch;  // null: nothing is due
  RowKind kind = RowKind::kOnTime;
  RowAudience audience = RowAudience::kAll;
};

// Which groups of open windows are meant: of those that have been given out on time; or of all.
enum class WindowChanges { kCorrections, kAll };

class WindowAggregate {
 public:
  // `output` has window_start, window_end, keys, aggregates.
  static Result<std::unique_ptr<WindowAggregate>> Make(const WindowAggregateNode& node,
                                                       const Schema& input, const Schema& output);
  virtual ~WindowAggregate() = default;

  // Adds the selected rows. `hashes` has one key hash for every row of the batch; `selection`
  // lists the rows to add. Fails (internal) only on a batch that is not of the planned types.
  virtual Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                     std::span<const uint32_t> selection) = 0;

  // Adds what another aggregate gave out for kPanes: `batch` has a time in the pane (its first
  // microsecond), the bytes of its key, the key's hash, and its accumulators.
  virtual Status AddPanes(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                          std::span<const uint32_t> selection);

  // Every window whose end, and what is allowed after it, is at or before `watermark` is due. Never
  // goes back (an older one changes nothing). kEventTimeMax closes everything.
  virtual void AdvanceTo(EventTime watermark) = 0;

  // The next rows of due windows, at most `rows_max`, windows in order of their end; but for
  // sessions all of one window. Windows without any row are not there. Where the node has `top`,
  // the first rows of a whole window, at most its limit.
  virtual Result<WindowOutput> NextOutput(int64_t rows_max) = 0;
  // Whether NextOutput would return rows.
  virtual bool HasOutput() const = 0;

  // ---- rows of windows that are not final (WindowAggregateNode::gives_changes) ----
  // Whether groups have changed since their rows were last given out.
  virtual bool HasChanges(WindowChanges) const { return false; }
  // Makes their rows due. What has changed is known in memory only: a checkpoint or an eviction
  // comes after ShowChanges, or the rows stay as they were given out until they change again.
  virtual void ShowChanges(WindowChanges) {}

  // ---- state (docs/exactly-once.md, "State") ----
  // Keeps its state in `store` (which outlives it) as operator number `operator_number`, and takes
  // over what stands there: the rest of the state stays in the store until windows fire. Called
  // once, before anything else; without it nothing is kept beyond memory. "state_damaged",
  // "state_version", "state_of_another_query".
  virtual Status Open(StateStore* store, uint16_t operator_number) = 0;

  // The barrier: what is here now is the state of the epoch. Cheap: marks what changed since the
  // last one; what is touched before it was written is written first. Not while HasOutput. Without
  // a store nothing is sealed.
  virtual Status Seal() = 0;
  // Writes at most `entries_max` of what is sealed to the store; true while more is left. Once it
  // returned false, StateStore::Checkpoint holds the epoch exactly, if it is the next call.
  virtual Result<bool> WriteSealed(int64_t entries_max) = 0;
  bool sealed() const { return sealed_; }
  // Whether the store has enough to do: WriteSealed would wait for it.
  virtual bool StoreIsBehind() const = 0;

  // Writes everything out and forgets it: memory is as of a fresh one, but for index_bytes. Not
  // while sealed(), HasOutput or HasChanges. What is forgotten is no epoch's before the next Seal.
  virtual Status Evict() = 0;

  // What the state is of: windows, keys, aggregates. Equal ones read each other's state.
  virtual std::string Fingerprint() const = 0;

  virtual WindowAggregateStats stats() const = 0;

 protected:
  bool sealed_ = false;  // sealed and not all written
};

}  // namespace millrace
