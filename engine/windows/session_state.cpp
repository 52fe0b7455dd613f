// What SessionAggregate keeps in its store: taking over, sealing, writing, evicting. Format:
// docs/state-format.md.
#include <algorithm>
#include <utility>

#include "engine/state/state_key.h"
#include "engine/windows/session_aggregate.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {

std::string SessionAggregate::Fingerprint() const {
  return "session gap " + std::to_string(gap_) +
         GroupingFingerprint(*output_, node_.keys.size(), layout_);
}

// ---- Taking over -------------------------------------------------------------------------------

Status SessionAggregate::Open(StateStore* store, uint16_t operator_number) {
  if (store_ != nullptr || counts_.rows_added != 0 || watermark_ != kEventTimeMin) {
    return InternalError("not_fresh", "a store opened under window state that is in use");
  }
  format_.operator_number = operator_number;
  format_.layout = &layout_;
  format_.is_text = TextKeys(*output_, node_.keys.size());
  store_ = store;
  writer_.Open(store, &format_);
  return OpenSessions();
}

Status SessionAggregate::OpenSessions() {
  const uint16_t number = format_.operator_number;
  const std::string own = StateOperatorKey(number);
  ARROW_ASSIGN_OR_RAISE(const auto entries, store_->Scan(own, StateOperatorEnd(number)));
  if (!entries->Valid()) return entries->status();
  if (entries->key() != own) return StateDamaged("the header is missing");
  ARROW_RETURN_NOT_OK(RestoreHeader(entries->value()));
  entries->Next();
  while (entries->Valid()) ARROW_RETURN_NOT_OK(TakeOver(entries.get()));
  ARROW_RETURN_NOT_OK(entries->status());
  Settle();
  if (HasOutput()) return StateDamaged("there is a session that should not be there");
  return Status::OK();
}

Status SessionAggregate::RestoreHeader(std::string_view bytes) {
  ARROW_ASSIGN_OR_RAISE(const WindowHeader header, WindowHeader::Decode(bytes));
  if (header.fingerprint != Fingerprint()) {
    return UserError("state_of_another_query",
                     "the saved state belongs to another window, other keys or other aggregates");
  }
  counts_.rows_added = header.rows_added;
  counts_.rows_counted = header.rows_counted;
  counts_.rows_too_late = header.rows_too_late;
  counts_.results_out_of_range = header.results_out_of_range;
  chunk_ = header.chunk + 1;
  watermark_ = header.watermark;
  return Status::OK();
}

Status SessionAggregate::TakeOver(StateIterator* entries) {
  ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
  ARROW_ASSIGN_OR_RAISE(const EntryKey first_entry, ParseEntryKey(entries->key(), format_.is_text));
  const std::string group_and_key(first_entry.group_and_key);
  const std::string key(first_entry.key);
  const auto& outputs = layout_.outputs();
  const Measure& measure = layout_.measures()[size_t(outputs.back().measure)];
  int64_t first = INT64_MAX;
  int64_t last = INT64_MIN;
  uint64_t hash = 0;
  uint32_t images = 0;
  for (; entries->Valid(); entries->Next()) {
    ARROW_ASSIGN_OR_RAISE(const StateKeyParts here, ParseStateKey(entries->key()));
    ARROW_ASSIGN_OR_RAISE(const EntryKey entry, ParseEntryKey(entries->key(), format_.is_text));
    if (here.time != parts.time || entry.group_and_key != group_and_key) break;
    if (entry.chunk >= chunk_) return StateDamaged("an entry is of a chunk yet to come");
    ARROW_ASSIGN_OR_RAISE(std::string_view value, OpenValue(entries->key(), entries->value()));
    if (entry.part != 0) continue;
    ++images;
    StateDecoder in(&value);
    hash = in.Take64();
    if (layout_.has_values()) in.Take32();
    ARROW_RETURN_NOT_OK(in.status());
    if (KeyGroupOf(hash) != parts.group) return StateDamaged("a key's hash is not the key's");
    char* const row = merged_.get();
    layout_.Initialise(row);
    const Status status = layout_.Restore(&value, row);
    first = std::min(first, FieldAt<int64_t>(row, measure.Offset(kMin)));
    last = std::max(last, FieldAt<int64_t>(row, measure.Offset(kMax)));
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
  }
  ARROW_RETURN_NOT_OK(entries->status());
  if (first > last) return StateDamaged("a session has no reading");
  const uint32_t id = keys_.FindOrInsert(hash, key);
  uint32_t session = Join(id, first, last, 0);
  if (session == kNone) session = Begin(id, first, last);
  sessions_[session].lower.push_back(parts.time);
  sessions_[session].images += images;
  ++lower_places_;
  return Status::OK();
}

// ---- What has to be written --------------------------------------------------------------------

bool SessionAggregate::IsSealed(const Session& session) const {
  return sealed_ && AccumulatorSlab::HeaderOf(slab_.Row(session.slot)).touched == seal_number_ - 1;
}

void SessionAggregate::Touch(uint32_t index) {
  const Session& session = sessions_[index];
  if (IsSealed(session)) Write(index);
  AccumulatorSlab::HeaderOf(slab_.Row(session.slot)).touched = seal_number_;
  dirty_.push_back({index, session.version});
}

void SessionAggregate::Write(uint32_t index) {
  Session& session = sessions_[index];
  char* const row = slab_.Row(session.slot);
  writer_.Put(session.place, keys_.hash(session.key), keys_.bytes(session.key), chunk_, row);
  AccumulatorSlab::HeaderOf(row).touched = 0;
  session.is_written = true;
  if (sealed_) ++counts_.sealed_entries;
}

std::string SessionAggregate::GroupAndKey(uint32_t key) const {
  const KeyGroup group = KeyGroupOf(keys_.hash(key));
  std::string bytes;
  bytes.push_back(char(group.value() >> 8));
  bytes.push_back(char(group.value()));
  return bytes.append(keys_.bytes(key));
}

void SessionAggregate::DeleteCurrent(const Session& session, StateBatch* batch) {
  if (!session.is_written) return;
  writer_.Delete(session.place, keys_.hash(session.key), keys_.bytes(session.key), chunk_,
                 AccumulatorSlab::HeaderOf(slab_.Row(session.slot)).parts, batch);
}

Status SessionAggregate::Seal() {
  if (store_ == nullptr) return Status::OK();
  if (sealed_)
    return InternalError("sealed_twice", "window state sealed again before it is written");
  if (HasOutput()) return InternalError("sealed_early", "window state sealed with windows due");
  ++seal_number_;
  counts_.sealed_entries = 0;
  to_write_.swap(dirty_);
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
  sealed_header_ = WindowHeader{.fingerprint = Fingerprint(),
                                .watermark = watermark_,
                                .chunk = chunk_,
                                .rows_added = counts_.rows_added,
                                .rows_counted = counts_.rows_counted,
                                .rows_too_late = counts_.rows_too_late,
                                .results_out_of_range = counts_.results_out_of_range}
                       .Encode();
  sealed_ = true;
  return Status::OK();
}

// ---- Writing -----------------------------------------------------------------------------------

Result<bool> SessionAggregate::WriteSealed(int64_t entries_max) {
  if (!sealed_) return false;
  for (int64_t left = std::max<int64_t>(entries_max, 1); !to_write_.empty() && left > 0; --left) {
    const Reference of = to_write_.back();
    to_write_.pop_back();
    // One that is not there, or was touched, was written then.
    if (!IsThere(of) || !IsSealed(sessions_[of.session])) continue;
    Write(of.session);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  if (!to_write_.empty()) return true;
  writer_.batch()->Put(StateOperatorKey(format_.operator_number), sealed_header_);
  ARROW_RETURN_NOT_OK(writer_.Flush());
  sealed_ = false;
  return false;
}

// ---- Evicting ----------------------------------------------------------------------------------

Status SessionAggregate::Evict() {
  if (store_ == nullptr) return InternalError("no_state_store", "window state has no store");
  if (sealed_) return InternalError("evicted_early", "window state evicted while it is sealed");
  if (HasOutput()) return InternalError("evicted_early", "window state evicted with windows due");
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
  // Before what has changed is written: it is put together with that.
  for (uint32_t index = 0; index < sessions_.size(); ++index) {
    if (sessions_[index].slot == kNone || sessions_[index].images < kImagesMax) continue;
    ARROW_RETURN_NOT_OK(Fold(index));
    Write(index);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  for (const Reference& of : dirty_) {
    if (!IsThere(of)) continue;
    char* const row = slab_.Row(sessions_[of.session].slot);
    if (AccumulatorSlab::HeaderOf(row).touched != seal_number_) continue;
    Write(of.session);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  ARROW_RETURN_NOT_OK(writer_.Flush());
  dirty_.clear();
  ForgetMemory();
  return Status::OK();
}

Status SessionAggregate::Fold(uint32_t index) {
  Session& session = sessions_[index];
  const uint32_t slot = slab_.Take();
  char* const row = slab_.Row(slot);
  layout_.Initialise(row);
  AccumulatorSlab::HeaderOf(row) = {.touched = seal_number_, .parts = 0};
  const Status status = MergeStored(session, writer_.batch(), row);
  DeleteCurrent(session, writer_.batch());
  object_bytes_ += layout_.ObjectBytes(row) - layout_.Destroy(slab_.Row(session.slot));
  slab_.Free(session.slot);
  session.slot = slot;
  session.is_written = false;
  session.images = 0;
  lower_places_ -= int64_t(session.lower.size());
  session.lower.clear();
  return status;
}

// Each has an image now.
void SessionAggregate::ForgetMemory() {
  bool any = false;
  for (Session& session : sessions_) {
    if (session.slot == kNone) continue;
    any = true;
    layout_.Destroy(slab_.Row(session.slot));
    session.slot = kNone;
    session.is_written = false;
    ++session.images;
    if (std::ranges::find(session.lower, session.place) == session.lower.end()) {
      session.lower.push_back(session.place);
      ++lower_places_;
    }
  }
  if (any) ++chunk_;
  object_bytes_ = 0;
  slab_ = AccumulatorSlab(layout_.row_bytes());
}

// ---- Reading -----------------------------------------------------------------------------------

Status SessionAggregate::MergeStored(const Session& session, StateBatch* batch, char* row) {
  std::vector<StoredPane> places;
  places.reserve(session.lower.size());
  for (const int64_t place : session.lower) {
    places.push_back({place, true, GroupAndKey(session.key)});
  }
  ARROW_ASSIGN_OR_RAISE(const auto merge, StoredMerge::Make(store_, &format_, chunk_, places));
  if (!merge->Valid()) return StateDamaged("a session's entries are missing");
  merge->DeleteMerged(batch);
  ARROW_RETURN_NOT_OK(merge->Next(row));
  if (session.slot != kNone) layout_.Merge(row, slab_.Row(session.slot));
  return Status::OK();
}

}  // namespace millrace
