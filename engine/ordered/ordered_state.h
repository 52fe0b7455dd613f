// What OrderedOperator keeps in its store: taking over, sealing, writing, evicting, reading.
// Format: docs/state-format.md, "Rows in order". Included by the operators' sources only.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/ordered/ordered_operator.h"
#include "engine/state/state_key.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"

namespace millrace {
namespace ordered_state {

// Rows of a block: few, because only those that are due are read, and all of one are.
inline constexpr size_t kBlockRows = 512;
inline constexpr size_t kBatchBytes = 1 << 20;
// So many rows count as one entry of a slice.
inline constexpr int64_t kRowsPerEntry = 16;
// All entries stand under one time, so that those of a partition stand together.
inline constexpr int64_t kEntryTime = 0;

}  // namespace ordered_state

// ---- Taking over -------------------------------------------------------------------------------

template <typename Partition>
Status OrderedOperator<Partition>::OpenState(StateStore* store, uint16_t operator_number,
                                             const std::string& other) {
  if (store_ != nullptr || counts_.rows_added != 0 || watermark_ != kEventTimeMin) {
    return InternalError("not_fresh", "a store opened under rows that are in use");
  }
  store_ = store;
  operator_number_ = operator_number;
  ARROW_ASSIGN_OR_RAISE(const SavedState saved,
                        OpenSavedState(store, operator_number, Fingerprint(), other));
  if (saved.entries == nullptr) return Status::OK();
  saved.header.CountsTo(&counts_);
  watermark_ = saved.header.watermark;
  while (saved.entries->Valid()) ARROW_RETURN_NOT_OK(TakeOver(saved.entries.get()));
  ARROW_RETURN_NOT_OK(saved.entries->status());
  Settle();
  if (HasOutput()) return StateDamaged("there are rows that should not be there");
  return Status::OK();
}

// Of the partition where the entries stand: when it is due. Goes past them.
template <typename Partition>
Status OrderedOperator<Partition>::TakeOver(StateIterator* entries) {
  ARROW_ASSIGN_OR_RAISE(const struct EntryKey first, ParseEntryKey(entries->key(), is_text_));
  const std::string group_and_key(first.group_and_key);
  Partition* partition = nullptr;
  uint32_t index = 0;
  for (; entries->Valid(); entries->Next()) {
    ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
    ARROW_ASSIGN_OR_RAISE(const struct EntryKey entry, ParseEntryKey(entries->key(), is_text_));
    if (entry.group_and_key != group_and_key) break;
    ARROW_ASSIGN_OR_RAISE(std::string_view value, OpenValue(entries->key(), entries->value()));
    if (entry.chunk == kHeadEntry) {
      if (parts.time != ordered_state::kEntryTime || partition != nullptr || entry.part != 0) {
        return StateDamaged("a partition has two heads");
      }
      Partition head;
      uint64_t hash = 0;
      ARROW_RETURN_NOT_OK(TakeOverHead(value, &head, &hash));
      if (KeyGroupOf(hash) != parts.group) return StateDamaged("a key's hash is not the key's");
      index = keys_.FindOrInsert(hash, entry.key);
      if (index < partitions_.size() && partitions_[index].is_there) {
        return StateDamaged("a key is there twice");
      }
      partition = &PartitionOf(index);
      head.version = partition->version;
      head.row_store = partition->row_store;
      head.is_there = true;
      head.is_resident = false;
      head.is_written = true;
      *partition = std::move(head);
    } else if (partition == nullptr || entry.chunk != kBlockEntries) {
      return StateDamaged("a partition has no head");
    } else {
      ARROW_RETURN_NOT_OK(TakeOverBlock(value, entry.part, partition));
    }
  }
  ARROW_RETURN_NOT_OK(entries->status());
  if (partition == nullptr) return StateDamaged("a partition has no head");
  due_.push({partition->due, {index, partition->version}});
  return OnTakenOver(index);
}

template <typename Partition>
Status OrderedOperator<Partition>::TakeOverBlock(std::string_view value, uint32_t number,
                                                 Partition* partition) {
  StateDecoder in(&value);
  Block block;
  block.number = number;
  in.Take32();
  block.first_time = int64_t(in.Take64());
  block.last_time = int64_t(in.Take64());
  in.Require(block.first_time <= block.last_time && number > 0 && number < UINT32_MAX);
  ARROW_RETURN_NOT_OK(in.status());
  partition->next_block = std::max(partition->next_block, number + 1);
  // Rows that came after the head was written.
  if (block.first_time >= partition->released_until) {
    partition->due = std::min(partition->due, block.first_time);
  }
  partition->blocks.push_back(block);
  ++blocks_;
  return Status::OK();
}

// ---- Writing -----------------------------------------------------------------------------------

template <typename Partition>
std::string OrderedOperator<Partition>::EntryKey(uint32_t index, uint32_t chunk,
                                                 uint32_t part) const {
  std::string key;
  AppendStateKey(operator_number_, ordered_state::kEntryTime, KeyGroupOf(keys_.hash(index)), &key);
  key.append(keys_.bytes(index));
  AppendEntryPart(chunk, part, &key);
  return key;
}

template <typename Partition>
void OrderedOperator<Partition>::Touch(uint32_t index) {
  if (store_ == nullptr) return;
  Partition& partition = partitions_[index];
  if (partition.touched == seal_number_) return;
  if (sealed_ && partition.touched == seal_number_ - 1) Write(index);
  partition.touched = seal_number_;
  dirty_.push_back({index, partition.version});
}

// Its head and the rows that the store has not; returns how many entries that counts for.
template <typename Partition>
int64_t OrderedOperator<Partition>::Write(uint32_t index) {
  using ordered_state::kBlockRows;
  Partition& partition = partitions_[index];
  std::vector<uint32_t> slots;
  for (size_t i = std::max(partition.begin, partition.unwritten); i < partition.rows.size(); ++i) {
    if (partition.row_store->block(partition.rows[i]) == 0) slots.push_back(partition.rows[i]);
  }
  partition.unwritten = partition.rows.size();
  for (size_t begin = 0; begin < slots.size(); begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, slots.size() - begin);
    WriteBlock(index, std::span(slots).subspan(begin, count));
  }
  // What is only in the store has not changed.
  if (partition.is_resident) WriteHead(index);
  partition.touched = 0;
  if (sealed_) ++counts_.sealed_entries;
  return 1 + int64_t(slots.size()) / ordered_state::kRowsPerEntry;
}

template <typename Partition>
void OrderedOperator<Partition>::WriteBlock(uint32_t index, std::span<const uint32_t> slots) {
  Partition& partition = partitions_[index];
  RowStore& rows = *partition.row_store;
  Block block;
  block.number = partition.next_block++;
  block.rows = uint32_t(slots.size());
  block.first_time = rows.time(slots.front());
  block.last_time = rows.time(slots.back());
  block.is_loaded = true;
  std::string value;
  BeginValue(&value);
  StateEncoder out(&value);
  out.Put32(block.rows);
  out.Put64(uint64_t(block.first_time));
  out.Put64(uint64_t(block.last_time));
  for (const uint32_t slot : slots) {
    rows.Encode(slot, &value);
    rows.block(slot) = block.number;
  }
  const std::string key = EntryKey(index, kBlockEntries, block.number);
  EndValue(key, &value);
  batch_.Put(key, value);
  partition.blocks.push_back(block);
  ++blocks_;
}

template <typename Partition>
void OrderedOperator<Partition>::WriteHead(uint32_t index) {
  std::string value;
  BeginValue(&value);
  AppendHead(index, &value);
  const std::string key = EntryKey(index, kHeadEntry, 0);
  EndValue(key, &value);
  batch_.Put(key, value);
  partitions_[index].is_written = true;
}

// What the store has of it, with the next epoch.
template <typename Partition>
void OrderedOperator<Partition>::DeleteStored(uint32_t index) {
  const Partition& partition = partitions_[index];
  for (const Block& block : partition.blocks) {
    deleted_.Delete(EntryKey(index, kBlockEntries, block.number));
  }
  if (partition.is_written) deleted_.Delete(EntryKey(index, kHeadEntry, 0));
}

template <typename Partition>
Status OrderedOperator<Partition>::Flush() {
  if (batch_.empty()) return Status::OK();
  return store_->Write(std::exchange(batch_, StateBatch()));
}

template <typename Partition>
Status OrderedOperator<Partition>::FlushIfLarge() {
  return batch_.bytes() < ordered_state::kBatchBytes ? Status::OK() : Flush();
}

template <typename Partition>
Status OrderedOperator<Partition>::Seal() {
  if (store_ == nullptr) return Status::OK();
  if (sealed_) return InternalError("sealed_twice", "rows sealed again before they are written");
  if (HasOutput()) return InternalError("sealed_early", "rows sealed that are due");
  ++seal_number_;
  counts_.sealed_entries = 0;
  to_write_.swap(dirty_);
  ARROW_RETURN_NOT_OK(Flush());
  std::swap(batch_, deleted_);
  sealed_header_ = WindowHeader::Of(Fingerprint(), watermark_, 0, counts_).Encode();
  sealed_ = true;
  return Status::OK();
}

template <typename Partition>
Result<bool> OrderedOperator<Partition>::WriteSealed(int64_t entries_max) {
  if (!sealed_) return false;
  for (int64_t left = std::max<int64_t>(entries_max, 1); !to_write_.empty() && left > 0;) {
    const Reference of = to_write_.back();
    to_write_.pop_back();
    // One that is not there, or was touched, was written then.
    if (!IsThere(of) || partitions_[of.partition].touched != seal_number_ - 1) continue;
    left -= Write(of.partition);
    ARROW_RETURN_NOT_OK(FlushIfLarge());
  }
  if (!to_write_.empty()) return true;
  batch_.Put(StateOperatorKey(operator_number_), sealed_header_);
  ARROW_RETURN_NOT_OK(Flush());
  sealed_ = false;
  return false;
}

// ---- Evicting ----------------------------------------------------------------------------------

template <typename Partition>
Status OrderedOperator<Partition>::Evict() {
  if (store_ == nullptr) return InternalError("no_state_store", "rows have no store");
  if (sealed_) return InternalError("evicted_early", "rows evicted while they are sealed");
  ARROW_RETURN_NOT_OK(Flush());
  std::swap(batch_, deleted_);
  for (const Reference& of : dirty_) {
    if (!IsThere(of) || partitions_[of.partition].touched != seal_number_) continue;
    Write(of.partition);
    ARROW_RETURN_NOT_OK(FlushIfLarge());
  }
  ARROW_RETURN_NOT_OK(Flush());
  dirty_.clear();
  ForgetMemory();
  return Status::OK();
}

template <typename Partition>
void OrderedOperator<Partition>::ForgetMemory() {
  for (Partition& partition : partitions_) {
    if (!partition.is_there) continue;
    partition.rows = {};
    partition.times = {};
    partition.begin = partition.unwritten = 0;
    partition.is_resident = false;
    for (Block& block : partition.blocks) {
      block.rows = 0;
      block.is_loaded = false;
    }
  }
}

// ---- Reading -----------------------------------------------------------------------------------

template <typename Partition>
Result<std::string_view> OrderedOperator<Partition>::Find(const std::string& key) {
  if (entries_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(entries_, store_->Scan(StateOperatorKey(operator_number_),
                                                 StateOperatorEnd(operator_number_)));
  }
  entries_->Seek(key);
  ARROW_RETURN_NOT_OK(entries_->status());
  if (!entries_->Valid() || entries_->key() != key) {
    return StateDamaged("an entry of a partition is missing");
  }
  return OpenValue(key, entries_->value());
}

template <typename Partition>
Status OrderedOperator<Partition>::Load(uint32_t index) {
  if (store_ == nullptr) return Status::OK();
  Partition& partition = partitions_[index];
  RowStore& store = *partition.row_store;
  const bool was_resident = partition.is_resident;
  std::vector<uint32_t> slots;
  const auto failed = [&](Status status) {
    for (const uint32_t slot : slots) store.Free(slot);
    return status;
  };
  for (size_t i = 0; i < partition.blocks.size(); ++i) {
    const Block& block = partition.blocks[i];
    if (block.is_loaded) continue;
    const bool has_released = !was_resident && block.first_time < partition.released_until;
    if (!has_released && !IsDue(block.first_time)) continue;
    if (Status status = LoadBlock(index, i, &slots); !status.ok()) return failed(status);
  }
  if (!was_resident) {
    if (partition.is_written) {
      const Result<std::string_view> head = Find(EntryKey(index, kHeadEntry, 0));
      if (!head.ok()) return failed(head.status());
      if (Status status = LoadHead(*head, &partition); !status.ok()) return failed(status);
    }
    partition.is_resident = true;
  }
  if (slots.empty()) {
    if (!was_resident && partition.released > partition.first) {
      return StateDamaged("rows of a partition are missing");
    }
    return Status::OK();
  }
  const auto in_order = [&](uint32_t left, uint32_t right) { return store.IsBefore(left, right); };
  std::ranges::sort(slots, in_order);
  size_t kept_from = 0;
  if (!was_resident) {
    // Of those that are in order only the last ones are still wanted.
    const auto waiting = std::ranges::partition_point(
        slots, [&](uint32_t slot) { return store.time(slot) < partition.released_until; });
    const int64_t in_place = waiting - slots.begin();
    const int64_t wanted = partition.released - partition.first;
    if (in_place < wanted) return failed(StateDamaged("rows of a partition are missing"));
    kept_from = size_t(in_place - wanted);
  }
  for (size_t i = 0; i < kept_from; ++i) {
    // It was left out before, and its block has others that are wanted.
    const auto block = std::ranges::find(partition.blocks, store.block(slots[i]), &Block::number);
    --block->rows;
    store.Free(slots[i]);
  }
  std::erase_if(partition.blocks, [&](const Block& block) {
    if (!block.is_loaded || block.rows > 0) return false;
    deleted_.Delete(EntryKey(index, kBlockEntries, block.number));
    --blocks_;
    return true;
  });
  std::vector<uint32_t> rows(partition.rows.begin() + int64_t(partition.begin),
                             partition.rows.end());
  const auto middle = int64_t(rows.size());
  // Those in memory that are in order stand before all that were read, or there are none.
  rows.insert(rows.end(), slots.begin() + int64_t(kept_from), slots.end());
  std::inplace_merge(rows.begin(), rows.begin() + middle, rows.end(), in_order);
  partition.times.clear();
  for (const uint32_t slot : rows) partition.times.push_back(store.time(slot));
  partition.rows = std::move(rows);
  partition.begin = partition.unwritten = 0;
  return Status::OK();
}

template <typename Partition>
Status OrderedOperator<Partition>::LoadBlock(uint32_t index, size_t block,
                                             std::vector<uint32_t>* slots) {
  Block& of = partitions_[index].blocks[block];
  RowStore& rows = *partitions_[index].row_store;
  ARROW_ASSIGN_OR_RAISE(std::string_view value, Find(EntryKey(index, kBlockEntries, of.number)));
  StateDecoder in(&value);
  const uint32_t count = in.Take32();
  in.Take64();
  in.Take64();
  ARROW_RETURN_NOT_OK(in.status());
  for (uint32_t i = 0; i < count; ++i) {
    ARROW_ASSIGN_OR_RAISE(const uint32_t slot, rows.Decode(&value));
    slots->push_back(slot);
    rows.block(slot) = of.number;
    if (rows.time(slot) < of.first_time || rows.time(slot) > of.last_time) {
      return StateDamaged("a row is in the wrong block");
    }
  }
  if (!value.empty()) return StateDamaged("a block is longer than it should be");
  of.rows = count;
  of.is_loaded = true;
  return Status::OK();
}

}  // namespace millrace
