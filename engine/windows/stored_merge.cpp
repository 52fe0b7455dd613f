#include "engine/windows/stored_merge.h"

#include <algorithm>

#include "engine/state/state_key.h"
#include "engine/windows/state_bytes.h"

namespace millrace {
namespace {

constexpr size_t kGroupBytes = 2;

KeyGroup GroupOf(std::string_view group_and_key) {
  return KeyGroup(uint8_t(group_and_key[0]) << 8 | uint8_t(group_and_key[1]));
}

}  // namespace

StoredMerge::StoredMerge(const StoredFormat* format, uint32_t chunk)
    : format_(format), chunk_(chunk), scratch_(new char[format->layout->row_bytes()]) {}

Result<std::unique_ptr<StoredMerge>> StoredMerge::Make(StateStore* store,
                                                       const StoredFormat* format, uint32_t chunk,
                                                       const std::vector<StoredPane>& panes) {
  auto merge = std::unique_ptr<StoredMerge>(new StoredMerge(format, chunk));
  merge->cursors_.reserve(panes.size());
  for (const StoredPane& pane : panes) {
    Cursor& cursor = merge->cursors_.emplace_back();
    cursor.pane = pane;
    std::string first = StateTimeBegin(format->operator_number, pane.time);
    std::string last = StateTimeEnd(format->operator_number, pane.time);
    if (!pane.entries_of.empty()) {
      first = pane.entries_of;
      last = EntriesEnd(first);
    }
    ARROW_ASSIGN_OR_RAISE(cursor.iterator, store->Scan(first, last));
    ARROW_RETURN_NOT_OK(merge->Settle(&cursor));
    merge->Return(&cursor);
  }
  return merge;
}

bool StoredMerge::IsAfter(const Cursor* left, const Cursor* right) {
  const int order = left->entry.group_and_key.compare(right->entry.group_and_key);
  return order != 0 ? order > 0 : left->pane.time > right->pane.time;
}

Status StoredMerge::Settle(Cursor* cursor) {
  StateIterator& iterator = *cursor->iterator;
  for (; iterator.Valid(); iterator.Next()) {
    ARROW_ASSIGN_OR_RAISE(cursor->entry, ParseEntryKey(iterator.key(), format_->is_text));
    if (cursor->entry.chunk > chunk_) return StateDamaged("an entry is of a chunk yet to come");
    if (cursor->entry.chunk < chunk_) return Status::OK();
    // Passed over, unless damage has made it one of these.
    ARROW_RETURN_NOT_OK(OpenValue(iterator.key(), iterator.value()).status());
  }
  return iterator.status();
}

void StoredMerge::Return(Cursor* cursor) {
  if (!cursor->iterator->Valid()) return;
  heap_.push_back(cursor);
  std::push_heap(heap_.begin(), heap_.end(), IsAfter);
}

std::string_view StoredMerge::key() const { return std::string_view(key_).substr(kGroupBytes); }

Status StoredMerge::Next(char* row) {
  key_ = heap_.front()->entry.group_and_key;
  has_hash_ = false;
  while (!heap_.empty() && heap_.front()->entry.group_and_key == key_) {
    std::pop_heap(heap_.begin(), heap_.end(), IsAfter);
    Cursor* const cursor = heap_.back();
    heap_.pop_back();
    ARROW_RETURN_NOT_OK(MergePane(cursor, row));
    Return(cursor);
  }
  if (!format_->layout->IsWhole(row)) return StateDamaged("counts and values do not agree");
  return Status::OK();
}

Status StoredMerge::MergePane(Cursor* cursor, char* row) {
  while (cursor->iterator->Valid() && cursor->entry.group_and_key == key_) {
    ARROW_RETURN_NOT_OK(MergeChunk(cursor, row));
  }
  return Status::OK();
}

// Part 0 says how many parts of values follow it.
Status StoredMerge::MergeChunk(Cursor* cursor, char* row) {
  const uint32_t chunk = cursor->entry.chunk;
  if (cursor->entry.part != 0) return StateDamaged("a chunk lacks its first part");
  ARROW_ASSIGN_OR_RAISE(const uint32_t parts, MergeFixed(*cursor, row));
  for (uint32_t part = 0;; ++part) {
    cursor->iterator->Next();
    ARROW_RETURN_NOT_OK(Settle(cursor));
    const bool same = cursor->iterator->Valid() && cursor->entry.group_and_key == key_ &&
                      cursor->entry.chunk == chunk;
    if (part == parts && !same) return Status::OK();
    if (!same || cursor->entry.part != part + 1) return StateDamaged("a part of values is missing");
    ARROW_RETURN_NOT_OK(MergeValues(*cursor, row));
  }
}

Result<uint32_t> StoredMerge::MergeFixed(const Cursor& cursor, char* row) {
  ARROW_ASSIGN_OR_RAISE(std::string_view value,
                        OpenValue(cursor.iterator->key(), cursor.iterator->value()));
  StateDecoder in(&value);
  const uint64_t hash = in.Take64();
  const uint32_t parts = format_->layout->has_values() ? in.Take32() : 0;
  ARROW_RETURN_NOT_OK(in.status());
  if (KeyGroupOf(hash) != GroupOf(key_) || (has_hash_ && hash != hash_)) {
    return StateDamaged("a key's hash is not the key's");
  }
  hash_ = hash;
  has_hash_ = true;
  const AccumulatorLayout& layout = *format_->layout;
  layout.Initialise(scratch_.get());
  const Status status = layout.Restore(&value, scratch_.get());
  if (status.ok()) {
    layout.Merge(row, scratch_.get());
    if (cursor.pane.is_last) rows_counted_ += FieldAt<int64_t>(scratch_.get(), 0);
  }
  layout.Destroy(scratch_.get());
  ARROW_RETURN_NOT_OK(status);
  if (!value.empty()) return StateDamaged("an entry is longer than it should be");
  if (deleted_ != nullptr) deleted_->Delete(cursor.iterator->key());
  return parts;
}

Status StoredMerge::MergeValues(const Cursor& cursor, char* row) {
  ARROW_ASSIGN_OR_RAISE(std::string_view value,
                        OpenValue(cursor.iterator->key(), cursor.iterator->value()));
  ARROW_RETURN_NOT_OK(format_->layout->RestoreValues(&value, row));
  if (!value.empty()) return StateDamaged("an entry is longer than it should be");
  if (deleted_ != nullptr) deleted_->Delete(cursor.iterator->key());
  return Status::OK();
}

}  // namespace millrace
