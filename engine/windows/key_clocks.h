// How far each key has come, where each has a watermark of its own (docs/event-time.md, "Per key"):
// the largest time of its rows less a delay. What is open of a key closes by it, or by the floor:
// the fleet's watermark less `offline_for`.
//
// A clock is due when something of its key is to close: its user says at which time, and is told
// which clocks have come so far, by a row of the key or by the floor. So closing costs what is
// closed, however many keys there are: a row looks at its own clock, the floor at the first of a
// queue of times.
//
// A clock is in memory for as long as it is ahead of the floor, and a while longer: one behind it
// is as good as none, so that a new key begins at the floor. With a store each clock is an entry of
// its own, before those of windows (docs/state-format.md). Used by one actor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/windows/key_table.h"
#include "engine/windows/keyed_operator.h"
#include "engine/windows/state_writer.h"

namespace millrace {

class KeyClocks {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `lateness`: how much later everything closes. `keys`: the table of the operator's keys, which
  // outlives this; where its columns are the clock's, clocks have the ids of keys and hold them.
  KeyClocks(const KeyClock& clock, const std::vector<int>& node_keys, Micros lateness,
            KeyTable* keys);

  // The batch for the Find calls that follow; `hashes` are those of the operator's keys.
  Status Bind(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes);
  // Where the rows that follow were read: a key is to lie in one partition.
  void SetSource(const TopicPartition& source) {
    source_ = sources_.try_emplace(source, uint32_t(sources_.size() + 1)).first->second;
  }
  void Prefetch(uint32_t row) const { table_->Prefetch(hashes_[row]); }
  // The clock of the row's key.
  uint32_t Find(uint32_t row) {
    const uint32_t id = table_->FindOrInsert(hashes_[row], int64_t(row));
    if (id >= clocks_.size() || !clocks_[id].is_known) [[unlikely]] {
      Begin(id);
      if (store_ != nullptr) Touch(id);
    }
    return id;
  }
  void PrefetchClock(uint32_t id) const { __builtin_prefetch(&clocks_[id], 1); }
  // Whether clocks have the ids of the operator's keys.
  bool is_of_key() const { return table_ != own_.get(); }

  // What ends at it or before has closed. INT64_MIN: nothing; INT64_MAX: everything.
  int64_t Reach(uint32_t id) const { return std::max(clocks_[id].time, floor_); }
  // A row at `time` was read.
  void Move(uint32_t id, int64_t time) {
    Clock& clock = clocks_[id];
    if (clock.source != source_) [[unlikely]]
      NoteSource(id);
    int64_t to = 0;
    if (__builtin_sub_overflow(time, delay_, &to)) to = delay_ > 0 ? INT64_MIN : INT64_MAX;
    if (to <= clock.time) return;
    if (store_ != nullptr && clock.touched != seal_number_) Touch(id);
    clock.time = to;
    if (clock.has_due && to >= clock.due) SetReady(id);
  }

  // The keys of a clock of which something is open, as a list that the user links.
  uint32_t& first_key(uint32_t id) { return clocks_[id].first_key; }
  // When something of the key is to close; what was said before no longer holds.
  void SetDue(uint32_t id, int64_t due);
  void ClearDue(uint32_t id) { clocks_[id].has_due = false; }
  bool HasDue(uint32_t id) const { return clocks_[id].has_due; }
  int64_t due(uint32_t id) const { return clocks_[id].due; }

  // Never goes back.
  void AdvanceTo(EventTime watermark);
  EventTime floor() const { return EventTime(Micros(floor_)); }
  bool HasReady() const { return next_ready_ < ready_.size(); }
  uint32_t ready() const { return ready_[next_ready_]; }
  // Done with it; SetDue or ClearDue has been called.
  void PopReady();

  // ---- state -------------------------------------------------------------------------------
  // `writer` outlives it.
  void Open(StateStore* store, const StoredFormat& format, StateWriter* writer);
  // Takes over the clocks, which are the first entries; `chunk`: no other is of a later one.
  Status TakeOver(StateIterator* entries);
  // Of the key of the operator's that has these bytes; only while state is taken over. kNone: none.
  uint32_t ClockOf(uint32_t key, std::string_view bytes) const;
  // State is taken over.
  void Settle();
  // The batch takes what was forgotten before.
  void Seal(StateBatch* batch);
  // Writes at most `*left` of what is sealed, less which is left; true while there is more.
  Result<bool> WriteSealed(int64_t* left);

  // ---- figures -----------------------------------------------------------------------------
  size_t size() const { return size_; }
  size_t MemoryBytes() const;
  // Looks at every clock.
  KeyCensus Census() const;

 private:
  struct Clock {
    int64_t time = INT64_MIN;
    int64_t due = 0;
    uint32_t first_key = kNone;
    uint32_t touched = 0;  // the seal number as of which it is in a list of what to write
    uint32_t source = 0;   // where its last row was read; 0: not known
    bool is_known = false;
    bool has_due = false;
    bool is_ready = false;
    bool is_written = false;  // the store has an entry of it
  };
  struct At {
    int64_t due;
    uint32_t id;
    friend bool operator>(const At& left, const At& right) { return left.due > right.due; }
  };
  using Queue = std::priority_queue<At, std::vector<At>, std::greater<>>;

  void Begin(uint32_t id);
  void NoteSource(uint32_t id);
  void SetReady(uint32_t id);
  bool IsTrue(const At& at) const {
    const Clock& clock = clocks_[at.id];
    return clock.is_known && clock.has_due && clock.due == at.due;
  }
  void MakeQueue();
  void ForgetOffline();
  void Forget(uint32_t id);
  void Touch(uint32_t id);
  void Write(uint32_t id);
  const std::string& StoredKey(uint32_t id);

  const KeyClock node_;
  const int64_t delay_;
  const Micros offline_for_;
  std::vector<size_t> columns_;  // of the operator's key columns, those that are the clock's
  std::unique_ptr<KeyTable> own_;
  KeyTable* const table_;
  std::vector<Clock> clocks_;  // by id of key
  size_t size_ = 0;
  size_t forget_at_;  // how many there are when those that are offline are looked for
  EventTime watermark_ = kEventTimeMin;
  int64_t floor_ = INT64_MIN;
  Queue by_due_;  // an entry for each that has one; others are no longer true
  std::vector<uint32_t> ready_;
  size_t next_ready_ = 0;

  std::map<TopicPartition, uint32_t> sources_;
  uint32_t source_ = 0;
  int64_t moved_ = 0;
  std::string moved_key_;

  // Of the current batch.
  std::vector<uint64_t> own_hashes_;
  std::span<const uint64_t> hashes_;

  StateStore* store_ = nullptr;
  uint16_t operator_number_ = 0;
  std::vector<bool> is_text_;       // of the clock's columns
  std::vector<bool> node_is_text_;  // of the operator's
  StateWriter* writer_ = nullptr;
  StateBatch deleted_;        // with the next epoch
  uint32_t seal_number_ = 2;  // so that the one before it is not 0
  std::vector<uint32_t> dirty_;
  std::vector<uint32_t> to_write_;                        // those touched since are written
  std::unordered_map<std::string, uint32_t> taken_over_;  // where clocks have ids of their own
  std::string entry_key_;
  std::string entry_value_;
};

}  // namespace millrace
