#include "engine/windows/stored_window_aggregate.h"

#include <utility>

#include "engine/state/state_key.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"

namespace millrace {

StoredWindowAggregate::StoredWindowAggregate(const WindowAggregateNode& node,
                                             std::shared_ptr<arrow::Schema> output,
                                             AccumulatorLayout layout)
    : node_(node),
      output_(std::move(output)),
      layout_(std::move(layout)),
      keys_(node.keys),
      slab_(layout_.row_bytes()),
      update_(&layout_),
      merged_(new char[layout_.row_bytes()]) {}

std::string StoredWindowAggregate::Fingerprint() const {
  std::string text = Cut();
  if (node_.allowed_lateness > Micros(0)) {
    text += " lateness " + std::to_string(node_.allowed_lateness.count());
  }
  for (size_t i = 0; i < node_.keys.size(); ++i) {
    text += " key " + output_->field(int(i) + 2)->type()->ToString();
  }
  for (const Measure& measure : layout_.measures()) {
    text += " measure " + std::string(TypeName(measure.type)) + " " +
            std::to_string(measure.parts) + " filter " + std::to_string(measure.rows_offset / 8);
    if (measure.second >= 0) text += " beside " + std::string(TypeName(measure.second_type));
  }
  return text + " filters " + std::to_string(layout_.filters().size());
}

Result<ColumnReader> StoredWindowAggregate::Bind(const arrow::RecordBatch& batch) {
  ARROW_RETURN_NOT_OK(keys_.Bind(batch));
  ARROW_RETURN_NOT_OK(update_.Bind(batch));
  ARROW_ASSIGN_OR_RAISE(const ColumnReader times,
                        ColumnReader::Make(*batch.column(node_.event_time)));
  if (times.type() != Type::kTimestamp) {
    return InternalError("bad_column_type", "the event time of a window is not a timestamp");
  }
  return times;
}

// ---- Taking over -------------------------------------------------------------------------------

Status StoredWindowAggregate::Open(StateStore* store, uint16_t operator_number) {
  if (store_ != nullptr || counts_.rows_added != 0 || watermark_ != kEventTimeMin) {
    return InternalError("not_fresh", "a store opened under window state that is in use");
  }
  format_.operator_number = operator_number;
  format_.layout = &layout_;
  format_.is_text.clear();
  for (size_t i = 0; i < node_.keys.size(); ++i) {
    format_.is_text.push_back(output_->field(int(i) + 2)->type()->id() == arrow::Type::STRING);
  }
  store_ = store;
  writer_.Open(store, &format_);
  BeginState();
  ARROW_ASSIGN_OR_RAISE(const SavedState saved,
                        OpenSavedState(store, operator_number, Fingerprint(),
                                       "another window, other keys or other aggregates"));
  if (saved.entries == nullptr) return Status::OK();
  saved.header.CountsTo(&counts_);
  chunk_ = saved.header.chunk + 1;
  watermark_ = saved.header.watermark;
  ARROW_RETURN_NOT_OK(TakeOver(saved.entries.get()));
  return saved.entries->status();
}

// ---- Writing -----------------------------------------------------------------------------------

Status StoredWindowAggregate::Seal() {
  if (store_ == nullptr) return Status::OK();
  if (sealed_)
    return InternalError("sealed_twice", "window state sealed again before it is written");
  if (HasOutput()) return InternalError("sealed_early", "window state sealed with windows due");
  ++seal_number_;
  counts_.sealed_entries = 0;
  ARROW_RETURN_NOT_OK(SealChanges());
  sealed_header_ = WindowHeader::Of(Fingerprint(), watermark_, chunk_, counts_).Encode();
  sealed_ = true;
  return Status::OK();
}

void StoredWindowAggregate::Write(int64_t time, uint32_t key, char* row) {
  writer_.Put(time, keys_.hash(key), keys_.bytes(key), chunk_, row);
  if (sealed_) ++counts_.sealed_entries;
}

Status StoredWindowAggregate::FinishSealed() {
  writer_.batch()->Put(StateOperatorKey(format_.operator_number), sealed_header_);
  ARROW_RETURN_NOT_OK(writer_.Flush());
  sealed_ = false;
  return Status::OK();
}

Status StoredWindowAggregate::Evict() {
  if (store_ == nullptr) return InternalError("no_state_store", "window state has no store");
  if (sealed_) return InternalError("evicted_early", "window state evicted while it is sealed");
  if (HasOutput() || HasChanges(WindowChanges::kAll)) {
    return InternalError("evicted_early", "window state evicted with windows due");
  }
  return EvictAll();
}

}  // namespace millrace
