// What SessionAggregate keeps in its store: taking over, sealing, writing, evicting. Format:
// docs/state-format.md.
#include <algorithm>
#include <utility>

#include "engine/state/state_key.h"
#include "engine/windows/session_aggregate.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {

std::string SessionAggregate::Cut() const { return "session gap " + std::to_string(gap_); }

// ---- Taking over -------------------------------------------------------------------------------

Status SessionAggregate::TakeOver(StateIterator* entries) {
  while (entries->Valid()) ARROW_RETURN_NOT_OK(TakeOverPlace(entries));
  ARROW_RETURN_NOT_OK(entries->status());
  Settle();
  if (HasOutput()) return StateDamaged("there is a session that should not be there");
  return Status::OK();
}

Status SessionAggregate::TakeOverPlace(StateIterator* entries) {
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
  if (IsSealed(session)) WriteSession(index);
  AccumulatorSlab::HeaderOf(slab_.Row(session.slot)).touched = seal_number_;
  dirty_.push_back({index, session.version});
}

void SessionAggregate::WriteSession(uint32_t index) {
  Session& session = sessions_[index];
  char* const row = slab_.Row(session.slot);
  Write(session.place, session.key, row);
  AccumulatorSlab::HeaderOf(row).touched = 0;
  session.is_written = true;
}

void SessionAggregate::DeleteCurrent(const Session& session, StateBatch* batch) {
  if (!session.is_written) return;
  writer_.Delete(session.place, keys_.hash(session.key), keys_.bytes(session.key), chunk_,
                 AccumulatorSlab::HeaderOf(slab_.Row(session.slot)).parts, batch);
}

Status SessionAggregate::SealChanges() {
  to_write_.swap(dirty_);
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
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
    WriteSession(of.session);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  if (!to_write_.empty()) return true;
  ARROW_RETURN_NOT_OK(FinishSealed());
  return false;
}

// ---- Evicting ----------------------------------------------------------------------------------

Status SessionAggregate::EvictAll() {
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
  // Before what has changed is written: it is put together with that.
  for (uint32_t index = 0; index < sessions_.size(); ++index) {
    if (sessions_[index].slot == kNone || sessions_[index].images < kImagesMax) continue;
    ARROW_RETURN_NOT_OK(Fold(index));
    WriteSession(index);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  for (const Reference& of : dirty_) {
    if (!IsThere(of)) continue;
    char* const row = slab_.Row(sessions_[of.session].slot);
    if (AccumulatorSlab::HeaderOf(row).touched != seal_number_) continue;
    WriteSession(of.session);
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
  AccumulatorSlab::HeaderOf(row) = {
      .touched = seal_number_, .parts = 0, .is_changed = 0, .is_late = 0};
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
    places.push_back(
        {place, true, writer_.KeyOf(place, keys_.hash(session.key), keys_.bytes(session.key))});
  }
  ARROW_ASSIGN_OR_RAISE(const auto merge, StoredMerge::Make(store_, &format_, chunk_, places));
  if (!merge->Valid()) return StateDamaged("a session's entries are missing");
  merge->DeleteMerged(batch);
  ARROW_RETURN_NOT_OK(merge->Next(row));
  if (session.slot != kNone) layout_.Merge(row, slab_.Row(session.slot));
  return Status::OK();
}

}  // namespace millrace
