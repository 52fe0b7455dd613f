// What operators have in common that put the rows of each partition (of equal keys) in the order of
// event time, once the watermark is beyond them: OVER (engine/over) and joins (engine/joins). Rows
// of one time are in the order of all columns, so that what comes out does not depend on how they
// came.
// Invariants:
// - rows before `released_until` of a partition are in order and no other comes among them: the
//   watermark has passed them;
// - a partition has an entry in `due_` at the earliest event time behind which something is to do
//   with it: to give out rows, or to drop them.
//
// With a store (ordered_state.h):
// - rows are written once, in blocks that are never changed, and a block is deleted with its last
//   row; what is known of a partition besides is its head, written when it has changed;
// - a partition that is not `resident` has rows and what its head says in the store only, and in
//   memory what is needed to know when it is due. Of one that is, blocks of rows that are not due
//   yet may still be in the store only.
//
// `Partition` is derived from OrderedPartition.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/ordered/cell_value.h"
#include "engine/ordered/ordered_partition.h"
#include "engine/windows/key_table.h"
#include "engine/windows/keyed_operator.h"

namespace millrace {

template <typename Partition>
class OrderedOperator : public KeyedOperator {
 public:
  void AdvanceTo(EventTime watermark) final {
    if (watermark <= watermark_) return;
    watermark_ = watermark;
    Settle();
  }
  bool HasOutput() const final { return !due_.empty() && IsDue(due_.top().time); }
  Status Seal() final;
  Result<bool> WriteSealed(int64_t entries_max) final;
  bool StoreIsBehind() const final { return store_ != nullptr && store_->IsBehind(); }
  bool MayEvictWhileDue() const final { return true; }
  Status Evict() final;

 protected:
  using Reference = PartitionReference;
  using At = PartitionAt;
  using Queue = std::priority_queue<At, std::vector<At>, std::greater<>>;
  using Block = StoredBlock;

  // Partitions are told apart by these columns of the input.
  OrderedOperator(std::vector<int> keys, const Schema& input);

  // ---- What the operator says of its partitions ----
  // Where rows of a key (as KeyTable has it) are kept.
  virtual RowStore* RowsOf(std::string_view key) = 0;
  // Its head, to `value`: first the hash of its key.
  virtual void AppendHead(uint32_t index, std::string* value) const = 0;
  // Of a head: what is known of a partition that is not resident, and its key's hash.
  // "state_damaged".
  virtual Status TakeOverHead(std::string_view value, Partition* partition,
                              uint64_t* hash) const = 0;
  // The rest of it. "state_damaged".
  virtual Status LoadHead(std::string_view value, Partition* partition) = 0;
  // The partition was taken over from the store. "state_damaged".
  virtual Status OnTakenOver(uint32_t index) { return Status::OK(); }
  // What is only kept of partitions that are resident goes.
  virtual void ForgetMemory();
  // What is at the front of the queues is true.
  virtual void Settle();

  uint32_t SlotAt(const Partition& partition, int64_t row) const { return partition.slot(row); }
  int64_t TimeAt(const Partition& partition, int64_t row) const { return partition.time(row); }
  size_t InMemory(const Partition& partition) const { return partition.in_memory(); }
  bool IsThere(Reference of) const {
    return partitions_[of.partition].is_there && partitions_[of.partition].version == of.version;
  }
  bool IsDue(int64_t time) const { return time < watermark_.time_since_epoch().count(); }
  // No row comes after those that are in order.
  bool IsEnd(const Partition& partition) const {
    return watermark_ == kEventTimeMax && partition.released_until == INT64_MAX;
  }

  // The times of a batch; "bad_column_type".
  Result<const int64_t*> TimesOf(const arrow::RecordBatch& batch, int column,
                                 ColumnReader* reader) const;
  // The key's, a new one where there is none.
  Partition& PartitionOf(uint32_t key);
  // A row of it that waits for the watermark.
  void Insert(Partition* partition, uint32_t slot);
  void SetDue(uint32_t index, int64_t time);
  // Of the rows that wait and of blocks that are not read, the first one's.
  int64_t FirstWaiting(const Partition& partition) const;
  // To key_: a key's bytes as one cell a column.
  void ReadKey(std::string_view bytes);
  void DropRow(uint32_t index, uint32_t slot);
  // After rows were dropped from the front.
  static void Compact(Partition* partition);
  // What has no rows in memory any more.
  void Forget(uint32_t index);
  int64_t IndexBytes() const;
  // Of what waits to be written.
  int64_t PendingBytes() const;

  // ---- ordered_state.h ----
  static constexpr uint32_t kHeadEntry = 0;
  static constexpr uint32_t kBlockEntries = 1;
  // `other` says what state of another fingerprint belongs to.
  Status OpenState(StateStore* store, uint16_t operator_number, const std::string& other);
  // It is about to change: what a sealed epoch has of it is written before.
  void Touch(uint32_t index);
  // Into memory: what its head says, and the blocks of rows that are due.
  Status Load(uint32_t index);
  Status Flush();
  Status FlushIfLarge();

  KeyTable keys_;
  std::vector<bool> is_text_;          // of each key column
  std::vector<Partition> partitions_;  // by id of key
  Queue due_;
  EventTime watermark_ = kEventTimeMin;
  KeyedOperatorStats counts_;
  std::vector<CellValue> key_;
  std::vector<uint32_t> taken_;             // partitions, of the current NextOutput
  std::unique_ptr<StateIterator> entries_;  // of the current NextOutput
  StateStore* store_ = nullptr;

 private:
  Status TakeOver(StateIterator* entries);
  Status TakeOverBlock(std::string_view value, uint32_t number, Partition* partition);
  std::string EntryKey(uint32_t index, uint32_t chunk, uint32_t part) const;
  int64_t Write(uint32_t index);
  void WriteBlock(uint32_t index, std::span<const uint32_t> slots);
  void WriteHead(uint32_t index);
  Status LoadBlock(uint32_t index, size_t block, std::vector<uint32_t>* slots);
  Result<std::string_view> Find(const std::string& key);
  void DeleteStored(uint32_t index);

  int64_t blocks_ = 0;  // of all partitions
  uint16_t operator_number_ = 0;
  StateBatch batch_;
  StateBatch deleted_;        // with the next epoch
  uint32_t seal_number_ = 2;  // so that the one before it is not 0
  std::vector<Reference> dirty_;
  std::vector<Reference> to_write_;
  std::string sealed_header_;
};

template <typename Partition>
OrderedOperator<Partition>::OrderedOperator(std::vector<int> keys, const Schema& input)
    : keys_(keys) {
  for (const int key : keys) is_text_.push_back(IsTextual(input.fields[size_t(key)].type));
}

template <typename Partition>
Result<const int64_t*> OrderedOperator<Partition>::TimesOf(const arrow::RecordBatch& batch,
                                                           int column, ColumnReader* reader) const {
  ARROW_ASSIGN_OR_RAISE(*reader, ColumnReader::Make(*batch.column(column)));
  if (reader->type() != Type::kTimestamp) {
    return InternalError("bad_column_type", "the event time of a keyed node is not a timestamp");
  }
  return reader->template Values<int64_t>();
}

template <typename Partition>
Partition& OrderedOperator<Partition>::PartitionOf(uint32_t key) {
  if (key >= partitions_.size()) partitions_.resize(key + 1);
  Partition& partition = partitions_[key];
  if (partition.is_there) return partition;
  const uint32_t version = partition.version;
  partition = Partition();
  partition.version = version + 1;
  partition.is_there = true;
  partition.row_store = RowsOf(keys_.bytes(key));
  keys_.AddPane(key);
  return partition;
}

// Among those that wait for the watermark, from the end: they come nearly in order.
template <typename Partition>
void OrderedOperator<Partition>::Insert(Partition* partition, uint32_t slot) {
  std::vector<uint32_t>& rows = partition->rows;
  std::vector<int64_t>& times = partition->times;
  const RowStore& store = *partition->row_store;
  const int64_t time = store.time(slot);
  const size_t waiting =
      partition->begin +
      (partition->is_resident ? size_t(partition->released - partition->first) : 0);
  if (rows.size() == waiting || time > times.back() || !store.IsBefore(slot, rows.back())) {
    rows.push_back(slot);
    times.push_back(time);
    return;
  }
  const auto place =
      std::upper_bound(rows.begin() + int64_t(waiting), rows.end(), slot,
                       [&](uint32_t left, uint32_t right) { return store.IsBefore(left, right); });
  const int64_t at = place - rows.begin();
  rows.insert(place, slot);
  times.insert(times.begin() + at, time);
  partition->unwritten = std::min(partition->unwritten, size_t(at));
}

template <typename Partition>
void OrderedOperator<Partition>::SetDue(uint32_t index, int64_t time) {
  Partition& partition = partitions_[index];
  if (time >= partition.due) return;
  partition.due = time;
  due_.push({time, {index, partition.version}});
}

template <typename Partition>
void OrderedOperator<Partition>::Settle() {
  while (!due_.empty() &&
         !(IsThere(due_.top().of) && partitions_[due_.top().of.partition].due == due_.top().time)) {
    due_.pop();
  }
}

template <typename Partition>
int64_t OrderedOperator<Partition>::FirstWaiting(const Partition& partition) const {
  int64_t time = INT64_MAX;
  if (partition.released < partition.end()) time = partition.time(partition.released);
  for (const Block& block : partition.blocks) {
    if (!block.is_loaded) {
      time = std::min(time, std::max(block.first_time, partition.released_until));
    }
  }
  return time;
}

template <typename Partition>
void OrderedOperator<Partition>::ReadKey(std::string_view bytes) {
  key_.assign(is_text_.size(), CellValue());
  const auto take = [&](size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value |= uint64_t(uint8_t(bytes[i])) << (8 * i);
    bytes.remove_prefix(width);
    return value;
  };
  for (size_t i = 0; i < key_.size(); ++i) {
    key_[i].is_null = take(1) == 0;
    if (key_[i].is_null) continue;
    if (is_text_[i]) {
      const size_t size = take(4);
      key_[i].text = bytes.substr(0, size);
      bytes.remove_prefix(size);
    } else {
      key_[i].bits = take(8);
    }
  }
}

template <typename Partition>
void OrderedOperator<Partition>::DropRow(uint32_t index, uint32_t slot) {
  Partition& partition = partitions_[index];
  if (const uint32_t number = partition.row_store->block(slot); number != 0) {
    const auto block = std::ranges::find(partition.blocks, number, &Block::number);
    if (--block->rows == 0) {
      deleted_.Delete(EntryKey(index, kBlockEntries, number));
      partition.blocks.erase(block);
      --blocks_;
    }
  }
  partition.row_store->Free(slot);
}

template <typename Partition>
void OrderedOperator<Partition>::Compact(Partition* partition) {
  if (partition->begin < 16 || partition->begin * 2 < partition->rows.size()) return;
  const auto gone = int64_t(partition->begin);
  partition->rows.erase(partition->rows.begin(), partition->rows.begin() + gone);
  partition->times.erase(partition->times.begin(), partition->times.begin() + gone);
  partition->unwritten = std::max(partition->unwritten, partition->begin) - partition->begin;
  partition->begin = 0;
}

template <typename Partition>
void OrderedOperator<Partition>::Forget(uint32_t index) {
  DeleteStored(index);
  Partition& partition = partitions_[index];
  const uint32_t version = partition.version;
  blocks_ -= int64_t(partition.blocks.size());
  partition = Partition();
  partition.version = version;
  keys_.RemovePane(index);
}

template <typename Partition>
int64_t OrderedOperator<Partition>::IndexBytes() const {
  return int64_t(keys_.MemoryBytes() + partitions_.capacity() * sizeof(Partition) +
                 due_.size() * sizeof(At) + size_t(blocks_) * sizeof(Block));
}

template <typename Partition>
int64_t OrderedOperator<Partition>::PendingBytes() const {
  return int64_t((dirty_.size() + to_write_.size()) * sizeof(Reference) + batch_.bytes() +
                 deleted_.bytes());
}

}  // namespace millrace
