// Joins of two streams: pairs of rows that have equal keys and lie near each other in event time.
// docs/architecture.md, "Joins of streams".
//
// A partition is one side of one key, in the order of event time (engine/ordered): rows that rows
// of the other side may still be near to, then rows that wait for the watermark. Rows of both sides
// of a key are taken together in one order: by event time, right ones before left ones. A row that
// is taken is paired with those of the other side that are near it and were taken before; so a pair
// comes with the later of its rows, once, and in an order that depends on the rows alone.
// Invariants:
// - of the rows that are in order those before `taken` were taken. While nothing is due that is all
//   of them, so that no head in the store says it;
// - which rows are near the next one of the other side only moves on, for they are taken by time;
// - a row of a side that keeps what has no pair is there until no other can come near it, tagged
//   once it is in a pair: those before `resolved` have come out alone, or need not.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/ordered/column_place.h"
#include "engine/ordered/ordered_operator.h"
#include "engine/plan/plan.h"

namespace millrace {

// One side of one key.
struct JoinSide : OrderedPartition {
  bool is_right = false;
  bool may_pair = true;              // no column of its key is null
  uint32_t other = RowStore::kNone;  // the other side of the key; kNone: it has no rows
  int64_t taken = 0;                 // the next row to pair
  int64_t probed = -1;               // with which row of the other side that goes on; -1: the first
  // The rows that are near the one that the other side pairs.
  int64_t near_begin = 0;
  int64_t near_end = 0;
  int64_t resolved = 0;
  std::string paired;  // what its head said of its rows, until they have their tags
};

extern template class OrderedOperator<JoinSide>;  // join_state.cpp

class JoinOperator final : public OrderedOperator<JoinSide> {
 public:
  // `output` has the columns of the left side, then those of the right one.
  static Result<std::unique_ptr<JoinOperator>> Make(const JoinNode& node, const Schema& input,
                                                    const Schema& output);

  // Rows whose key has a null are done with at once where their side keeps only pairs.
  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  Result<KeyedOutput> NextOutput(int64_t rows_max) override;
  EventTime OutputWatermark() const override;
  Status Open(StateStore* store, uint16_t operator_number) override;
  std::string Fingerprint() const override;
  KeyedOperatorStats stats() const override;

 private:
  // What there is of a side whatever the key.
  struct SideColumns {
    std::vector<int> stored;  // columns of the input that its rows keep
    std::vector<Type> types;
    std::vector<ColumnPlace> output;
  };
  // Both sides of a key; null: it has no rows.
  struct Both {
    JoinSide* left = nullptr;
    JoinSide* right = nullptr;
  };
  static constexpr uint32_t kPaired = 0;  // tag of a row
  static constexpr int64_t kLastTime = INT64_MAX - 1;

  JoinOperator(const JoinNode& node, const Schema& input, std::shared_ptr<arrow::Schema> output,
               SideColumns left, SideColumns right);
  static SideColumns ColumnsOf(const JoinNode& node, const Schema& input,
                               const std::vector<int>& columns);

  Both BothOf(uint32_t index);
  uint32_t IndexOf(const JoinSide& side) const { return uint32_t(&side - partitions_.data()); }
  Status BindKeys(const arrow::RecordBatch& batch);
  bool HasNullKey(int64_t row) const;
  // Of a partition that is new: what its key says, and the other side of the key.
  void Connect(uint32_t index);

  // What NextOutput does with a key; returns for how many rows that counts.
  Result<int64_t> Advance(uint32_t index, int64_t rows_max);
  void Release(JoinSide* side);
  int64_t Pair(JoinSide* side, JoinSide* other, int64_t rows_max);
  void PairWithLatest(JoinSide* left, JoinSide* right);
  void Resolve(JoinSide* side);
  // Moves near_begin and near_end of `side` to what is near a row of the other side at `time`.
  void MoveNear(JoinSide* side, int64_t time) const;
  void Give(const JoinSide& side, uint32_t slot, uint32_t other_slot);
  // INT64_MAX: none.
  static int64_t NextTime(const JoinSide* side);
  int64_t ResolveTime(const JoinSide* side) const;
  // No row is taken any more before it.
  int64_t PositionOf(const Both& both) const;

  Status AppendColumns(bool is_right, std::span<arrow::ArrayBuilder* const> builders);
  Status AppendKeys(bool is_right, size_t key, arrow::ArrayBuilder* builder);
  // Rows that no row to come is near to.
  void DropRows(JoinSide* side, int64_t position);
  void Reschedule(JoinSide* side);

  // join_state.cpp
  RowStore* RowsOf(std::string_view key) override;
  void AppendHead(uint32_t index, std::string* value) const override;
  Status TakeOverHead(std::string_view value, JoinSide* side, uint64_t* hash) const override;
  Status LoadHead(std::string_view value, JoinSide* side) override;
  Status OnTakenOver(uint32_t index) override;
  void ForgetMemory() override;
  Status LoadSide(JoinSide* side);
  bool ResolvesSide(const JoinSide& side) const { return resolves_[side.is_right ? 1 : 0]; }

  const JoinNode node_;
  const std::shared_ptr<arrow::Schema> output_;
  // Of each of both sides, the left one first.
  const SideColumns columns_[2];
  RowStore rows_[2];
  const bool keeps_[2];
  // Whether rows that are in no pair come out when no other can come any more. (With latest_only
  // that is known of a left row when it is taken.)
  const bool resolves_[2];
  // A row of it at `t` is near those of the other side in [t + nearest, t + farthest].
  const int64_t nearest_[2];
  const int64_t farthest_[2];

  std::vector<ColumnReader> null_keys_;  // of the current batch: key columns that may be null
  // Of the current NextOutput: of each row that comes out its rows, kNone where there is none; and
  // a partition of its key.
  std::vector<uint32_t> slots_[2];
  std::vector<uint32_t> keys_of_;
};

}  // namespace millrace
