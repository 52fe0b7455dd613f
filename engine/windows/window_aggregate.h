// Windowed aggregation with shared panes: a row is added once, to the accumulators of its
// (key, pane); a window is the merge of its panes, so a row's cost does not grow with size / slide.
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
  // Values of sum(integer) that do not fit a bigint: null in the output.
  int64_t sums_out_of_range = 0;
  int64_t open_panes = 0;  // pairs of (key, pane)
  int64_t keys = 0;
  int64_t state_bytes = 0;  // approximate
};

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

  // Every window whose end <= `watermark` is due. Never goes back (an older one changes nothing).
  // kEventTimeMax closes everything.
  virtual void AdvanceTo(EventTime watermark) = 0;

  // The next rows of due windows, at most `rows_max`, all of one window, windows in order of their
  // end; null when nothing is due. Windows without any row are not there.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> NextOutput(int64_t rows_max) = 0;
  // Whether NextOutput would return rows.
  virtual bool HasOutput() const = 0;

  // Writes everything that is open to `writer` (nothing of it may be there yet), and reads it back.
  // Restore only on a fresh one; what it gives out then is bit for bit what this one would. Fails
  // with "state_damaged", "state_version" or "state_of_another_query". docs/state-format.md.
  virtual Status Save(StateWriter* writer) const = 0;
  virtual Status Restore(StateReader* reader) = 0;

  virtual WindowAggregateStats stats() const = 0;
};

}  // namespace millrace
