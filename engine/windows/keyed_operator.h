// What a task runs: an operator over the rows of some key groups that keeps state. Rows go in as
// they come, output comes out once the watermark makes it due; what stands between is the state,
// which survives in a store. Windows and OVER are such operators (window_aggregate.h,
// engine/over/over_operator.h).
//
// Used by one actor at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/rows.h"
#include "engine/state/state_store.h"

namespace millrace {

struct KeyedOperatorStats {
  int64_t rows_added = 0;     // rows given to Add
  int64_t rows_counted = 0;   // rows that are done with, the account's figure: of panes whose last
                              // window has fired; or given out
  int64_t rows_too_late = 0;  // rows for panes whose last window has fired: 0, or a defect above
  // Values of sum(integer) that do not fit a bigint, joined texts above their limit: null in the
  // output.
  int64_t results_out_of_range = 0;
  int64_t rows_handed_on = 0;  // rows of panes given out for kPanes, since this object was made
  int64_t open_panes = 0;      // pairs of (key, pane), or rows, in memory
  int64_t keys = 0;            // in memory
  int64_t state_bytes = 0;     // in memory, approximately
  int64_t index_bytes = 0;     // of them, what Evict leaves
  // Rows of open panes, in memory or in the store.
  int64_t rows_open() const { return rows_added - rows_counted - rows_too_late; }
  int64_t sealed_entries = 0;  // pairs of (key, pane), or keys, written for the last epoch
};

// How far keys have come that have a watermark each (event_time.per_key), beside the fleet's.
struct KeyCensus {
  int64_t live = 0;     // not behind by more than max_delay
  int64_t behind = 0;   // behind by more; what is open of them waits for them
  int64_t offline = 0;  // by offline_for or more, to twice that: what was open of them has closed
  struct Behind {
    std::string key;
    Micros by{0};
  };
  std::vector<Behind> furthest;  // of those behind, a few
  // Keys whose rows have come from another partition than before, since the start, and one of them.
  int64_t moved = 0;
  std::string moved_key;
};

// A row that Add refused, and what it was behind.
struct LateRow {
  uint32_t row = 0;
  EventTime watermark = kEventTimeMin;
};

// Who takes what comes out: of rows of a window those who take changes and those who take final
// ones; windows that are put together from panes.
enum class RowAudience { kAll, kChanges, kFinal, kPanes };

struct KeyedOutput {
  std::shared_ptr<arrow::RecordBatch> batch;  // null: nothing is due
  RowKind kind = RowKind::kOnTime;
  RowAudience audience = RowAudience::kAll;
};

// Which groups of open windows are meant: of those that have been given out on time; or of all.
enum class WindowChanges { kCorrections, kAll };

class KeyedOperator {
 public:
  virtual ~KeyedOperator() = default;

  // Adds the selected rows. `hashes` has one key hash for every row of the batch; `selection`
  // lists the rows to add. Fails (internal) only on a batch that is not of the planned types.
  virtual Status Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                     std::span<const uint32_t> selection) = 0;

  // Where the rows of the Add calls that follow were read.
  virtual void SetSource(const TopicPartition& source) {}

  // Of the last Add: rows that came after their key's own watermark had closed what they belong to.
  // They are not among those added.
  virtual std::span<const LateRow> late_rows() const { return {}; }

  // Adds what another operator gave out for kPanes: `batch` has a time in the pane (its first
  // microsecond), the bytes of its key, the key's hash, and its accumulators. Only windows that are
  // put together from panes take them.
  virtual Status AddPanes(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                          std::span<const uint32_t> selection);

  // What the inputs have told: no row before `watermark` comes any more. Never goes back (an older
  // one changes nothing). kEventTimeMax ends everything.
  virtual void AdvanceTo(EventTime watermark) = 0;

  // The next rows that are due, about `rows_max` at most; none where nothing has come of what was.
  virtual Result<KeyedOutput> NextOutput(int64_t rows_max) = 0;
  // Whether something is due.
  virtual bool HasOutput() const = 0;
  // Once nothing is due: no row that comes out later is before it.
  virtual EventTime OutputWatermark() const = 0;

  // ---- rows that are not final (WindowAggregateNode::gives_changes) ----
  // Whether groups have changed since their rows were last given out.
  virtual bool HasChanges(WindowChanges) const { return false; }
  // Makes their rows due. What has changed is known in memory only: a checkpoint or an eviction
  // comes after ShowChanges, or the rows stay as they were given out until they change again.
  virtual void ShowChanges(WindowChanges) {}

  // ---- state (docs/exactly-once.md, "State") ----
  // Keeps its state in `store` (which outlives it) as operator number `operator_number`, and takes
  // over what stands there: the rest of the state stays in the store until it is needed. Called
  // once, before anything else; without it nothing is kept beyond memory. "state_damaged",
  // "state_version", "state_of_another_query".
  virtual Status Open(StateStore* store, uint16_t operator_number) = 0;

  // The barrier: what is here now is the state of the epoch. Cheap: marks what changed since the
  // last one; what is touched before it was written is written first. Not while HasOutput. Without
  // a store nothing is sealed.
  virtual Status Seal() = 0;
  // Writes at most `entries_max` of what is sealed to the store; true while more is left. Once it
  // returned false, StateStore::Checkpoint holds the epoch exactly, if it is the next call.
  virtual Result<bool> WriteSealed(int64_t entries_max) = 0;
  bool sealed() const { return sealed_; }
  // Whether the store has enough to do: WriteSealed would wait for it.
  virtual bool StoreIsBehind() const = 0;

  // Writes everything out and forgets it: memory is as of a fresh one, but for index_bytes. Not
  // while sealed() or HasChanges, nor while HasOutput but where MayEvictWhileDue. What is forgotten
  // is no epoch's before the next Seal.
  virtual Status Evict() = 0;
  virtual bool MayEvictWhileDue() const { return false; }

  // What the state is of: for windows their cut, keys, aggregates. Equal ones read each other's
  // state.
  virtual std::string Fingerprint() const = 0;

  virtual KeyedOperatorStats stats() const = 0;
  // Looks at every key: not to be called often. Nothing without clocks of keys.
  virtual KeyCensus Census() const { return {}; }

 protected:
  bool sealed_ = false;  // sealed and not all written
};

}  // namespace millrace
