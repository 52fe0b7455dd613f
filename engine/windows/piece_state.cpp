// What PieceAggregate keeps in its store: taking over, sealing, writing, evicting. Format:
// docs/state-format.md.
#include <algorithm>
#include <utility>

#include "engine/state/state_key.h"
#include "engine/windows/piece_aggregate.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {

// ---- Taking over -------------------------------------------------------------------------------

Status PieceAggregate::TakeOver(StateIterator* entries) {
  if (clocks_.has_value()) {
    clocks_->AdvanceTo(watermark_);
    ARROW_RETURN_NOT_OK(clocks_->TakeOver(entries));
  }
  while (entries->Valid()) ARROW_RETURN_NOT_OK(TakeOverEntries(entries));
  ARROW_RETURN_NOT_OK(entries->status());
  if (clocks_.has_value()) clocks_->Settle();
  return SettleTaken();
}

Status PieceAggregate::MeasureImage(std::string_view, int64_t*, int64_t*) { return Status::OK(); }

Status PieceAggregate::TakeOverEntries(StateIterator* entries) {
  ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
  ARROW_ASSIGN_OR_RAISE(const EntryKey first_entry, ParseEntryKey(entries->key(), format_.is_text));
  const std::string group_and_key(first_entry.group_and_key);
  const std::string key(first_entry.key);
  Stored stored{parts.time, kNone, kNone, INT64_MAX, INT64_MIN};
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
    ARROW_RETURN_NOT_OK(MeasureImage(value, &stored.first, &stored.last));
  }
  ARROW_RETURN_NOT_OK(entries->status());
  if (images == 0) return StateDamaged("a chunk lacks its first part");
  stored.key = keys_.FindOrInsert(hash, key);
  if (clocks_.has_value()) {
    stored.clock = clocks_->ClockOf(stored.key, key);
    if (stored.clock == kNone) return StateDamaged("a key's clock is missing");
  }
  ARROW_ASSIGN_OR_RAISE(const uint32_t index, TakeOverPlace(stored));
  pieces_[index].lower.push_back(parts.time);
  pieces_[index].images += images;
  ++lower_places_;
  return Status::OK();
}

// ---- What has to be written --------------------------------------------------------------------

bool PieceAggregate::IsSealed(const Piece& piece) const {
  return sealed_ && AccumulatorSlab::HeaderOf(slab_.Row(piece.slot)).touched == seal_number_ - 1;
}

void PieceAggregate::Touch(uint32_t index) {
  const Piece& piece = pieces_[index];
  if (IsSealed(piece)) WritePiece(index);
  AccumulatorSlab::HeaderOf(slab_.Row(piece.slot)).touched = seal_number_;
  dirty_.push_back({index, piece.version});
}

void PieceAggregate::WritePiece(uint32_t index) {
  Piece& piece = pieces_[index];
  char* const row = slab_.Row(piece.slot);
  Write(piece.place, piece.key, row);
  AccumulatorSlab::HeaderOf(row).touched = 0;
  piece.is_written = true;
}

void PieceAggregate::DeleteCurrent(const Piece& piece, StateBatch* batch) {
  if (!piece.is_written) return;
  writer_.Delete(piece.place, keys_.hash(piece.key), keys_.bytes(piece.key), chunk_,
                 AccumulatorSlab::HeaderOf(slab_.Row(piece.slot)).parts, batch);
}

Status PieceAggregate::SealChanges() {
  to_write_.swap(dirty_);
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
  if (clocks_.has_value()) clocks_->Seal(writer_.batch());
  return Status::OK();
}

// ---- Writing -----------------------------------------------------------------------------------

Result<bool> PieceAggregate::WriteSealed(int64_t entries_max) {
  if (!sealed_) return false;
  int64_t left = std::max<int64_t>(entries_max, 1);
  for (; !to_write_.empty() && left > 0; --left) {
    const Reference of = to_write_.back();
    to_write_.pop_back();
    // One that is not there, or was touched, was written then.
    if (!IsThere(of) || !IsSealed(pieces_[of.piece])) continue;
    WritePiece(of.piece);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  if (!to_write_.empty()) return true;
  if (clocks_.has_value()) {
    ARROW_ASSIGN_OR_RAISE(const bool more, clocks_->WriteSealed(&left));
    if (more) return true;
  }
  ARROW_RETURN_NOT_OK(FinishSealed());
  return false;
}

// ---- Evicting ----------------------------------------------------------------------------------

Status PieceAggregate::EvictAll() {
  ARROW_RETURN_NOT_OK(writer_.Flush());
  std::swap(*writer_.batch(), deleted_);
  // Before what has changed is written: it is put together with that.
  for (uint32_t index = 0; index < pieces_.size(); ++index) {
    if (pieces_[index].slot == kNone || pieces_[index].images < kImagesMax) continue;
    ARROW_RETURN_NOT_OK(Fold(index));
    WritePiece(index);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  for (const Reference& of : dirty_) {
    if (!IsThere(of)) continue;
    char* const row = slab_.Row(pieces_[of.piece].slot);
    if (AccumulatorSlab::HeaderOf(row).touched != seal_number_) continue;
    WritePiece(of.piece);
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  ARROW_RETURN_NOT_OK(writer_.Flush());
  dirty_.clear();
  ForgetMemory();
  return Status::OK();
}

Status PieceAggregate::Fold(uint32_t index) {
  Piece& piece = pieces_[index];
  const uint32_t slot = slab_.Take();
  char* const row = slab_.Row(slot);
  layout_.Initialise(row);
  AccumulatorSlab::HeaderOf(row) = {
      .touched = seal_number_, .parts = 0, .is_changed = 0, .is_late = 0};
  const Status status = MergeStored(piece, writer_.batch(), row);
  DeleteCurrent(piece, writer_.batch());
  object_bytes_ += layout_.ObjectBytes(row) - layout_.Destroy(slab_.Row(piece.slot));
  slab_.Free(piece.slot);
  piece.slot = slot;
  piece.is_written = false;
  piece.images = 0;
  lower_places_ -= int64_t(piece.lower.size());
  piece.lower.clear();
  return status;
}

// Each has an image now.
void PieceAggregate::ForgetMemory() {
  bool any = false;
  for (Piece& piece : pieces_) {
    if (piece.slot == kNone) continue;
    any = true;
    layout_.Destroy(slab_.Row(piece.slot));
    piece.slot = kNone;
    piece.is_written = false;
    ++piece.images;
    if (std::ranges::find(piece.lower, piece.place) == piece.lower.end()) {
      piece.lower.push_back(piece.place);
      ++lower_places_;
    }
  }
  if (any) ++chunk_;
  object_bytes_ = 0;
  slab_ = AccumulatorSlab(layout_.row_bytes());
}

// ---- Reading -----------------------------------------------------------------------------------

Status PieceAggregate::MergeStored(const Piece& piece, StateBatch* batch, char* row) {
  std::vector<StoredPane> places;
  places.reserve(piece.lower.size());
  for (const int64_t place : piece.lower) {
    places.push_back(
        {place, true, writer_.KeyOf(place, keys_.hash(piece.key), keys_.bytes(piece.key))});
  }
  ARROW_ASSIGN_OR_RAISE(const auto merge, StoredMerge::Make(store_, &format_, chunk_, places));
  if (!merge->Valid()) return StateDamaged("entries of a window are missing");
  merge->DeleteMerged(batch);
  ARROW_RETURN_NOT_OK(merge->Next(row));
  if (piece.slot != kNone) layout_.Merge(row, slab_.Row(piece.slot));
  return Status::OK();
}

}  // namespace millrace
