// What OverOperator keeps in its store: taking over, sealing, writing, evicting, reading. Format:
// docs/state-format.md, "OVER".
#include <algorithm>
#include <utility>

#include "engine/over/over_operator.h"
#include "engine/state/state_key.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"

namespace millrace {
namespace {

// Rows of a block: few, because only those that are due are read, and all of one are.
constexpr size_t kBlockRows = 512;
constexpr size_t kBatchBytes = 1 << 20;
// So many rows count as one entry of a slice.
constexpr int64_t kRowsPerEntry = 16;
// All entries stand under one time, so that those of a partition stand together.
constexpr int64_t kEntryTime = 0;

void PutTime(int64_t time, StateEncoder* out) { out->Put64(uint64_t(time)); }

}  // namespace

// ---- Taking over -------------------------------------------------------------------------------

Status OverOperator::Open(StateStore* store, uint16_t operator_number) {
  if (store_ != nullptr || counts_.rows_added != 0 || watermark_ != kEventTimeMin) {
    return InternalError("not_fresh", "a store opened under rows that are in use");
  }
  store_ = store;
  operator_number_ = operator_number;
  ARROW_ASSIGN_OR_RAISE(
      const SavedState saved,
      OpenSavedState(store, operator_number, Fingerprint(), "other keys, columns or functions"));
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
Status OverOperator::TakeOver(StateIterator* entries) {
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
      if (parts.time != kEntryTime || partition != nullptr || entry.part != 0) {
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
  if (partition->held != INT64_MAX) held_.push({partition->held, {index, partition->version}});
  return Status::OK();
}

Status OverOperator::TakeOverHead(std::string_view value, Partition* partition, uint64_t* hash) {
  StateDecoder in(&value);
  *hash = in.Take64();
  partition->first = in.TakeTally();
  partition->emitted = in.TakeTally();
  partition->released = in.TakeTally();
  partition->rank_first = in.TakeTally();
  partition->dense_rank = in.TakeTally();
  for (int64_t* time :
       {&partition->released_until, &partition->last_time, &partition->due, &partition->held}) {
    *time = int64_t(in.Take64());
  }
  in.Require(partition->first <= partition->emitted && partition->emitted <= partition->released &&
             partition->rank_first <= partition->emitted &&
             partition->dense_rank <= partition->emitted);
  in.Require(partition->first <= std::max<int64_t>(0, partition->emitted - rows_back_));
  partition->is_there = true;
  partition->is_resident = false;
  partition->is_written = true;
  return in.status();
}

Status OverOperator::TakeOverBlock(std::string_view value, uint32_t number, Partition* partition) {
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

std::string OverOperator::EntryKey(uint32_t index, uint32_t chunk, uint32_t part) const {
  std::string key;
  AppendStateKey(operator_number_, kEntryTime, KeyGroupOf(keys_.hash(index)), &key);
  key.append(keys_.bytes(index));
  AppendEntryPart(chunk, part, &key);
  return key;
}

// It is about to change: what a sealed epoch has of it is written before.
void OverOperator::Touch(uint32_t index) {
  Partition& partition = partitions_[index];
  if (partition.touched == seal_number_) return;
  if (sealed_ && partition.touched == seal_number_ - 1) Write(index);
  partition.touched = seal_number_;
  dirty_.push_back({index, partition.version});
}

// Its head and the rows that the store has not; returns how many entries that counts for.
int64_t OverOperator::Write(uint32_t index) {
  Partition& partition = partitions_[index];
  std::vector<uint32_t> slots;
  for (size_t i = partition.begin; i < partition.rows.size(); ++i) {
    if (rows_.block(partition.rows[i]) == 0) slots.push_back(partition.rows[i]);
  }
  for (size_t begin = 0; begin < slots.size(); begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, slots.size() - begin);
    WriteBlock(index, std::span(slots).subspan(begin, count));
  }
  // What is only in the store has not changed.
  if (partition.is_resident) WriteHead(index);
  partition.touched = 0;
  if (sealed_) ++counts_.sealed_entries;
  return 1 + int64_t(slots.size()) / kRowsPerEntry;
}

void OverOperator::WriteBlock(uint32_t index, std::span<const uint32_t> slots) {
  Partition& partition = partitions_[index];
  Block block;
  block.number = partition.next_block++;
  block.rows = uint32_t(slots.size());
  block.first_time = rows_.time(slots.front());
  block.last_time = rows_.time(slots.back());
  block.is_loaded = true;
  std::string value;
  BeginValue(&value);
  StateEncoder out(&value);
  out.Put32(block.rows);
  PutTime(block.first_time, &out);
  PutTime(block.last_time, &out);
  for (const uint32_t slot : slots) {
    rows_.Encode(slot, &value);
    rows_.block(slot) = block.number;
  }
  const std::string key = EntryKey(index, kBlockEntries, block.number);
  EndValue(key, &value);
  batch_.Put(key, value);
  partition.blocks.push_back(block);
  ++blocks_;
}

void OverOperator::WriteHead(uint32_t index) {
  Partition& partition = partitions_[index];
  std::string value;
  BeginValue(&value);
  StateEncoder out(&value);
  out.Put64(keys_.hash(index));
  for (const int64_t count : {partition.first, partition.emitted, partition.released,
                              partition.rank_first, partition.dense_rank}) {
    out.Put64(uint64_t(count));
  }
  for (const int64_t time :
       {partition.released_until, partition.last_time, partition.due, partition.held}) {
    PutTime(time, &out);
  }
  // Nothing of it was in order yet.
  const bool has_lanes = partition.lanes.size() == frames_->lanes().size();
  for (size_t i = 0; i < frames_->lanes().size(); ++i) {
    const Lane& lane = frames_->lanes()[i];
    if (!lane.frame.from_first) continue;
    out.Put64(has_lanes ? uint64_t(partition.lanes[i].hi) : 0);
    out.Put8(has_lanes && lane.has_aggregates ? 1 : 0);
    if (has_lanes && lane.has_aggregates) {
      lane.layout.Save(frames_->Row(partition.back, lane), &value);
    }
  }
  for (const Call& call : calls_) {
    if (call.kept < 0 || !call.spec.frame.from_first) continue;
    const Kept none;
    const Kept& kept = partition.kept.empty() ? none : partition.kept[size_t(call.kept)];
    out.Put64(uint64_t(kept.row + 1));
    out.Put8(kept.is_null ? 0 : 1);
    if (kept.is_null) continue;
    if (IsTextual(call.spec.result)) {
      out.PutText(kept.text);
    } else {
      out.Put64(kept.bits);
    }
  }
  const std::string key = EntryKey(index, kHeadEntry, 0);
  EndValue(key, &value);
  batch_.Put(key, value);
  partition.is_written = true;
}

// What the store has of it, with the next epoch.
void OverOperator::DeleteStored(uint32_t index) {
  const Partition& partition = partitions_[index];
  for (const Block& block : partition.blocks) {
    deleted_.Delete(EntryKey(index, kBlockEntries, block.number));
  }
  if (partition.is_written) deleted_.Delete(EntryKey(index, kHeadEntry, 0));
}

Status OverOperator::Flush() {
  if (batch_.empty()) return Status::OK();
  return store_->Write(std::exchange(batch_, StateBatch()));
}

Status OverOperator::FlushIfLarge() {
  return batch_.bytes() < kBatchBytes ? Status::OK() : Flush();
}

Status OverOperator::Seal() {
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

Result<bool> OverOperator::WriteSealed(int64_t entries_max) {
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

Status OverOperator::Evict() {
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

void OverOperator::ForgetMemory() {
  std::vector<uint32_t> sums;
  for (Partition& partition : partitions_) {
    if (!partition.is_there) continue;
    for (size_t i = partition.begin; i < partition.rows.size(); ++i) {
      const uint32_t tag = rows_.tag(partition.rows[i]);
      if (tag != RowStore::kNone) sums.push_back(tag);
    }
    if (partition.back != RowStore::kNone) sums.push_back(partition.back);
    partition.rows = {};
    partition.begin = 0;
    partition.lanes = {};
    partition.kept = {};
    partition.ordered = {};
    partition.back = RowStore::kNone;
    partition.is_resident = false;
    for (Block& block : partition.blocks) {
      block.rows = 0;
      block.is_loaded = false;
    }
  }
  frames_->Clear(sums);
  rows_.Clear();
}

// ---- Reading -----------------------------------------------------------------------------------

Result<std::string_view> OverOperator::Find(const std::string& key) {
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

Status OverOperator::Load(uint32_t index) {
  Partition& partition = partitions_[index];
  const bool was_resident = partition.is_resident;
  std::vector<uint32_t> slots;
  for (size_t i = 0; i < partition.blocks.size(); ++i) {
    const Block& block = partition.blocks[i];
    if (block.is_loaded) continue;
    const bool has_released = !was_resident && block.first_time < partition.released_until;
    if (!has_released && !IsDue(block.first_time)) continue;
    const Status status = LoadBlock(index, i, &slots);
    if (!status.ok()) {
      for (const uint32_t slot : slots) rows_.Free(slot);
      return status;
    }
  }
  if (!was_resident) {
    if (partition.is_written) {
      const Status status = LoadHead(index);
      if (!status.ok()) {
        for (const uint32_t slot : slots) rows_.Free(slot);
        return status;
      }
    }
    partition.is_resident = true;
  }
  if (slots.empty()) {
    if (!was_resident && partition.released > partition.first) {
      return StateDamaged("rows of a partition are missing");
    }
    return Status::OK();
  }
  const auto in_order = [this](uint32_t left, uint32_t right) {
    return rows_.IsBefore(left, right);
  };
  std::ranges::sort(slots, in_order);
  size_t kept_from = 0;
  if (!was_resident) {
    // Of those that are in order only the last ones are still wanted.
    const auto waiting = std::ranges::partition_point(
        slots, [&](uint32_t slot) { return rows_.time(slot) < partition.released_until; });
    const int64_t in_place = waiting - slots.begin();
    const int64_t wanted = partition.released - partition.first;
    if (in_place < wanted) {
      for (const uint32_t slot : slots) rows_.Free(slot);
      return StateDamaged("rows of a partition are missing");
    }
    kept_from = size_t(in_place - wanted);
  }
  for (size_t i = 0; i < kept_from; ++i) {
    // It was left out before, and its block has others that are wanted.
    const auto block = std::ranges::find(partition.blocks, rows_.block(slots[i]), &Block::number);
    --block->rows;
    rows_.Free(slots[i]);
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
  partition.rows = std::move(rows);
  partition.begin = 0;
  return Status::OK();
}

Status OverOperator::LoadBlock(uint32_t index, size_t block, std::vector<uint32_t>* slots) {
  Block& of = partitions_[index].blocks[block];
  ARROW_ASSIGN_OR_RAISE(std::string_view value, Find(EntryKey(index, kBlockEntries, of.number)));
  StateDecoder in(&value);
  const uint32_t count = in.Take32();
  in.Take64();
  in.Take64();
  ARROW_RETURN_NOT_OK(in.status());
  for (uint32_t i = 0; i < count; ++i) {
    ARROW_ASSIGN_OR_RAISE(const uint32_t slot, rows_.Decode(&value));
    slots->push_back(slot);
    rows_.block(slot) = of.number;
    if (rows_.time(slot) < of.first_time || rows_.time(slot) > of.last_time) {
      return StateDamaged("a row is in the wrong block");
    }
  }
  if (!value.empty()) return StateDamaged("a block is longer than it should be");
  of.rows = count;
  of.is_loaded = true;
  return Status::OK();
}

// The sums of frames that begin with the partition.
Status OverOperator::LoadHead(uint32_t index) {
  Partition& partition = partitions_[index];
  ARROW_ASSIGN_OR_RAISE(std::string_view value, Find(EntryKey(index, kHeadEntry, 0)));
  StateDecoder in(&value);
  for (int i = 0; i < 10; ++i) in.Take64();
  ARROW_RETURN_NOT_OK(in.status());
  partition.lanes.assign(frames_->lanes().size(),
                         {partition.first, partition.first, partition.first});
  if (frames_->has_aggregates()) partition.back = frames_->Take();
  for (size_t i = 0; i < frames_->lanes().size(); ++i) {
    const Lane& lane = frames_->lanes()[i];
    if (!lane.frame.from_first) continue;
    LanePlace& place = partition.lanes[i];
    place.lo = place.mid = 0;
    place.hi = in.TakeTally();
    const bool has_sums = in.Take8() != 0;
    in.Require(has_sums <= lane.has_aggregates);
    ARROW_RETURN_NOT_OK(in.status());
    if (!has_sums) continue;
    char* const row = frames_->Row(partition.back, lane);
    ARROW_RETURN_NOT_OK(lane.layout.Restore(&value, row));
    if (!lane.layout.IsWhole(row)) return StateDamaged("a partition's sums are not whole");
    if (FieldAt<int64_t>(row, 0) != place.hi) {
      return StateDamaged("a partition's sums are not of its rows");
    }
  }
  for (const LanePlace& place : partition.lanes) {
    if (place.hi < partition.first || place.hi > partition.released) {
      return StateDamaged("a frame ends where there are no rows");
    }
  }
  for (const Call& call : calls_) {
    if (call.spec.function != OverFunction::kLastValue || !call.spec.frame.from_first) continue;
    const int64_t end = partition.lanes[size_t(call.lane)].hi;
    if (end > 0 && end <= partition.first) return StateDamaged("the last row of a frame is gone");
  }
  partition.kept.resize(kept_count_);
  for (const Call& call : calls_) {
    if (call.kept < 0 || !call.spec.frame.from_first) continue;
    Kept& kept = partition.kept[size_t(call.kept)];
    kept.row = in.TakeTally() - 1;
    kept.is_null = in.Take8() == 0;
    if (kept.is_null) continue;
    if (IsTextual(call.spec.result)) {
      kept.text = in.TakeText();
    } else {
      kept.bits = in.Take64();
    }
  }
  ARROW_RETURN_NOT_OK(in.status());
  if (!value.empty()) return StateDamaged("a partition's head is longer than it should be");
  return Status::OK();
}

}  // namespace millrace
