#include "engine/windows/pane_aggregate.h"

#include <algorithm>

#include "engine/windows/aggregate_result.h"

namespace millrace {

PaneAggregate::PaneAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                             AccumulatorLayout layout)
    : node_(node),
      output_(std::move(output)),
      geometry_(node.size, node.slide, node.pane, node.offset),
      layout_(std::move(layout)),
      keys_(node.keys),
      slab_(layout_.row_bytes()),
      update_(&layout_),
      merged_(new char[layout_.row_bytes()]) {}

PaneAggregate::~PaneAggregate() {
  for (const auto& [index, pane] : panes_) {
    for (const Member& member : pane.members) layout_.Destroy(slab_.Row(member.slot));
  }
}

// ---- Adding rows -------------------------------------------------------------------------------

PaneAggregate::PaneRange PaneAggregate::RangeOf(int64_t time) const {
  PaneRange range;
  range.pane = geometry_.PaneOf(time);
  range.first = geometry_.PaneStart(range.pane);
  range.last = geometry_.PaneLast(range.pane);
  range.open = !geometry_.IsDue(geometry_.LastWindowOf(range.pane), watermark_);
  return range;
}

Status PaneAggregate::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                          std::span<const uint32_t> selection) {
  ARROW_RETURN_NOT_OK(keys_.Bind(batch));
  ARROW_RETURN_NOT_OK(update_.Bind(batch));
  ARROW_ASSIGN_OR_RAISE(const ColumnReader time_column,
                        ColumnReader::Make(*batch.column(node_.event_time)));
  if (time_column.type() != Type::kTimestamp) {
    return InternalError("bad_column_type", "the event time of a window is not a timestamp");
  }
  const int64_t* times = time_column.Values<int64_t>();
  const bool may_be_null = time_column.may_be_null();
  counts_.rows_added += int64_t(selection.size());
  PaneRange range;
  for (size_t begin = 0; begin < selection.size(); begin += kBlockRows) {
    const size_t end = std::min(begin + kBlockRows, selection.size());
    rows_.clear();
    row_panes_.clear();
    for (size_t i = begin; i < end; ++i) {
      const uint32_t row = selection[i];
      const int64_t time = times[row];
      if (time < range.first || time > range.last) range = RangeOf(time);
      if (!range.open || (may_be_null && time_column.IsNull(row))) {
        ++counts_.rows_too_late;
        continue;
      }
      // Between windows that are further apart than they are long: in none of them.
      if (geometry_.panes_per_slide > geometry_.panes_per_window &&
          geometry_.FirstWindowOf(range.pane) > geometry_.LastWindowOf(range.pane)) {
        ++counts_.rows_counted;
        continue;
      }
      rows_.push_back(row);
      row_panes_.push_back(range.pane);
    }
    AddBlock(hashes);
  }
  return Status::OK();
}

void PaneAggregate::AddBlock(std::span<const uint64_t> hashes) {
  const size_t count = rows_.size();
  row_keys_.resize(count);
  row_accumulators_.resize(count);
  for (size_t i = 0; i < std::min(count, kPrefetchAhead); ++i) keys_.Prefetch(hashes[rows_[i]]);
  for (size_t i = 0; i < count; ++i) {
    if (i + kPrefetchAhead < count) keys_.Prefetch(hashes[rows_[i + kPrefetchAhead]]);
    row_keys_[i] = keys_.FindOrInsert(hashes[rows_[i]], rows_[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    if (i + kPrefetchAhead < count) {
      slots_.Prefetch(row_keys_[i + kPrefetchAhead], row_panes_[i + kPrefetchAhead]);
    }
    row_accumulators_[i] = AccumulatorsOf(row_keys_[i], row_panes_[i]);
    for (size_t line = 0; line < layout_.row_bytes(); line += 64) {
      __builtin_prefetch(row_accumulators_[i] + line, 1);
    }
  }
  object_bytes_ += update_.Apply({rows_, row_accumulators_});
}

char* PaneAggregate::AccumulatorsOf(uint32_t key, int64_t pane) {
  uint32_t* slot = slots_.FindOrInsert(key, pane);
  if (*slot == PaneTable::kNoSlot) [[unlikely]]
    *slot = NewMember(key, pane);
  return slab_.Row(*slot);
}

uint32_t PaneAggregate::NewMember(uint32_t key, int64_t pane) {
  const uint32_t slot = slab_.Take();
  layout_.Initialise(slab_.Row(slot));
  keys_.AddPane(key);
  if (recent_ == nullptr || recent_pane_ != pane) {
    recent_ = &panes_[pane];
    recent_pane_ = pane;
  }
  std::vector<Member>& members = recent_->members;
  if (!members.empty() && members.back().key > key) recent_->sorted = false;
  members.push_back({key, slot});
  return slot;
}

// ---- Giving out windows ------------------------------------------------------------------------

void PaneAggregate::AdvanceTo(EventTime watermark) {
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  SkipEmptyWindows();
}

bool PaneAggregate::FindNext(int64_t* window) const {
  if (panes_.empty()) return false;
  // The earliest pane is still in a window: were its last one given out, it would be gone.
  *window = std::max(next_window_, geometry_.FirstWindowOf(panes_.begin()->first));
  return true;
}

bool PaneAggregate::HasOutput() const {
  int64_t window = 0;
  return FindNext(&window) && geometry_.IsDue(window, watermark_);
}

void PaneAggregate::SkipEmptyWindows() {
  if (HasOutput()) return;
  next_window_ = std::max(next_window_, geometry_.FirstWindowAfter(watermark_));
}

std::vector<PaneAggregate::Cursor> PaneAggregate::CursorsOf(int64_t window) {
  std::vector<Cursor> cursors;
  auto pane = panes_.lower_bound(geometry_.FirstPaneOf(window));
  const int64_t last = geometry_.LastPaneOf(window);
  for (; pane != panes_.end() && pane->first <= last; ++pane) {
    std::vector<Member>& members = pane->second.members;
    if (!pane->second.sorted) std::ranges::sort(members);
    pane->second.sorted = true;
    const auto first = std::ranges::lower_bound(members, next_key_, {}, &Member::key);
    if (first == members.end()) continue;
    cursors.push_back({&*first, members.data() + members.size(), pane->first});
  }
  std::make_heap(cursors.begin(), cursors.end());
  return cursors;
}

Result<std::shared_ptr<arrow::RecordBatch>> PaneAggregate::NextOutput(int64_t rows_max) {
  int64_t window = 0;
  if (!FindNext(&window) || !geometry_.IsDue(window, watermark_)) {
    return std::shared_ptr<arrow::RecordBatch>();
  }
  next_window_ = window;
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
  std::vector<arrow::ArrayBuilder*> columns;
  for (int i = 0; i < output_->num_fields(); ++i) columns.push_back(builder->GetField(i));

  std::vector<Cursor> cursors = CursorsOf(window);
  std::vector<char*> parts;
  for (int64_t rows = 0; !cursors.empty() && rows < std::max<int64_t>(rows_max, 1); ++rows) {
    const uint32_t key = cursors.front().next->key;
    parts.clear();
    while (!cursors.empty() && cursors.front().next->key == key) {
      std::pop_heap(cursors.begin(), cursors.end());
      Cursor& cursor = cursors.back();
      parts.push_back(slab_.Row(cursor.next->slot));
      if (++cursor.next == cursor.end) {
        cursors.pop_back();
      } else {
        std::push_heap(cursors.begin(), cursors.end());
      }
    }
    ARROW_RETURN_NOT_OK(AppendRow(parts, key, window, columns));
    next_key_ = key + 1;
  }
  if (cursors.empty()) FinishWindow(window);
  return builder->Flush();
}

Status PaneAggregate::AppendRow(std::span<char* const> parts, uint32_t key, int64_t window,
                                std::span<arrow::ArrayBuilder* const> columns) {
  const auto append_time = [](arrow::ArrayBuilder* builder, EventTime time) {
    return static_cast<arrow::TimestampBuilder*>(builder)->Append(time.time_since_epoch().count());
  };
  ARROW_RETURN_NOT_OK(append_time(columns[0], geometry_.WindowStart(window)));
  ARROW_RETURN_NOT_OK(append_time(columns[1], geometry_.WindowEnd(window)));
  ARROW_RETURN_NOT_OK(keys_.AppendTo(key, columns.subspan(2, node_.keys.size())));
  columns = columns.subspan(2 + node_.keys.size());

  char* row = parts.front();
  if (parts.size() > 1) {
    row = merged_.get();
    layout_.Initialise(row);
    for (const char* part : parts) layout_.Merge(row, part);
  }
  Status status;
  for (size_t i = 0; i < columns.size() && status.ok(); ++i) {
    status =
        AppendResult(layout_, layout_.outputs()[i], row, columns[i], &counts_.sums_out_of_range);
  }
  if (parts.size() > 1) layout_.Destroy(row);
  return status;
}

void PaneAggregate::FinishWindow(int64_t window) {
  while (!panes_.empty() && geometry_.LastWindowOf(panes_.begin()->first) <= window) {
    FreePane(panes_.begin()->first, panes_.begin()->second);
    panes_.erase(panes_.begin());
  }
  next_window_ = window == INT64_MAX ? window : window + 1;
  next_key_ = 0;
  SkipEmptyWindows();
}

void PaneAggregate::FreePane(int64_t index, const Pane& pane) {
  for (const Member& member : pane.members) {
    char* row = slab_.Row(member.slot);
    counts_.rows_counted += FieldAt<int64_t>(row, 0);
    object_bytes_ -= layout_.Destroy(row);
    slots_.Erase(member.key, index);
    slab_.Free(member.slot);
    keys_.RemovePane(member.key);
  }
  recent_ = nullptr;
}

WindowAggregateStats PaneAggregate::stats() const {
  WindowAggregateStats stats = counts_;
  stats.open_panes = int64_t(slots_.size());
  stats.keys = int64_t(keys_.size());
  stats.state_bytes = object_bytes_ + int64_t(slab_.MemoryBytes() + slots_.MemoryBytes() +
                                              keys_.MemoryBytes() + slots_.size() * sizeof(Member));
  return stats;
}

}  // namespace millrace
