#include "engine/windows/session_aggregate.h"

#include <arrow/table_builder.h>

#include <algorithm>
#include <utility>

#include "engine/windows/aggregate_result.h"

namespace millrace {
namespace {

// A vector of one place on the heap.
constexpr size_t kPlaceBytes = 16;

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
    : StoredWindowAggregate(node, std::move(output), std::move(layout)), gap_(node.gap.count()) {}

SessionAggregate::~SessionAggregate() {
  if (!layout_.has_objects()) return;
  for (const Session& session : sessions_) {
    if (session.slot != kNone) layout_.Destroy(slab_.Row(session.slot));
  }
}

int64_t SessionAggregate::EndOf(int64_t last) const { return PlusOrMost(last, gap_); }

bool SessionAggregate::IsDue(int64_t end) const {
  const EventTime watermark = final_watermark();
  return watermark == kEventTimeMax || end <= watermark.time_since_epoch().count();
}

// ---- Adding rows -------------------------------------------------------------------------------

Status SessionAggregate::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                             std::span<const uint32_t> selection) {
  ARROW_ASSIGN_OR_RAISE(const ColumnReader time_column, Bind(batch));
  const int64_t* times = time_column.Values<int64_t>();
  const bool may_be_null = time_column.may_be_null();
  const int64_t least = final_watermark().time_since_epoch().count();
  const bool closed = watermark_ == kEventTimeMax;
  counts_.rows_added += int64_t(selection.size());
  for (size_t begin = 0; begin < selection.size(); begin += kBlockRows) {
    const auto block = selection.subspan(begin, std::min(kBlockRows, selection.size() - begin));
    rows_.clear();
    row_times_.clear();
    row_keys_.clear();
    for (size_t i = 0; i < block.size(); ++i) {
      if (i + kPrefetchAhead < block.size()) keys_.Prefetch(hashes[block[i + kPrefetchAhead]]);
      const uint32_t row = block[i];
      if (closed || times[row] < least || (may_be_null && time_column.IsNull(row))) {
        ++counts_.rows_too_late;
        continue;
      }
      rows_.push_back(row);
      row_times_.push_back(times[row]);
      row_keys_.push_back(keys_.FindOrInsert(hashes[row], row));
    }
    AddBlock();
    if (store_ != nullptr) ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  return Status::OK();
}

void SessionAggregate::AddBlock() {
  row_accumulators_.resize(rows_.size());
  applied_ = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const int64_t time = row_times_[i];
    uint32_t session = Join(row_keys_[i], time, time, i);
    if (session == kNone) session = Begin(row_keys_[i], time, time);
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
  if (key >= recent_of_key_.size()) recent_of_key_.resize(key + 1, kNone);
  // Wide, for differences of any two event times.
  const auto is_near = [this](int64_t earlier, int64_t later) {
    return __int128(later) - earlier < gap_;
  };
  uint32_t index = recent_of_key_[key];
  if (index == kNone) return kNone;
  for (uint32_t later = sessions_[index].previous;
       later != kNone && is_near(last, sessions_[later].first); later = sessions_[later].previous) {
    index = later;
  }
  uint32_t joined = kNone;
  while (index != kNone && is_near(sessions_[index].last, first)) {
    const uint32_t next = sessions_[index].next;
    if (is_near(last, sessions_[index].first)) {
      if (joined != kNone) ApplyUpTo(placed);
      joined = joined == kNone ? index : Absorb(joined, index);
    }
    index = next;
  }
  if (joined == kNone) return kNone;
  recent_of_key_[key] = joined;
  sessions_[joined].first = std::min(sessions_[joined].first, first);
  sessions_[joined].last = std::max(sessions_[joined].last, last);
  return joined;
}

uint32_t SessionAggregate::Begin(uint32_t key, int64_t first, int64_t last) {
  uint32_t index = uint32_t(sessions_.size());
  if (free_.empty()) {
    sessions_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Session& session = sessions_[index];
  session.first = first;
  session.last = last;
  session.place = first;
  session.key = key;
  Link(index);
  keys_.AddPane(key);
  due_.push({EndOf(last), {index, session.version}});
  return index;
}

// From the last one that was joined, as Join looks.
void SessionAggregate::Link(uint32_t index) {
  Session& session = sessions_[index];
  uint32_t later = kNone;
  uint32_t earlier = std::exchange(recent_of_key_[session.key], index);
  if (earlier != kNone) later = sessions_[earlier].previous;
  while (later != kNone && sessions_[later].first < session.first) {
    earlier = later;
    later = sessions_[later].previous;
  }
  while (earlier != kNone && sessions_[earlier].first > session.first) {
    later = earlier;
    earlier = sessions_[earlier].next;
  }
  session.previous = later;
  session.next = earlier;
  if (later != kNone) sessions_[later].next = index;
  if (earlier != kNone) sessions_[earlier].previous = index;
}

void SessionAggregate::Unlink(uint32_t index) {
  const Session& session = sessions_[index];
  const uint32_t later = session.previous;
  if (later != kNone) sessions_[later].next = session.next;
  if (session.next != kNone) sessions_[session.next].previous = later;
  if (recent_of_key_[session.key] == index) {
    recent_of_key_[session.key] = session.next != kNone ? session.next : later;
  }
}

uint32_t SessionAggregate::Absorb(uint32_t one, uint32_t other) {
  const auto length = [this](uint32_t index) {
    return __int128(sessions_[index].last) - sessions_[index].first;
  };
  const uint32_t into = length(one) < length(other) ? other : one;
  const uint32_t from = into == one ? other : one;
  if (sessions_[from].slot != kNone) {
    if (IsSealed(sessions_[from])) WriteSession(from);
    char* const row = RowOf(into);
    const int64_t before = layout_.ObjectBytes(row);
    layout_.Merge(row, slab_.Row(sessions_[from].slot));
    object_bytes_ += layout_.ObjectBytes(row) - before;
  }
  Session& kept = sessions_[into];
  const Session& gone = sessions_[from];
  kept.first = std::min(kept.first, gone.first);
  kept.last = std::max(kept.last, gone.last);
  kept.images += gone.images;
  kept.lower.insert(kept.lower.end(), gone.lower.begin(), gone.lower.end());
  lower_places_ += int64_t(gone.lower.size());  // Release takes them off
  DeleteCurrent(gone, &deleted_);
  Release(from);
  return into;
}

void SessionAggregate::Release(uint32_t index) {
  Session& session = sessions_[index];
  if (session.slot != kNone) {
    object_bytes_ -= layout_.Destroy(slab_.Row(session.slot));
    slab_.Free(session.slot);
  }
  Unlink(index);
  keys_.RemovePane(session.key);
  lower_places_ -= int64_t(session.lower.size());
  const uint32_t version = session.version + 1;
  session = Session();
  session.version = version;
  free_.push_back(index);
}

char* SessionAggregate::RowOf(uint32_t index) {
  Session& session = sessions_[index];
  if (session.slot != kNone) {
    char* const row = slab_.Row(session.slot);
    if (store_ != nullptr && AccumulatorSlab::HeaderOf(row).touched != seal_number_) Touch(index);
    return row;
  }
  session.slot = slab_.Take();
  char* const row = slab_.Row(session.slot);
  layout_.Initialise(row);
  AccumulatorSlab::HeaderOf(row) = {
      .touched = seal_number_, .parts = 0, .is_changed = 0, .is_late = 0};
  if (store_ != nullptr) dirty_.push_back({index, session.version});
  return row;
}

// ---- Giving out sessions -----------------------------------------------------------------------

void SessionAggregate::AdvanceTo(EventTime watermark) {
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
    const int64_t end = EndOf(sessions_[due.of.session].last);
    if (end == due.end) return;
    due_.pop();
    due_.push({end, due.of});
  }
}

bool SessionAggregate::HasOutput() const { return !due_.empty() && IsDue(due_.top().end); }

Result<WindowOutput> SessionAggregate::NextOutput(int64_t rows_max) {
  WindowOutput output;
  if (!HasOutput()) return output;
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
  std::vector<arrow::ArrayBuilder*> columns(size_t(output_->num_fields()));
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = builder->GetField(int(i));
  for (int64_t left = std::max<int64_t>(rows_max, 1); left > 0 && HasOutput(); --left) {
    const uint32_t session = due_.top().of.session;
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
Status SessionAggregate::Give(uint32_t index, std::span<arrow::ArrayBuilder* const> columns) {
  const Session& session = sessions_[index];
  if (session.slot != kNone && IsSealed(session)) WriteSession(index);
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

Status SessionAggregate::GiveRow(const Session& session, char* row,
                                 std::span<arrow::ArrayBuilder* const> columns) {
  counts_.rows_counted += FieldAt<int64_t>(row, 0);
  const WindowTimes times{EventTime(Micros(session.first)), EventTime(Micros(EndOf(session.last)))};
  return AppendWindow(layout_, times, keys_.bytes(session.key), node_.keys.size(), row, columns,
                      &counts_.results_out_of_range);
}

WindowAggregateStats SessionAggregate::stats() const {
  WindowAggregateStats stats = counts_;
  stats.open_panes = int64_t(sessions_.size() - free_.size());
  stats.keys = int64_t(keys_.size());
  stats.index_bytes = int64_t(keys_.MemoryBytes() + sessions_.capacity() * sizeof(Session) +
                              (recent_of_key_.capacity() + free_.capacity()) * sizeof(uint32_t) +
                              size_t(lower_places_) * kPlaceBytes + due_.size() * sizeof(Due));
  stats.state_bytes =
      stats.index_bytes + object_bytes_ +
      int64_t(slab_.MemoryBytes() + (dirty_.size() + to_write_.size()) * sizeof(Reference) +
              writer_.bytes() + deleted_.bytes());
  return stats;
}

}  // namespace millrace
