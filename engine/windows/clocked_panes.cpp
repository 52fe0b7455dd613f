#include "engine/windows/clocked_panes.h"

#include <algorithm>

#include "engine/windows/aggregate_result.h"
#include "engine/windows/state_entry.h"

namespace millrace {

ClockedPanes::ClockedPanes(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                           AccumulatorLayout layout)
    : PieceAggregate(node, std::move(output), std::move(layout)), geometry_(node) {}

// ---- Adding rows -------------------------------------------------------------------------------

ClockedPanes::PaneRange ClockedPanes::RangeOf(int64_t time) const {
  PaneRange range;
  range.pane = geometry_.PaneOf(time);
  range.first = geometry_.PaneStart(range.pane);
  range.last = geometry_.PaneLast(range.pane);
  range.has_window = geometry_.FirstWindowOf(range.pane) <= geometry_.LastWindowOf(range.pane);
  return range;
}

Status ClockedPanes::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                         std::span<const uint32_t> selection) {
  ARROW_ASSIGN_OR_RAISE(const ColumnReader times, Bind(batch));
  ARROW_RETURN_NOT_OK(BindClocks(batch, hashes));
  for (size_t begin = 0; begin < selection.size(); begin += kBlockRows) {
    Judge(times, selection.subspan(begin, std::min(kBlockRows, selection.size() - begin)));
    AddBlock(hashes);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  return Status::OK();
}

void ClockedPanes::Judge(const ColumnReader& times, std::span<const uint32_t> block) {
  rows_.clear();
  row_panes_.clear();
  row_clocks_.clear();
  block_clocks_.resize(block.size());
  for (size_t i = 0; i < std::min(block.size(), kPrefetchAhead); ++i) clocks_->Prefetch(block[i]);
  for (size_t i = 0; i < block.size(); ++i) {
    if (i + kPrefetchAhead < block.size()) clocks_->Prefetch(block[i + kPrefetchAhead]);
    block_clocks_[i] = clocks_->Find(block[i]);
  }
  const int64_t* const values = times.Values<int64_t>();
  const bool may_be_null = times.may_be_null();
  PaneRange range;
  for (size_t i = 0; i < block.size(); ++i) {
    if (i + kPrefetchAhead < block.size()) {
      clocks_->PrefetchClock(block_clocks_[i + kPrefetchAhead]);
    }
    const uint32_t row = block[i];
    const int64_t time = values[row];
    if (may_be_null && times.IsNull(row)) {
      ++counts_.rows_added;
      ++counts_.rows_too_late;
      continue;
    }
    const uint32_t clock = block_clocks_[i];
    const int64_t reach = clocks_->Reach(clock);
    clocks_->Move(clock, time);
    if (!Passes(row)) continue;
    if (time < range.first || time > range.last) range = RangeOf(time);
    if (range.last < reach || reach == INT64_MAX) [[unlikely]] {
      late_.push_back({row, EventTime(Micros(reach))});
      continue;
    }
    ++counts_.rows_added;
    // Between windows that are further apart than they are long: in none of them.
    if (!range.has_window) [[unlikely]] {
      ++counts_.rows_counted;
      continue;
    }
    rows_.push_back(row);
    row_panes_.push_back(range.pane);
    row_clocks_.push_back(clock);
  }
}

void ClockedPanes::AddBlock(std::span<const uint64_t> hashes) {
  const size_t count = rows_.size();
  row_accumulators_.resize(count);
  row_keys_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    row_keys_[i] = clocks_->is_of_key() ? row_clocks_[i]
                                        : keys_.FindOrInsert(hashes[rows_[i]], int64_t(rows_[i]));
    PiecesOf(row_keys_[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    if (i + kPrefetchAhead < count) {
      __builtin_prefetch(&keys_pieces_[row_keys_[i + kPrefetchAhead]]);
    }
    row_accumulators_[i] = RowOf(PieceAt(row_keys_[i], row_panes_[i], row_clocks_[i]));
  }
  object_bytes_ += update_.Apply({rows_, row_accumulators_});
}

uint32_t ClockedPanes::PieceAt(uint32_t key, int64_t pane, uint32_t clock) {
  const uint32_t recent = keys_pieces_[key].recent;
  if (recent != kNone && pieces_[recent].first == pane) [[likely]]
    return recent;
  const uint32_t known = by_pane_.Find(key, pane);
  if (known == PaneTable::kNoSlot) return Begin(key, pane, clock);
  keys_pieces_[key].recent = known;
  return known;
}

uint32_t ClockedPanes::Begin(uint32_t key, int64_t pane, uint32_t clock) {
  const uint32_t piece = NewPiece(key, pane, pane, geometry_.PaneLast(pane), clock);
  *by_pane_.FindOrInsert(key, pane) = piece;
  if (keys_pieces_[key].oldest != piece) return piece;
  const int64_t due = geometry_.WindowEnd(NextWindowOf(key)).time_since_epoch().count();
  if (!clocks_->HasDue(clock) || due < clocks_->due(clock)) clocks_->SetDue(clock, due);
  return piece;
}

// ---- Giving out windows ------------------------------------------------------------------------

int64_t ClockedPanes::NextWindowOf(uint32_t key) const {
  const KeyPieces& of_key = keys_pieces_[key];
  return std::max(of_key.next_window, geometry_.FirstWindowOf(pieces_[of_key.oldest].first));
}

Status ClockedPanes::GiveClock(uint32_t clock, int64_t* left, Columns columns) {
  for (;;) {
    if (clocks_->first_key(clock) == kNone) {
      clocks_->ClearDue(clock);
      return Status::OK();
    }
    int64_t window = INT64_MAX;
    for (uint32_t key = clocks_->first_key(clock); key != kNone; key = keys_pieces_[key].next) {
      window = std::min(window, NextWindowOf(key));
    }
    const int64_t end = geometry_.WindowEnd(window).time_since_epoch().count();
    clocks_->SetDue(clock, end);
    if (end > clocks_->Reach(clock)) return Status::OK();
    for (uint32_t key = clocks_->first_key(clock); key != kNone;) {
      if (*left == 0) return Status::OK();
      const uint32_t next = keys_pieces_[key].next;
      if (NextWindowOf(key) == window) {
        ARROW_RETURN_NOT_OK(GiveWindow(key, window, columns));
        --*left;
      }
      key = next;
    }
  }
}

Status ClockedPanes::GiveWindow(uint32_t key, int64_t window, Columns columns) {
  const int64_t last_pane = geometry_.LastPaneOf(window);
  window_.clear();
  for (uint32_t piece = keys_pieces_[key].oldest;
       piece != kNone && pieces_[piece].first <= last_pane; piece = pieces_[piece].previous) {
    window_.push_back(piece);
  }
  const auto is_last = [&](uint32_t piece) {
    return geometry_.LastWindowOf(pieces_[piece].first) <= window;
  };
  const WindowTimes times{geometry_.WindowStart(window), geometry_.WindowEnd(window)};
  const auto append = [&](char* row) {
    return AppendWindow(layout_, times, keys_.bytes(key), node_.keys.size(), row, columns,
                        &counts_.results_out_of_range);
  };
  keys_pieces_[key].next_window = window == INT64_MAX ? window : window + 1;

  // Computing a percentile changes the order of values: not of those that are partly written.
  const uint32_t first = window_.front();
  const Piece& piece = pieces_[first];
  bool is_own = window_.size() == 1 && piece.slot != kNone && piece.lower.empty();
  if (is_own && layout_.has_values()) {
    if (is_last(first) && IsSealed(piece)) WritePiece(first);
    is_own = is_last(first) || AccumulatorSlab::HeaderOf(slab_.Row(piece.slot)).parts == 0;
  }
  if (is_own) {
    char* const row = slab_.Row(piece.slot);
    ARROW_RETURN_NOT_OK(append(row));
    if (is_last(first)) counts_.rows_counted += FieldAt<int64_t>(row, 0);
  } else {
    char* const row = merged_.get();
    layout_.Initialise(row);
    Status status;
    for (size_t i = 0; i < window_.size() && status.ok(); ++i) {
      status = Merge(window_[i], is_last(window_[i]), row);
    }
    if (status.ok()) status = append(row);
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
  }
  for (const uint32_t each : window_) {
    if (is_last(each)) Close(each);
  }
  return Status::OK();
}

Status ClockedPanes::Merge(uint32_t index, bool is_last, char* row) {
  const Piece& piece = pieces_[index];
  const auto before = FieldAt<int64_t>(row, 0);
  if (piece.lower.empty()) {
    layout_.Merge(row, slab_.Row(piece.slot));
  } else {
    ARROW_RETURN_NOT_OK(MergeStored(piece, is_last ? &deleted_ : nullptr, row));
  }
  if (is_last) counts_.rows_counted += FieldAt<int64_t>(row, 0) - before;
  return Status::OK();
}

// What a sealed epoch has of it is written before.
void ClockedPanes::Close(uint32_t index) {
  const Piece& piece = pieces_[index];
  if (piece.slot != kNone && IsSealed(piece)) WritePiece(index);
  DeleteCurrent(piece, &deleted_);
  by_pane_.Erase(piece.key, piece.first);
  Release(index);
}

WindowAggregateStats ClockedPanes::stats() const {
  WindowAggregateStats stats = PieceAggregate::stats();
  stats.index_bytes += int64_t(by_pane_.MemoryBytes());
  stats.state_bytes += int64_t(by_pane_.MemoryBytes());
  return stats;
}

// ---- State -------------------------------------------------------------------------------------

std::string ClockedPanes::Cut() const {
  std::string text = "size " + std::to_string(node_.size.count()) + " slide " +
                     std::to_string(node_.slide.count()) + " offset " +
                     std::to_string(geometry_.offset);
  if (node_.cumulates) text += " cumulating";
  return text + ClockCut();
}

// Sealed with nothing due, so the clock says which window is next.
Result<uint32_t> ClockedPanes::TakeOverPlace(const Stored& stored) {
  const int64_t pane = geometry_.PaneOf(stored.place);
  const EventTime reach{Micros(clocks_->Reach(stored.clock))};
  if (geometry_.PaneLast(pane) != stored.place ||
      geometry_.IsDue(geometry_.LastWindowOf(pane), reach)) {
    return StateDamaged("there is a pane that should not be there");
  }
  const bool is_first = PiecesOf(stored.key).recent == kNone;
  const uint32_t piece = NewPiece(stored.key, pane, pane, stored.place, stored.clock);
  *by_pane_.FindOrInsert(stored.key, pane) = piece;
  if (!is_first) return piece;
  if (reach != kEventTimeMin) {
    keys_pieces_[stored.key].next_window = geometry_.FirstWindowAfter(reach);
  }
  const int64_t due = geometry_.WindowEnd(NextWindowOf(stored.key)).time_since_epoch().count();
  if (!clocks_->HasDue(stored.clock) || due < clocks_->due(stored.clock)) {
    clocks_->SetDue(stored.clock, due);
  }
  return piece;
}

}  // namespace millrace
