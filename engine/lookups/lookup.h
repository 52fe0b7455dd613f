// A lookup while a job runs: what it holds now, read by everyone who joins with it, and swapped by
// the one thread that keeps it up to date. A batch is joined with one snapshot, whatever is swapped
// meanwhile; what a snapshot holds lives as long as anyone has it.
#pragma once

#include <arrow/array.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "engine/lookups/lookup_table.h"

namespace millrace {

// Where the rows of keys are.
struct LookupMatches {
  std::vector<int32_t> rows;    // LookupTable::kNone: there is none
  std::vector<uint8_t> tables;  // which of the snapshot's tables; empty where it has only one
};

// Tables of which each goes over those behind it. Immutable.
class LookupSnapshot {
 public:
  static constexpr size_t kTablesMax = 64;

  // The newest first; at least one. `rows`: how many keys can be found.
  LookupSnapshot(std::vector<std::shared_ptr<const LookupTable>> tables, int64_t rows);

  LookupMatches Find(const LookupKeys& keys) const;
  // Columns of the rows that were found, a null where none was.
  Result<arrow::ArrayVector> Take(const LookupMatches& matches,
                                  const std::vector<int>& columns) const;

  const std::vector<std::shared_ptr<const LookupTable>>& tables() const { return tables_; }
  int64_t rows() const { return rows_; }
  int64_t bytes() const;

 private:
  Result<arrow::ArrayVector> TakeOfSeveral(const LookupMatches& matches,
                                           const std::vector<int>& columns) const;

  const std::vector<std::shared_ptr<const LookupTable>> tables_;
  const int64_t rows_;
};

struct LookupFigures {
  int64_t rows = 0;
  int64_t rows_without_key = 0;  // in what was read last
  int64_t bytes = 0;
  int64_t refreshes = 0;  // that became visible, the first reading too
  int64_t failures = 0;   // refreshes that left what there was
  int64_t misses = 0;     // rows of streams whose key was not found
  EventTime last_refresh = kEventTimeMin;
};

// Thread-safe.
class Lookup {
 public:
  Lookup(LookupSpec spec, LookupLayout layout)
      : spec_(std::move(spec)), layout_(std::move(layout)) {}

  const LookupSpec& spec() const { return spec_; }
  const LookupLayout& layout() const { return layout_; }

  // What there is now: to be asked once a batch. Fails once the lookup can not be kept up to date
  // any more, which ends the job.
  Result<std::shared_ptr<const LookupSnapshot>> Current() const;

  // By the thread that keeps it up to date.
  void Show(std::shared_ptr<const LookupSnapshot> snapshot, int64_t rows_without_key,
            EventTime now);
  void CountFailure() { ++failures_; }
  void Break(const Status& why);

  void CountMisses(int64_t rows) { misses_.fetch_add(rows, std::memory_order_relaxed); }
  LookupFigures figures() const;

 private:
  const LookupSpec spec_;
  const LookupLayout layout_;
  std::atomic<int64_t> misses_{0};
  std::atomic<int64_t> failures_{0};
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const LookupSnapshot> snapshot_;
  Status broken_;
  int64_t rows_without_key_ = 0;
  int64_t refreshes_ = 0;
  EventTime last_refresh_ = kEventTimeMin;
};

// By name.
using LookupTables = std::map<std::string, std::shared_ptr<Lookup>>;

}  // namespace millrace
