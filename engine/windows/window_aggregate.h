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

#include "engine/plan/plan.h"
#include "engine/windows/keyed_operator.h"

namespace millrace {

using WindowAggregateStats = KeyedOperatorStats;
using WindowOutput = KeyedOutput;

// Every window whose end, and what is allowed after it, is at or before the watermark is due.
// NextOutput gives at most as many rows as asked for, windows in order of their end; but for
// sessions all of one window. Windows without any row are not there. Where the node has `top`, it
// gives the first rows of a whole window, at most its limit.
class WindowAggregate : public KeyedOperator {
 public:
  // `output` has window_start, window_end, keys, aggregates.
  static Result<std::unique_ptr<WindowAggregate>> Make(const WindowAggregateNode& node,
                                                       const Schema& input, const Schema& output);
};

}  // namespace millrace
