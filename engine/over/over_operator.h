// OVER: puts the rows of each partition in the order of event time, once the watermark is beyond
// them, and computes functions over them. docs/architecture.md, "OVER".
//
// Of a partition there are, in one order: rows that functions still look back at, rows that are in
// order and wait for others that follow, and rows that wait for the watermark. Rows of one time are
// in the order of all columns, so that what comes out does not depend on how they came.
// Invariants:
// - rows before `released_until` of a partition are in order and no other comes among them: the
//   watermark has passed them;
// - a partition has an entry in `due_` at the earliest event time behind which something is to do
//   with it: to give out rows, or to drop them;
// - rows are counted from the first that the partition ever had, `first` is the first that is kept.
//
// With a store (over_state.cpp):
// - rows are written once, in blocks that are never changed, and a block is deleted with its last
//   row; what is known of a partition besides is its head, written when it has changed;
// - a partition that is not `resident` has rows and sums in the store only, and in memory what is
//   needed to know when it is due. Of one that is, blocks of rows that are not due yet may still be
//   in the store only.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "engine/over/over_frames.h"
#include "engine/over/row_store.h"
#include "engine/plan/plan.h"
#include "engine/windows/key_table.h"
#include "engine/windows/keyed_operator.h"

namespace millrace {

class OverOperator final : public KeyedOperator {
 public:
  // `output` has the carried columns and the calls.
  static Result<std::unique_ptr<OverOperator>> Make(const OverNode& node, const Schema& input,
                                                    const Schema& output);
  ~OverOperator() override;

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  void AdvanceTo(EventTime watermark) override;
  Result<KeyedOutput> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override;
  EventTime OutputWatermark() const override;
  Status Open(StateStore* store, uint16_t operator_number) override;
  Status Seal() override;
  Result<bool> WriteSealed(int64_t entries_max) override;
  bool StoreIsBehind() const override { return store_ != nullptr && store_->IsBehind(); }
  bool MayEvictWhileDue() const override { return true; }
  Status Evict() override;
  std::string Fingerprint() const override;
  KeyedOperatorStats stats() const override;

 private:
  // Where a column of the input is kept.
  struct Source {
    enum class Kind { kTime, kStored, kKey };
    Kind kind = Kind::kTime;
    size_t index = 0;  // of the stored columns, of the keys
  };
  // A value that a call keeps of rows that are gone.
  struct Kept {
    int64_t row = -1;  // whose it is; -1: none yet
    bool is_null = true;
    uint64_t bits = 0;
    std::string text;
  };
  struct Call {
    OverCall spec;
    Source argument;
    Source otherwise;
    int lane = -1;       // of framed ones
    int aggregate = -1;  // of its lane's
    int ordered = -1;    // or else place in Partition::ordered
    int kept = -1;       // place in Partition::kept; -1: none
  };
  // Values of a frame in order, for percentiles.
  struct Ordered {
    int lane = -1;
    int column = -1;  // of the input
    int filter_column = -1;
    Source argument;
    Source filter;
    Type type = Type::kNull;
  };
  // Rows in the store, ordered by time.
  struct Block {
    uint32_t number = 0;
    uint32_t rows = 0;  // that are in memory
    int64_t first_time = 0;
    int64_t last_time = 0;
    bool is_loaded = false;
  };
  struct Partition {
    std::vector<uint32_t> rows;  // slots, in order; from `begin` on
    size_t begin = 0;
    int64_t first = 0;     // of the rows that are kept
    int64_t emitted = 0;   // the next one to give out
    int64_t released = 0;  // the first one that is not in order yet
    int64_t released_until = INT64_MIN;
    int64_t rank_first = 0;  // of the last row given out: the first of its time,
    int64_t dense_rank = 0;  //   how many times there were,
    int64_t last_time = 0;   //   and its own
    std::vector<LanePlace> lanes;
    std::vector<Kept> kept;
    // Of each of ordered_, as bits that compare as the values do; sorted.
    std::vector<std::vector<int64_t>> ordered;
    uint32_t back = RowStore::kNone;  // accumulators of its lanes
    std::vector<Block> blocks;
    uint32_t next_block = 1;
    int64_t due = INT64_MAX;
    int64_t held = INT64_MAX;  // event time of the first row that waits for others
    uint32_t version = 0;      // how many were here before: tells who is meant
    uint32_t touched = 0;      // the seal number as of which it is in a list; 0: in none
    bool is_there = false;
    bool is_resident = true;
    bool is_written = false;  // the store has a head of it
  };
  struct Reference {
    uint32_t partition;
    uint32_t version;
  };
  struct At {
    int64_t time;
    Reference of;
    friend bool operator>(const At& left, const At& right) { return left.time > right.time; }
  };
  using Queue = std::priority_queue<At, std::vector<At>, std::greater<>>;

  OverOperator(const OverNode& node, std::shared_ptr<arrow::Schema> output, std::vector<int> stored,
               std::vector<Type> stored_types);
  Status Init(const Schema& input);
  Source SourceOf(int column) const;
  int OrderedOf(const AggregateSpec& spec, int lane);
  void MeasureReach();

  uint32_t SlotAt(const Partition& partition, int64_t row) const {
    return partition.rows[partition.begin + size_t(row - partition.first)];
  }
  int64_t TimeAt(const Partition& partition, int64_t row) const {
    return rows_.time(SlotAt(partition, row));
  }
  size_t InMemory(const Partition& partition) const {
    return partition.rows.size() - partition.begin;
  }
  bool IsThere(Reference of) const {
    return partitions_[of.partition].is_there && partitions_[of.partition].version == of.version;
  }
  bool IsDue(int64_t time) const { return time < watermark_.time_since_epoch().count(); }

  Partition& PartitionOf(uint32_t key);
  void Insert(Partition* partition, uint32_t slot);
  void SetDue(uint32_t index, int64_t time);
  void Settle();

  // What NextOutput does with partitions that are due, all of them in each step.
  Result<int64_t> Release(uint32_t index, int64_t rows_max);
  Status SumUp();
  Status Emit(uint32_t index);
  bool IsComplete(const Partition& partition, int64_t row) const;
  void Slide(Partition* partition, size_t lane, int64_t row, int64_t time);
  void MoveFirst(Partition* partition, size_t lane, int64_t row, int64_t time);
  // Whether the row has a value among the ordered ones, and which.
  bool OrderedValue(const Ordered& ordered, uint32_t slot, int64_t* value) const;
  void TakeOff(Partition* partition, size_t lane, int64_t end);
  static Status AppendPercentile(const Ordered& ordered, const std::vector<int64_t>& values,
                                 const AggregateSpec& spec, arrow::ArrayBuilder* builder);
  // Row `hi` of the lane.
  void AddRow(Partition* partition, size_t lane, int64_t row);
  Status AppendCall(const Partition& partition, const Call& call, int64_t row,
                    arrow::ArrayBuilder* builder);
  CellValue CellOf(const Source& source, uint32_t slot) const;
  static CellValue CellOf(const Kept& kept);
  void ReadKey(std::string_view bytes);
  void DropRows(uint32_t index);
  void DropRow(uint32_t index, uint32_t slot);
  void Reschedule(uint32_t index);
  void Remove(uint32_t index);
  bool IsEnd(const Partition& partition) const;

  // over_state.cpp
  static constexpr uint32_t kHeadEntry = 0;
  static constexpr uint32_t kBlockEntries = 1;
  Status TakeOver(StateIterator* entries);
  Status TakeOverHead(std::string_view value, Partition* partition, uint64_t* hash);
  Status TakeOverBlock(std::string_view value, uint32_t number, Partition* partition);
  std::string EntryKey(uint32_t index, uint32_t chunk, uint32_t part) const;
  void Touch(uint32_t index);
  int64_t Write(uint32_t index);
  void WriteBlock(uint32_t index, std::span<const uint32_t> slots);
  void WriteHead(uint32_t index);
  // Into memory: the partition's sums, and the blocks of rows that are due.
  Status Load(uint32_t index);
  Status LoadHead(uint32_t index);
  Status LoadBlock(uint32_t index, size_t block, std::vector<uint32_t>* slots);
  Result<std::string_view> Find(const std::string& key);
  Status Flush();
  Status FlushIfLarge();
  void ForgetMemory();
  void DeleteStored(uint32_t index);

  const OverNode node_;
  const std::shared_ptr<arrow::Schema> output_;
  std::vector<Source> carried_;
  std::vector<Call> calls_;
  const std::vector<int> stored_;  // columns that rows keep
  std::vector<Type> key_types_;
  std::vector<bool> is_text_;  // of each key column
  std::unique_ptr<OverFrames> frames_;
  std::shared_ptr<arrow::Schema> arguments_;  // of the batches that lanes sum up
  std::vector<Source> argument_sources_;
  size_t kept_count_ = 0;
  std::vector<Ordered> ordered_;
  std::vector<std::vector<size_t>> keeping_;  // of each lane, the calls that keep a value
  // How far calls look back and ahead.
  int64_t rows_back_ = 0;  // lag
  int64_t rows_ahead_ = 0;
  int64_t range_ahead_ = 0;
  int64_t range_back_ = 0;
  bool has_range_back_ = false;
  bool forgets_ = true;  // a partition without rows is as a new one

  KeyTable keys_;
  RowStore rows_;
  std::vector<Partition> partitions_;  // by id of key
  Queue due_;
  Queue held_;
  EventTime watermark_ = kEventTimeMin;
  KeyedOperatorStats counts_;
  int64_t blocks_ = 0;  // of all partitions

  // Of the current NextOutput.
  std::vector<uint32_t> taken_;   // partitions
  std::vector<uint32_t> to_sum_;  // rows without accumulators
  std::vector<arrow::ArrayBuilder*> columns_;
  std::vector<char*> sums_;  // of each lane, for the current row
  std::vector<CellValue> key_;

  StateStore* store_ = nullptr;
  uint16_t operator_number_ = 0;
  std::unique_ptr<StateIterator> entries_;  // of the current NextOutput
  StateBatch batch_;
  StateBatch deleted_;        // with the next epoch
  uint32_t seal_number_ = 2;  // so that the one before it is not 0
  std::vector<Reference> dirty_;
  std::vector<Reference> to_write_;
  std::string sealed_header_;
};

}  // namespace millrace
