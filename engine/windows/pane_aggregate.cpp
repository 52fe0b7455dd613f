#include "engine/windows/pane_aggregate.h"

#include <arrow/table_builder.h>

#include <algorithm>

#include "engine/windows/aggregate_result.h"
#include "engine/windows/top_rows.h"

namespace millrace {

PaneAggregate::PaneAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                             AccumulatorLayout layout)
    : StoredWindowAggregate(node, std::move(output), std::move(layout)), geometry_(node) {
  gives_twice_ = node.gives_changes && node.allowed_lateness > Micros(0);
  if (node.gives_panes) views_.push_back({geometry_.PanesAlone(), RowAudience::kPanes});
  if (gives_twice_) views_.push_back({geometry_, RowAudience::kChanges});
  views_.push_back(
      {geometry_, gives_twice_ ? RowAudience::kFinal : RowAudience::kAll, node.allowed_lateness});
  const auto row = arrow::fixed_size_binary(int32_t(layout_.row_bytes()));
  pane_schema_ =
      arrow::schema({arrow::field("time", arrow::int64()), arrow::field("key", arrow::binary()),
                     arrow::field("hash", arrow::uint64()), arrow::field("row", row)});
}

PaneAggregate::~PaneAggregate() {
  if (!layout_.has_objects()) return;
  for (const auto* panes : {&panes_, &retired_}) {
    for (const auto& [index, pane] : *panes) {
      for (const Member& member : pane.members) layout_.Destroy(slab_.Row(member.slot));
    }
  }
}

// ---- Adding rows -------------------------------------------------------------------------------

PaneAggregate::PaneRange PaneAggregate::RangeOf(int64_t time) const {
  PaneRange range;
  range.pane = geometry_.PaneOf(time);
  range.first = geometry_.PaneStart(range.pane);
  range.last = geometry_.PaneLast(range.pane);
  range.open = !IsDue(final(), geometry_.LastWindowOf(range.pane));
  return range;
}

Status PaneAggregate::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                          std::span<const uint32_t> selection) {
  ARROW_ASSIGN_OR_RAISE(const ColumnReader time_column, Bind(batch));
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
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
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
    const char* const header = row_accumulators_[i] - sizeof(RowHeader);
    for (size_t line = 0; line < sizeof(RowHeader) + layout_.row_bytes(); line += 64) {
      __builtin_prefetch(header + line, 1);
    }
  }
  if (store_ != nullptr) MarkTouched();
  if (node_.gives_changes) MarkChanged();
  object_bytes_ += update_.Apply({rows_, row_accumulators_});
}

// Accumulators of a fixed size, added to those of the pane that they are in here.
Status PaneAggregate::AddPanes(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                               std::span<const uint32_t> selection) {
  if (layout_.has_objects() || !batch.schema()->Equals(*pane_schema_)) {
    return InternalError("bad_window", "panes of other aggregates were handed to a window");
  }
  const auto& times = static_cast<const arrow::Int64Array&>(*batch.column(0));
  const auto& keys = static_cast<const arrow::BinaryArray&>(*batch.column(1));
  const auto& rows = static_cast<const arrow::FixedSizeBinaryArray&>(*batch.column(3));
  const auto row_at = [&rows](uint32_t row) {
    return reinterpret_cast<const char*>(rows.GetValue(row));
  };
  for (size_t begin = 0; begin < selection.size(); begin += kBlockRows) {
    rows_.clear();
    row_panes_.clear();
    row_keys_.clear();
    row_accumulators_.clear();
    for (const uint32_t row :
         selection.subspan(begin, std::min(kBlockRows, selection.size() - begin))) {
      const int64_t count = FieldAt<int64_t>(row_at(row), 0);
      counts_.rows_added += count;
      const PaneRange range = RangeOf(times.Value(row));
      if (!range.open) {
        counts_.rows_too_late += count;
        continue;
      }
      rows_.push_back(row);
      row_panes_.push_back(range.pane);
      row_keys_.push_back(keys_.FindOrInsert(hashes[row], keys.GetView(row)));
      row_accumulators_.push_back(AccumulatorsOf(row_keys_.back(), range.pane));
    }
    if (store_ != nullptr) MarkTouched();
    for (size_t i = 0; i < rows_.size(); ++i) {
      layout_.Merge(row_accumulators_[i], row_at(rows_[i]));
    }
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  return Status::OK();
}

char* PaneAggregate::AccumulatorsOf(uint32_t key, int64_t pane) {
  uint32_t* slot = slots_.FindOrInsert(key, pane);
  if (*slot == PaneTable::kNoSlot) [[unlikely]]
    *slot = NewMember(key, pane);
  return slab_.Row(*slot);
}

uint32_t PaneAggregate::NewMember(uint32_t key, int64_t pane) {
  const uint32_t slot = slab_.Take();
  char* row = slab_.Row(slot);
  layout_.Initialise(row);
  AccumulatorSlab::HeaderOf(row) = {
      .touched = seal_number_, .parts = 0, .is_changed = 0, .is_late = 0};
  if (stored_window_ != nullptr && !keys_.HasPane(key)) stored_window_->SetDone(key);
  keys_.AddPane(key);
  Pane& its_pane = PaneAt(pane)->second;
  if (!its_pane.members.empty() && its_pane.members.back().key > key) its_pane.sorted = false;
  its_pane.members.push_back({key, slot});
  if (store_ != nullptr) its_pane.dirty.push_back({key, slot});
  return slot;
}

PaneAggregate::PaneEntry* PaneAggregate::PaneAt(int64_t index) {
  if (recent_ == nullptr || recent_->first != index) recent_ = &*panes_.try_emplace(index).first;
  return recent_;
}

// ---- Giving out windows ------------------------------------------------------------------------

void PaneAggregate::AdvanceTo(EventTime watermark) {
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  // First what corrects windows that have been given out already: those that are due now know it.
  if (has_late_ && HasOutput()) ShowChanges(WindowChanges::kCorrections);
  for (View& view : views_) SkipEmptyWindows(&view);
}

bool PaneAggregate::FindNext(const View& view, int64_t* window) const {
  const auto pane = panes_.lower_bound(view.geometry.FirstPaneOf(view.next_window));
  if (pane == panes_.end()) return false;
  *window = std::max(view.next_window, view.geometry.FirstWindowOf(pane->first));
  return true;
}

bool PaneAggregate::HasDue(const View& view) const {
  int64_t window = 0;
  return FindNext(view, &window) && IsDue(view, window);
}

bool PaneAggregate::HasOutput() const {
  return !showing_.empty() ||
         std::ranges::any_of(views_, [this](const View& view) { return HasDue(view); });
}

void PaneAggregate::SkipEmptyWindows(View* view) {
  if (HasDue(*view)) return;
  view->next_window = std::max(view->next_window,
                               view->geometry.FirstWindowAfter(MovedBack(watermark_, view->delay)));
}

std::pair<std::map<int64_t, PaneAggregate::Pane>::iterator,
          std::map<int64_t, PaneAggregate::Pane>::iterator>
PaneAggregate::PanesOf(const WindowGeometry& geometry, int64_t window) {
  return {panes_.lower_bound(geometry.FirstPaneOf(window)),
          panes_.upper_bound(geometry.LastPaneOf(window))};
}

std::vector<PaneAggregate::Cursor> PaneAggregate::CursorsOf(const WindowRows& out) {
  std::vector<Cursor> cursors;
  auto [pane, end] = PanesOf(out.view->geometry, out.window);
  for (; pane != end; ++pane) {
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

uint32_t PaneAggregate::TakeKey(std::vector<Cursor>* cursors) {
  const uint32_t key = cursors->front().next->key;
  parts_.clear();
  while (!cursors->empty() && cursors->front().next->key == key) {
    std::pop_heap(cursors->begin(), cursors->end());
    Cursor& cursor = cursors->back();
    parts_.push_back(slab_.Row(cursor.next->slot));
    if (++cursor.next == cursor.end) {
      cursors->pop_back();
    } else {
      std::push_heap(cursors->begin(), cursors->end());
    }
  }
  next_key_ = key + 1;
  return key;
}

void PaneAggregate::SkipDone(std::vector<Cursor>* cursors) {
  if (stored_window_ == nullptr) return;
  while (!cursors->empty() && stored_window_->IsDone(cursors->front().next->key)) TakeKey(cursors);
}

Result<WindowOutput> PaneAggregate::NextOutput(int64_t rows_max) {
  WindowOutput output;
  WindowRows out;
  View* const view = showing_.empty() ? NextDue(&out.window) : nullptr;
  if (view == nullptr && showing_.empty()) return output;
  out.view = view != nullptr ? view : &final();
  out.is_final = view == &final();
  out.left = node_.top.has_value() ? INT64_MAX : std::max<int64_t>(rows_max, 1);
  output.kind = view != nullptr ? RowKind::kOnTime : showing_.front().kind;
  output.audience = view != nullptr ? view->audience : RowAudience::kChanges;

  const auto& schema = output.audience == RowAudience::kPanes ? pane_schema_ : output_;
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(schema, arrow::default_memory_pool()));
  for (int i = 0; i < schema->num_fields(); ++i) out.columns.push_back(builder->GetField(i));
  ARROW_RETURN_NOT_OK(view != nullptr ? GiveWindow(view, &out) : GiveChanges(&out));
  ARROW_ASSIGN_OR_RAISE(output.batch, builder->Flush());
  if (node_.top.has_value()) {
    ARROW_ASSIGN_OR_RAISE(output.batch, FirstRows(output.batch, *node_.top));
  }
  return output;
}

// The view whose window comes next; null where nothing is due.
PaneAggregate::View* PaneAggregate::NextDue(int64_t* window) {
  for (size_t i = given_out_.value_or(0); i < views_.size(); ++i) {
    View& view = views_[i];
    if (!FindNext(view, window) || !IsDue(view, *window)) continue;
    view.next_window = *window;
    given_out_ = i;
    return &view;
  }
  return nullptr;
}

Status PaneAggregate::GiveWindow(View* view, WindowRows* out) {
  ARROW_RETURN_NOT_OK(OpenStoredWindow(*out));
  if (stored_window_ != nullptr) ARROW_RETURN_NOT_OK(GiveFromStore(out));
  if (stored_window_ == nullptr || !stored_window_->merge->Valid()) {
    std::vector<Cursor> cursors = CursorsOf(*out);
    ARROW_RETURN_NOT_OK(GiveFromMemory(&cursors, out));
    if (cursors.empty()) FinishWindow(view, out->window);
  }
  return Status::OK();
}

Status PaneAggregate::GiveFromMemory(std::vector<Cursor>* cursors, WindowRows* out) {
  for (;; --out->left) {
    SkipDone(cursors);
    if (cursors->empty() || out->left == 0) return Status::OK();
    const uint32_t key = TakeKey(cursors);
    // Computing a percentile changes the order of values.
    const bool is_shared =
        layout_.has_values() && AccumulatorSlab::HeaderOf(parts_.front()).parts > 0;
    if (parts_.size() == 1 && !is_shared) {
      ARROW_RETURN_NOT_OK(AppendRow(parts_.front(), keys_.bytes(key), keys_.hash(key), out));
      continue;
    }
    char* const row = merged_.get();
    layout_.Initialise(row);
    for (const char* part : parts_) layout_.Merge(row, part);
    const Status status = AppendRow(row, keys_.bytes(key), keys_.hash(key), out);
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
  }
}

Status PaneAggregate::OpenStoredWindow(const WindowRows& out) {
  if (stored_window_ != nullptr) return Status::OK();
  std::vector<StoredPane> panes;
  auto [pane, end] = PanesOf(out.view->geometry, out.window);
  for (; pane != end; ++pane) {
    if (!pane->second.has_lower) continue;
    const bool is_last = out.is_final && geometry_.LastWindowOf(pane->first) == out.window;
    panes.push_back({geometry_.PaneLast(pane->first), is_last, {}});
  }
  if (panes.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(auto merge, StoredMerge::Make(store_, &format_, chunk_, panes));
  stored_window_ = std::make_unique<StoredWindow>();
  stored_window_->merge = std::move(merge);
  return Status::OK();
}

Status PaneAggregate::GiveFromStore(WindowRows* out) {
  StoredMerge& merge = *stored_window_->merge;
  char* const row = merged_.get();
  for (; merge.Valid() && out->left > 0; --out->left) {
    layout_.Initialise(row);
    Status status = merge.Next(row);
    if (status.ok()) {
      const uint32_t key = keys_.Find(merge.hash(), merge.key());
      if (key != KeyTable::kNone) MergeMemoryOf(key, *out, row);
      status = AppendRow(row, merge.key(), merge.hash(), out);
    }
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
  }
  return Status::OK();
}

void PaneAggregate::MergeMemoryOf(uint32_t key, const WindowRows& out, char* row) {
  stored_window_->SetDone(key);
  auto [pane, end] = PanesOf(out.view->geometry, out.window);
  for (; pane != end; ++pane) {
    if (pane->second.members.empty()) continue;
    const uint32_t slot = slots_.Find(key, pane->first);
    if (slot != PaneTable::kNoSlot) layout_.Merge(row, slab_.Row(slot));
  }
}

Status PaneAggregate::AppendPane(const char* row, std::string_view key, uint64_t hash,
                                 WindowRows* out) {
  const auto column = [out]<typename Builder>(size_t index, Builder*) {
    return static_cast<Builder*>(out->columns[index]);
  };
  counts_.rows_handed_on += FieldAt<int64_t>(row, 0);
  ARROW_RETURN_NOT_OK(column(0, static_cast<arrow::Int64Builder*>(nullptr))
                          ->Append(geometry_.PaneStart(out->window)));
  ARROW_RETURN_NOT_OK(column(1, static_cast<arrow::BinaryBuilder*>(nullptr))->Append(key));
  ARROW_RETURN_NOT_OK(column(2, static_cast<arrow::UInt64Builder*>(nullptr))->Append(hash));
  return column(3, static_cast<arrow::FixedSizeBinaryBuilder*>(nullptr))->Append(row);
}

Status PaneAggregate::AppendRow(char* row, std::string_view key, uint64_t hash, WindowRows* out) {
  if (out->view->audience == RowAudience::kPanes) return AppendPane(row, key, hash, out);
  const WindowTimes times{geometry_.WindowStart(out->window), geometry_.WindowEnd(out->window)};
  int64_t not_final = 0;
  int64_t* const out_of_range = out->is_final ? &counts_.results_out_of_range : &not_final;
  // Of `top` a row is a key: what is equal is there so many times.
  const int64_t times_given =
      node_.top.has_value() ? std::min(FieldAt<int64_t>(row, 0), node_.top->limit) : 1;
  for (int64_t i = 0; i < times_given; ++i) {
    ARROW_RETURN_NOT_OK(
        AppendWindow(layout_, times, key, node_.keys.size(), row, out->columns, out_of_range));
  }
  return Status::OK();
}

void PaneAggregate::FinishWindow(View* view, int64_t window) {
  if (stored_window_ != nullptr) counts_.rows_counted += stored_window_->merge->rows_counted();
  stored_window_.reset();
  if (view == &views_.back()) {
    while (!panes_.empty() && geometry_.LastWindowOf(panes_.begin()->first) <= window) {
      ClosePane(&*panes_.begin());
      panes_.erase(panes_.begin());
    }
    recent_ = nullptr;
  }
  view->next_window = window == INT64_MAX ? window : window + 1;
  next_key_ = 0;
  given_out_.reset();
  SkipEmptyWindows(view);
}

void PaneAggregate::ClosePane(PaneEntry* pane) {
  for (const Member& member : pane->second.members) {
    counts_.rows_counted += FieldAt<int64_t>(slab_.Row(member.slot), 0);
  }
  if (pane->second.sealed.empty()) {
    FreePane(pane);
  } else {
    retired_.emplace(pane->first, std::move(pane->second));
  }
}

void PaneAggregate::FreePane(PaneEntry* pane) {
  for (const Member& member : pane->second.members) {
    object_bytes_ -= layout_.Destroy(slab_.Row(member.slot));
    slots_.Erase(member.key, pane->first);
    slab_.Free(member.slot);
    keys_.RemovePane(member.key);
  }
  if (!pane->second.is_written) return;
  if (!freed_.has_value()) freed_.emplace(pane->first, pane->first);
  freed_->first = std::min(freed_->first, pane->first);
  freed_->second = std::max(freed_->second, pane->first);
}

WindowAggregateStats PaneAggregate::stats() const {
  WindowAggregateStats stats = counts_;
  stats.open_panes = int64_t(slots_.size());
  stats.keys = int64_t(keys_.size());
  const size_t lists = store_ == nullptr ? 1 : 2;
  stats.state_bytes =
      object_bytes_ + int64_t(slab_.MemoryBytes() + slots_.MemoryBytes() + keys_.MemoryBytes() +
                              slots_.size() * sizeof(Member) * lists + writer_.bytes());
  return stats;
}

}  // namespace millrace
