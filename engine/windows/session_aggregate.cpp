#include "engine/windows/session_aggregate.h"

#include <algorithm>
#include <utility>

#include "engine/windows/aggregate_result.h"
#include "engine/windows/state_entry.h"

namespace millrace {
namespace {

constexpr int64_t PlusOrMost(int64_t time, int64_t by) {
  int64_t sum = 0;
  return __builtin_add_overflow(time, by, &sum) ? INT64_MAX : sum;
}

AggregateSpec OfEventTime(AggregateFunction function, int event_time) {
  AggregateSpec spec;
  spec.function = function;
  spec.argument = event_time;
  spec.argument_type = Type::kTimestamp;
  spec.result = Type::kTimestamp;
  return spec;
}

}  // namespace

Result<std::unique_ptr<SessionAggregate>> SessionAggregate::Make(
    const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output) {
  std::vector<AggregateSpec> aggregates = node.aggregates;
  aggregates.push_back(OfEventTime(AggregateFunction::kMin, node.event_time));
  aggregates.push_back(OfEventTime(AggregateFunction::kMax, node.event_time));
  ARROW_ASSIGN_OR_RAISE(AccumulatorLayout layout, AccumulatorLayout::Make(aggregates));
  return std::unique_ptr<SessionAggregate>(
      new SessionAggregate(node, std::move(output), std::move(layout)));
}

SessionAggregate::SessionAggregate(const WindowAggregateNode& node,
                                   std::shared_ptr<arrow::Schema> output, AccumulatorLayout layout)
    : PieceAggregate(node, std::move(output), std::move(layout)), gap_(node.gap.count()) {}

int64_t SessionAggregate::EndOf(int64_t last) const { return PlusOrMost(last, gap_); }

bool SessionAggregate::IsDue(int64_t end) const {
  const EventTime watermark = final_watermark();
  return watermark == kEventTimeMax || end <= watermark.time_since_epoch().count();
}

// ---- Adding rows -------------------------------------------------------------------------------

Status SessionAggregate::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                             std::span<const uint32_t> selection) {
  ARROW_ASSIGN_OR_RAISE(const ColumnReader times, Bind(batch));
  if (clocks_.has_value()) ARROW_RETURN_NOT_OK(BindClocks(batch, hashes));
  for (size_t begin = 0; begin < selection.size(); begin += kBlockRows) {
    const auto block = selection.subspan(begin, std::min(kBlockRows, selection.size() - begin));
    rows_.clear();
    row_times_.clear();
    row_keys_.clear();
    row_clocks_.clear();
    if (clocks_.has_value()) {
      JudgeByClock(times, hashes, block);
    } else {
      JudgeByWatermark(times, hashes, block);
    }
    AddBlock();
    if (store_ != nullptr) ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  return Status::OK();
}

void SessionAggregate::JudgeByWatermark(const ColumnReader& times, std::span<const uint64_t> hashes,
                                        std::span<const uint32_t> block) {
  const int64_t* const values = times.Values<int64_t>();
  const bool may_be_null = times.may_be_null();
  const int64_t least = final_watermark().time_since_epoch().count();
  const bool closed = watermark_ == kEventTimeMax;
  counts_.rows_added += int64_t(block.size());
  for (size_t i = 0; i < block.size(); ++i) {
    if (i + kPrefetchAhead < block.size()) keys_.Prefetch(hashes[block[i + kPrefetchAhead]]);
    const uint32_t row = block[i];
    if (closed || values[row] < least || (may_be_null && times.IsNull(row))) {
      ++counts_.rows_too_late;
      continue;
    }
    rows_.push_back(row);
    row_times_.push_back(values[row]);
    row_keys_.push_back(keys_.FindOrInsert(hashes[row], row));
  }
}

void SessionAggregate::JudgeByClock(const ColumnReader& times, std::span<const uint64_t> hashes,
                                    std::span<const uint32_t> block) {
  const int64_t* const values = times.Values<int64_t>();
  for (size_t i = 0; i < block.size(); ++i) {
    if (i + kPrefetchAhead < block.size()) clocks_->Prefetch(block[i + kPrefetchAhead]);
    const uint32_t row = block[i];
    if (times.IsNull(row)) {
      ++counts_.rows_added;
      ++counts_.rows_too_late;
      continue;
    }
    const uint32_t clock = clocks_->Find(row);
    const int64_t reach = clocks_->Reach(clock);
    clocks_->Move(clock, values[row]);
    if (!Passes(row)) continue;
    if (values[row] < reach || reach == INT64_MAX) {
      late_.push_back({row, EventTime(Micros(reach))});
      continue;
    }
    ++counts_.rows_added;
    rows_.push_back(row);
    row_times_.push_back(values[row]);
    row_keys_.push_back(clocks_->is_of_key() ? clock : keys_.FindOrInsert(hashes[row], row));
    row_clocks_.push_back(clock);
  }
}

void SessionAggregate::AddBlock() {
  row_accumulators_.resize(rows_.size());
  applied_ = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const int64_t time = row_times_[i];
    uint32_t session = Join(row_keys_[i], time, time, i);
    if (session == kNone) {
      session = Begin(row_keys_[i], time, time, row_clocks_.empty() ? kNone : row_clocks_[i]);
    }
    row_accumulators_[i] = RowOf(session);
  }
  ApplyUpTo(rows_.size());
}

void SessionAggregate::ApplyUpTo(size_t end) {
  if (end == applied_) return;
  const size_t count = end - applied_;
  object_bytes_ += update_.Apply({std::span<const uint32_t>(rows_).subspan(applied_, count),
                                  std::span(row_accumulators_).subspan(applied_, count)});
  applied_ = end;
}

uint32_t SessionAggregate::Join(uint32_t key, int64_t first, int64_t last, size_t placed) {
  // Wide, for differences of any two event times.
  const auto is_near = [this](int64_t earlier, int64_t later) {
    return __int128(later) - earlier < gap_;
  };
  uint32_t index = PiecesOf(key).recent;
  if (index == kNone) return kNone;
  for (uint32_t later = pieces_[index].previous;
       later != kNone && is_near(last, pieces_[later].first); later = pieces_[later].previous) {
    index = later;
  }
  uint32_t joined = kNone;
  while (index != kNone && is_near(pieces_[index].last, first)) {
    const uint32_t next = pieces_[index].next;
    if (is_near(last, pieces_[index].first)) {
      if (joined != kNone) ApplyUpTo(placed);
      joined = joined == kNone ? index : Absorb(joined, index);
    }
    index = next;
  }
  if (joined == kNone) return kNone;
  keys_pieces_[key].recent = joined;
  pieces_[joined].first = std::min(pieces_[joined].first, first);
  pieces_[joined].last = std::max(pieces_[joined].last, last);
  return joined;
}

uint32_t SessionAggregate::Begin(uint32_t key, int64_t first, int64_t last, uint32_t clock) {
  const uint32_t index = NewPiece(key, first, last, first, clock);
  const int64_t end = EndOf(last);
  if (clock == kNone) {
    due_.push({end, {index, pieces_[index].version}});
  } else if (!clocks_->HasDue(clock) || end < clocks_->due(clock)) {
    clocks_->SetDue(clock, end);
  }
  return index;
}

uint32_t SessionAggregate::Absorb(uint32_t one, uint32_t other) {
  const auto length = [this](uint32_t index) {
    return __int128(pieces_[index].last) - pieces_[index].first;
  };
  const uint32_t into = length(one) < length(other) ? other : one;
  const uint32_t from = into == one ? other : one;
  if (pieces_[from].slot != kNone) {
    if (IsSealed(pieces_[from])) WritePiece(from);
    char* const row = RowOf(into);
    const int64_t before = layout_.ObjectBytes(row);
    layout_.Merge(row, slab_.Row(pieces_[from].slot));
    object_bytes_ += layout_.ObjectBytes(row) - before;
  }
  Piece& kept = pieces_[into];
  const Piece& gone = pieces_[from];
  kept.first = std::min(kept.first, gone.first);
  kept.last = std::max(kept.last, gone.last);
  kept.images += gone.images;
  kept.lower.insert(kept.lower.end(), gone.lower.begin(), gone.lower.end());
  lower_places_ += int64_t(gone.lower.size());  // Release takes them off
  DeleteCurrent(gone, &deleted_);
  Release(from);
  return into;
}

// ---- Giving out sessions -----------------------------------------------------------------------

void SessionAggregate::AdvanceTo(EventTime watermark) {
  if (clocks_.has_value()) return PieceAggregate::AdvanceTo(watermark);
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  Settle();
}

void SessionAggregate::Settle() {
  while (!due_.empty() && IsDue(due_.top().end)) {
    const Due due = due_.top();
    if (!IsThere(due.of)) {
      due_.pop();
      continue;
    }
    const int64_t end = EndOf(pieces_[due.of.piece].last);
    if (end == due.end) return;
    due_.pop();
    due_.push({end, due.of});
  }
}

bool SessionAggregate::HasOutput() const {
  if (clocks_.has_value()) return PieceAggregate::HasOutput();
  return !due_.empty() && IsDue(due_.top().end);
}

Result<WindowOutput> SessionAggregate::NextOutput(int64_t rows_max) {
  if (clocks_.has_value()) return PieceAggregate::NextOutput(rows_max);
  WindowOutput output;
  if (!HasOutput()) return output;
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
  std::vector<arrow::ArrayBuilder*> columns(size_t(output_->num_fields()));
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = builder->GetField(int(i));
  for (int64_t left = std::max<int64_t>(rows_max, 1); left > 0 && HasOutput(); --left) {
    const uint32_t session = due_.top().of.piece;
    due_.pop();
    ARROW_RETURN_NOT_OK(Give(session, columns));
    Settle();
  }
  if (store_ != nullptr) ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  ARROW_ASSIGN_OR_RAISE(output.batch, builder->Flush());
  return output;
}

// It is freed, so that computing may change the order of its values; what a sealed epoch has of it
// is written before.
Status SessionAggregate::Give(uint32_t index, Columns columns) {
  const Piece& session = pieces_[index];
  if (session.slot != kNone && IsSealed(session)) WritePiece(index);
  if (session.lower.empty()) {
    ARROW_RETURN_NOT_OK(GiveRow(session, slab_.Row(session.slot), columns));
  } else {
    char* const row = merged_.get();
    layout_.Initialise(row);
    Status status = MergeStored(session, &deleted_, row);
    if (status.ok()) status = GiveRow(session, row, columns);
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
  }
  DeleteCurrent(session, &deleted_);
  Release(index);
  return Status::OK();
}

Status SessionAggregate::GiveRow(const Piece& session, char* row, Columns columns) {
  counts_.rows_counted += FieldAt<int64_t>(row, 0);
  const WindowTimes times{EventTime(Micros(session.first)), EventTime(Micros(EndOf(session.last)))};
  return AppendWindow(layout_, times, keys_.bytes(session.key), node_.keys.size(), row, columns,
                      &counts_.results_out_of_range);
}

// Sessions of all keys of the clock in order of their end.
Status SessionAggregate::GiveClock(uint32_t clock, int64_t* left, Columns columns) {
  for (;;) {
    uint32_t first = kNone;
    for (uint32_t key = clocks_->first_key(clock); key != kNone; key = keys_pieces_[key].next) {
      const uint32_t oldest = keys_pieces_[key].oldest;
      if (first == kNone || pieces_[oldest].last < pieces_[first].last) first = oldest;
    }
    if (first == kNone) {
      clocks_->ClearDue(clock);
      return Status::OK();
    }
    const int64_t end = EndOf(pieces_[first].last);
    clocks_->SetDue(clock, end);
    if (end > clocks_->Reach(clock) || *left == 0) return Status::OK();
    ARROW_RETURN_NOT_OK(Give(first, columns));
    --*left;
  }
}

WindowAggregateStats SessionAggregate::stats() const {
  WindowAggregateStats stats = PieceAggregate::stats();
  stats.index_bytes += int64_t(due_.size() * sizeof(Due));
  stats.state_bytes += int64_t(due_.size() * sizeof(Due));
  return stats;
}

// ---- State -------------------------------------------------------------------------------------

std::string SessionAggregate::Cut() const {
  return "session gap " + std::to_string(gap_) + ClockCut();
}

Status SessionAggregate::MeasureImage(std::string_view accumulators, int64_t* first,
                                      int64_t* last) {
  const Measure& measure = layout_.measures()[size_t(layout_.outputs().back().measure)];
  char* const row = merged_.get();
  layout_.Initialise(row);
  const Status status = layout_.Restore(&accumulators, row);
  *first = std::min(*first, FieldAt<int64_t>(row, measure.Offset(kMin)));
  *last = std::max(*last, FieldAt<int64_t>(row, measure.Offset(kMax)));
  layout_.Destroy(row);
  return status;
}

Result<uint32_t> SessionAggregate::TakeOverPlace(const Stored& stored) {
  if (stored.first > stored.last) return StateDamaged("a session has no reading");
  const uint32_t session = Join(stored.key, stored.first, stored.last, 0);
  return session != kNone ? session : Begin(stored.key, stored.first, stored.last, stored.clock);
}

Status SessionAggregate::SettleTaken() {
  Settle();
  // Sessions in several places are known now: when a clock is due is, too.
  while (clocks_.has_value() && clocks_->HasReady()) {
    const uint32_t clock = clocks_->ready();
    int64_t none = 0;
    ARROW_RETURN_NOT_OK(GiveClock(clock, &none, {}));
    if (clocks_->HasDue(clock) && clocks_->due(clock) <= clocks_->Reach(clock)) break;
    clocks_->PopReady();
  }
  if (HasOutput()) return StateDamaged("there is a session that should not be there");
  return Status::OK();
}

}  // namespace millrace
