// OVER: puts the rows of each partition in the order of event time, once the watermark is beyond
// them, and computes functions over them. docs/architecture.md, "OVER".
//
// Of a partition there are, in one order: rows that functions still look back at, rows that are in
// order and wait for others that follow, and rows that wait for the watermark. How they come into
// order, and how they are kept: engine/ordered/ordered_operator.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/ordered/column_place.h"
#include "engine/ordered/ordered_operator.h"
#include "engine/over/over_frames.h"
#include "engine/over/unchanged_run.h"
#include "engine/plan/plan.h"

namespace millrace {

// A value that a call keeps of rows that are gone.
struct OverKept {
  int64_t row = -1;  // whose it is; -1: none yet
  bool is_null = true;
  uint64_t bits = 0;
  std::string text;
};

struct OverPartition : OrderedPartition {
  int64_t emitted = 0;     // the next one to give out
  int64_t rank_first = 0;  // of the last row given out: the first of its time,
  int64_t dense_rank = 0;  //   how many times there were,
  int64_t last_time = 0;   //   and its own
  std::vector<LanePlace> lanes;
  std::vector<OverKept> kept;
  std::vector<UnchangedRun> runs;  // of each of OverOperator::runs_, up to the last row given out
  // Of each of OverOperator::ordered_, as bits that compare as the values do; sorted.
  std::vector<std::vector<int64_t>> ordered;
  uint32_t back = RowStore::kNone;  // accumulators of its lanes
  int64_t held = INT64_MAX;         // event time of the first row that waits for others
};

extern template class OrderedOperator<OverPartition>;  // over_state.cpp

class OverOperator final : public OrderedOperator<OverPartition> {
 public:
  // `output` has the carried columns and the calls.
  static Result<std::unique_ptr<OverOperator>> Make(const OverNode& node, const Schema& input,
                                                    const Schema& output);
  ~OverOperator() override;

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  Result<KeyedOutput> NextOutput(int64_t rows_max) override;
  EventTime OutputWatermark() const override;
  Status Open(StateStore* store, uint16_t operator_number) override;
  std::string Fingerprint() const override;
  KeyedOperatorStats stats() const override;

 private:
  using Source = ColumnPlace;
  using Partition = OverPartition;
  using Kept = OverKept;
  struct Call {
    OverCall spec;
    Source argument;
    Source otherwise;
    int lane = -1;       // of framed ones
    int aggregate = -1;  // of its lane's
    int ordered = -1;    // or else place in Partition::ordered
    int kept = -1;       // place in Partition::kept; -1: none
    int run = -1;        // place in Partition::runs; -1: none
  };
  // A column of which it is known how long its value has been the same.
  struct Run {
    int column = -1;  // of the input
    Source argument;
    Type type = Type::kNull;
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
  OverOperator(const OverNode& node, const Schema& input, std::shared_ptr<arrow::Schema> output,
               std::vector<int> stored, std::vector<Type> stored_types);
  Status Init(const Schema& input);
  Source SourceOf(int column) const {
    return PlaceOf(column, node_.event_time, stored_, node_.keys);
  }
  int OrderedOf(const AggregateSpec& spec, int lane);
  int RunOf(int column, Type type);
  void MeasureReach();

  void Settle() override;

  // What NextOutput does with partitions that are due, all of them in each step.
  Result<int64_t> Release(uint32_t index, int64_t rows_max);
  Status SumUp();
  Status Emit(uint32_t index);
  bool IsComplete(const Partition& partition, int64_t row) const;
  // How far in time the row waits, at most: less once what was sought is there.
  int64_t AheadOf(const Partition& partition, int64_t row) const;
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
  // Of all rows that were given out.
  Status AppendCarried(const Source& source, Type type, arrow::ArrayBuilder* builder);
  template <typename Append>
  Status ForEachEmitted(const Source& source, Append append);
  CellValue CellOf(const Source& source, uint32_t slot) const {
    if (source.kind == Source::Kind::kStored) return rows_.cell(slot, source.index);
    if (source.kind == Source::Kind::kKey) return key_[source.index];
    return {false, uint64_t(rows_.time(slot)), {}};
  }
  // A row of a partition, as OverFrames looks at it.
  struct RowInPlace {
    const OverOperator* over;
    uint32_t at;
    CellValue cell(int column) const {
      return over->CellOf(over->argument_sources_[size_t(column)], at);
    }
    uint32_t slot() const { return over->rows_.tag(at); }
    void Prefetch() const { over->rows_.Prefetch(at); }
  };
  auto InPlace(const Partition& partition) const {
    return [this, &partition](int64_t row) { return RowInPlace{this, SlotAt(partition, row)}; };
  }
  static CellValue CellOf(const Kept& kept);
  void DropRows(uint32_t index);
  void DropRow(uint32_t index, uint32_t slot);
  void Reschedule(uint32_t index);
  void Remove(uint32_t index);

  // over_state.cpp
  RowStore* RowsOf(std::string_view key) override { return &rows_; }
  void AppendHead(uint32_t index, std::string* value) const override;
  Status TakeOverHead(std::string_view value, Partition* partition, uint64_t* hash) const override;
  // The sums of frames that begin with the partition.
  Status LoadHead(std::string_view value, Partition* partition) override;
  Status OnTakenOver(uint32_t index) override;
  void ForgetMemory() override;

  const OverNode node_;
  const std::shared_ptr<arrow::Schema> output_;
  std::vector<Source> carried_;
  std::vector<Type> carried_types_;
  std::vector<Call> calls_;
  const std::vector<int> stored_;  // columns that rows keep
  std::unique_ptr<OverFrames> frames_;
  std::shared_ptr<arrow::Schema> arguments_;  // of the batches that lanes sum up
  std::vector<Source> argument_sources_;
  std::vector<Type> argument_types_;
  size_t kept_count_ = 0;
  std::vector<Ordered> ordered_;
  std::vector<Run> runs_;
  std::vector<std::vector<size_t>> keeping_;  // of each lane, the calls that keep a value
  // How far calls look back and ahead.
  int64_t rows_back_ = 0;  // lag
  int64_t rows_ahead_ = 0;
  int64_t range_ahead_ = 0;
  // Of calls that need only the next row of their frame: how far they look for one, from where on
  // it counts, and whether any row behind the current one will do.
  int64_t seek_ahead_ = -1;  // -1: there are none
  int64_t seek_from_ = 0;
  int64_t range_back_ = 0;
  bool has_range_back_ = false;
  bool forgets_ = true;  // a partition without rows is as a new one

  RowStore rows_;
  Queue held_;

  // Of the current Add: rows by partition, in the order in which they came.
  static constexpr uint32_t kNoRow = UINT32_MAX;
  struct Arrived {
    uint32_t row;   // of the batch
    uint32_t next;  // of its partition: place in arrived_
  };
  struct Chain {
    uint32_t first = kNoRow;
    uint32_t last = kNoRow;
  };
  std::vector<Arrived> arrived_;
  std::vector<Chain> chains_;      // by id of key
  std::vector<uint32_t> chained_;  // whose have rows

  // Of the current NextOutput.
  std::vector<uint32_t> to_sum_;  // rows without accumulators
  // Rows that are given out: how many of which partition, and their slots.
  struct EmittedRun {
    uint32_t partition;
    size_t rows;
  };
  std::vector<EmittedRun> emitted_runs_;
  std::vector<uint32_t> emitted_slots_;
  std::vector<arrow::ArrayBuilder*> columns_;
  std::vector<char*> sums_;  // of each lane, for the current row
};

}  // namespace millrace
