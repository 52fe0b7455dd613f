#include "worker/row_tap.h"

#include <algorithm>
#include <utility>

#include "engine/layout/sink_routes.h"

namespace millrace {

RowTap::RowTap(const JobPlan& plan, const Clock* clock) : clock_(clock) {
  for (const PlanNode& node : plan.nodes) {
    const auto* const sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    sinks_.emplace(int32_t(sink->sink_index),
                   Sink{SinkName(sink->sink_index), JsonRowEncoder(node.output)});
  }
}

void RowTap::Keep(int32_t sink, const Rows& rows) {
  if (clock_->Monotonic().count() > open_until_) {
    open_until_ = 0;
    return;
  }
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(sink);
  const size_t room = kRowsMax - std::min(kRowsMax, kept_.rows.size());
  const int64_t shown = std::min<int64_t>(int64_t(room), rows.size());
  if (found == sinks_.end()) return;
  kept_.dropped += rows.size() - shown;
  if (shown == 0) return;
  std::string text;
  std::vector<size_t> ends;
  // Rows that cannot be told this way are told by their sink.
  if (!found->second.encoder.Encode(*rows.batch->Slice(0, shown), &text, &ends).ok()) return;
  size_t begin = 0;
  for (const size_t end : ends) {
    if (end - begin <= kRowBytesMax) {
      kept_.rows.push_back({found->second.name, text.substr(begin, end - begin)});
    } else {
      ++kept_.dropped;
    }
    begin = end;
  }
}

RowTap::Taken RowTap::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(kept_, Taken());
}

}  // namespace millrace
