// WindowAggregate over sessions: rows of one key, each less than `gap` after the one before it. A
// session is [first row, last row + gap), and is given out when the watermark (with clocks of keys:
// the key's, or the fleet's) reaches its end.
// Invariants:
// - rows before the watermark are refused, so nothing can reach a session whose end it has passed,
//   and what is given out does not depend on the order of arrival;
// - sessions of one key are at least `gap` apart: a row within reach of two makes them one. They
//   are linked in order of time, and a row looks from the last one that was joined, so that rows
//   find theirs at once where they come in order, if only for a while;
// - `due_` has an entry for every session, at its end or, since that only grows, before it. With
//   clocks the clock has such a time, of the first one.
//
// With a store: a session's `place` is the event time of the row that began it. It is never another
// session's of the key, because later rows there would join this one. What a session's entries
// cover is found again from the least and greatest event time, which its accumulators have, so that
// a restart puts together what was one.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "engine/windows/piece_aggregate.h"

namespace millrace {

class SessionAggregate final : public PieceAggregate {
 public:
  // `node` with a gap.
  static Result<std::unique_ptr<SessionAggregate>> Make(const WindowAggregateNode& node,
                                                        std::shared_ptr<arrow::Schema> output);

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  void AdvanceTo(EventTime watermark) override;
  Result<WindowOutput> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override;
  WindowAggregateStats stats() const override;

 private:
  struct Due {
    int64_t end;
    Reference of;
    friend bool operator>(const Due& left, const Due& right) { return left.end > right.end; }
  };

  // `layout`: after the node's aggregates, least and greatest event time.
  SessionAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                   AccumulatorLayout layout);

  int64_t EndOf(int64_t last) const;
  bool IsDue(int64_t end) const;

  // The rows of the block that are not late, with their clocks.
  void JudgeByWatermark(const ColumnReader& times, std::span<const uint64_t> hashes,
                        std::span<const uint32_t> block);
  void JudgeByClock(const ColumnReader& times, std::span<const uint64_t> hashes,
                    std::span<const uint32_t> block);
  // The rows of the block to their sessions.
  void AddBlock();
  // Adds the rows of the block from `applied_` up to `end` to what they were assigned to.
  void ApplyUpTo(size_t end);
  // The session of `key` that [first, last] reaches or, if there are several, what they become;
  // kNone where there is none. `placed`: rows of the block that have their accumulators.
  uint32_t Join(uint32_t key, int64_t first, int64_t last, size_t placed);
  uint32_t Begin(uint32_t key, int64_t first, int64_t last, uint32_t clock);
  // Makes two one; returns which of them is left: the longer one, which has more to copy.
  uint32_t Absorb(uint32_t one, uint32_t other);

  // Drops what is no longer true from the front of due_.
  void Settle();
  Status Give(uint32_t session, Columns columns);
  Status GiveRow(const Piece& session, char* row, Columns columns);
  Status GiveClock(uint32_t clock, int64_t* left, Columns columns) override;

  std::string Cut() const override;
  Status MeasureImage(std::string_view accumulators, int64_t* first, int64_t* last) override;
  Result<uint32_t> TakeOverPlace(const Stored& stored) override;
  Status SettleTaken() override;

  const int64_t gap_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;

  // Of the current block.
  std::vector<int64_t> row_times_;
  std::vector<uint32_t> row_clocks_;  // empty without clocks
  size_t applied_ = 0;
};

}  // namespace millrace
