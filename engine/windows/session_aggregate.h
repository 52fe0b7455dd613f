// WindowAggregate over sessions: rows of one key, each less than `gap` after the one before it. A
// session is [first row, last row + gap), and is given out when the watermark reaches its end.
// Invariants:
// - rows before the watermark are refused, so nothing can reach a session whose end it has passed,
//   and what is given out does not depend on the order of arrival;
// - sessions of one key are at least `gap` apart: a row within reach of two makes them one. They
// are
//   linked in order of time, and a row looks from the last one that was joined, so that rows find
//   theirs at once where they come in order, if only for a while;
// - `due_` has an entry for every session, at its end or, since that only grows, before it.
//
// With a store (session_state.cpp): what is known of a session besides its accumulators stays in
// memory, also where those were written and forgotten: so Evict frees accumulators and no keys.
// - entries are as those of panes, under a session's `place`: the event time of the row that began
//   it. It is never another session's of the key, because later rows there would join this one;
// - what is in memory is of the current chunk; `lower` has the places of which lower chunks have
//   entries: more than one where evicted sessions became one;
// - what a session's entries cover is found again from the least and greatest event time, which its
//   accumulators have, so that a restart puts together what was one.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "engine/windows/stored_window_aggregate.h"

namespace millrace {

class SessionAggregate final : public StoredWindowAggregate {
 public:
  // `node` with a gap.
  static Result<std::unique_ptr<SessionAggregate>> Make(const WindowAggregateNode& node,
                                                        std::shared_ptr<arrow::Schema> output);
  ~SessionAggregate() override;

  Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
             std::span<const uint32_t> selection) override;
  void AdvanceTo(EventTime watermark) override;
  Result<WindowOutput> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override;
  Result<bool> WriteSealed(int64_t entries_max) override;
  WindowAggregateStats stats() const override;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // A session with so many images in lower chunks is put together when memory is emptied again, so
  // that one which never ends does not gather them.
  static constexpr uint32_t kImagesMax = 8;

  struct Session {
    int64_t first = 0;  // event times of its rows, in microseconds
    int64_t last = 0;
    int64_t place = 0;
    uint32_t key = KeyTable::kNone;
    uint32_t slot = kNone;  // of its accumulators; none: all of them are in lower chunks
    uint32_t next = kNone;  // of its key: the one before it in time
    uint32_t previous = kNone;
    uint32_t version = 0;     // how many were here before: tells who is meant
    bool is_written = false;  // the store has entries of the current chunk
    uint32_t images = 0;      // of it in lower chunks
    std::vector<int64_t> lower;
  };
  // A session as it was when it was written down.
  struct Reference {
    uint32_t session;
    uint32_t version;
  };
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
  bool IsThere(Reference of) const { return sessions_[of.session].version == of.version; }

  // The rows of the block to their sessions.
  void AddBlock();
  // Adds the rows of the block from `applied_` up to `end` to what they were assigned to.
  void ApplyUpTo(size_t end);
  // The session of `key` that [first, last] reaches or, if there are several, what they become;
  // kNone where there is none. `placed`: rows of the block that have their accumulators.
  uint32_t Join(uint32_t key, int64_t first, int64_t last, size_t placed);
  uint32_t Begin(uint32_t key, int64_t first, int64_t last);
  // Makes two one; returns which of them is left: the longer one, which has more to copy.
  uint32_t Absorb(uint32_t one, uint32_t other);
  void Release(uint32_t session);
  // Among those of its key.
  void Link(uint32_t session);
  void Unlink(uint32_t session);
  // The accumulators in memory, made where there are none, as about to be changed.
  char* RowOf(uint32_t session);

  // Drops what is no longer true from the front of due_.
  void Settle();
  Status Give(uint32_t session, std::span<arrow::ArrayBuilder* const> columns);
  Status GiveRow(const Session& session, char* row, std::span<arrow::ArrayBuilder* const> columns);

  // session_state.cpp
  std::string Cut() const override;
  Status TakeOver(StateIterator* entries) override;
  // Of the key where the entries stand, all chunks: `place` and what it covers. Goes past them.
  Status TakeOverPlace(StateIterator* entries);
  Status SealChanges() override;
  Status EvictAll() override;
  void Touch(uint32_t session);
  void WriteSession(uint32_t session);
  bool IsSealed(const Session& session) const;
  // What the store has of it in the current chunk, into `batch`.
  void DeleteCurrent(const Session& session, StateBatch* batch);
  // All of the session, into an initialised row; what lower chunks have of it is deleted in
  // `batch`.
  Status MergeStored(const Session& session, StateBatch* batch, char* row);
  // Its images in lower chunks and in memory become one, in memory.
  Status Fold(uint32_t session);
  void ForgetMemory();

  const int64_t gap_;

  std::vector<uint32_t> recent_of_key_;  // by id of key: the session last joined; none: it has none
  std::vector<Session> sessions_;
  std::vector<uint32_t> free_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  int64_t lower_places_ = 0;  // of all sessions

  // Of the current block.
  std::vector<int64_t> row_times_;
  size_t applied_ = 0;

  std::vector<Reference> dirty_;     // touched since they were last written
  std::vector<Reference> to_write_;  // of the epoch being written; those touched since are written
  StateBatch deleted_;               // with the next epoch
};

}  // namespace millrace
