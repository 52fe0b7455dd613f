// Rows of a lookup, found by key: columns as Arrow has them, and an open-addressing index from the
// hash of the key columns to a row. Immutable once built, so that any number of threads may read.
//
// Keys compare as a window's do: NaN is NaN, -0 is 0. A row with a null in its key is never found;
// such rows are left out and counted. Where rows are valid for a time, those of a key lie side by
// side in the order of time, and the one whose [from, to) holds the time is found; a null there
// means for ever. Without a column for `to` a row is valid until the next one of its key is.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "engine/windows/column_reader.h"

namespace millrace {

// What is kept of a lookup: its key, its validity, and the columns that the job uses.
struct LookupLayout {
  Schema schema;
  std::vector<int> columns;  // of LookupSpec::columns, one a field
  std::vector<int> key;      // of the schema, in the key's order
  int valid_from = -1;       // of the schema; -1: a key has one row
  int valid_to = -1;

  // The field that holds a column of LookupSpec::columns; -1: it is not kept.
  int FieldOf(int column) const;
};

// `used`: of LookupSpec::columns. `spec` was read without mistakes.
LookupLayout MakeLookupLayout(const LookupSpec& spec, const std::set<int>& used);
// With what the plan uses of it; nothing where the plan does not join with it.
std::optional<LookupLayout> LookupLayoutOf(const LookupSpec& spec, const JobPlan& plan);

struct LookupLimits {
  int64_t rows_max = 20'000'000;
  int64_t bytes_max = int64_t(1) << 30;  // of values; the index comes on top
};

// Keys to be found, hashed once for any number of tables. Valid while its arrays are.
class LookupKeys {
 public:
  // `keys` has the key columns and nothing else. `times`: timestamps, where rows are valid for a
  // time; else null.
  static Result<LookupKeys> Make(std::shared_ptr<arrow::RecordBatch> keys,
                                 std::shared_ptr<arrow::Array> times);

  int64_t size() const { return int64_t(hashes_.size()); }
  uint64_t hash(int64_t row) const { return hashes_[size_t(row)]; }
  const std::vector<ColumnReader>& columns() const { return columns_; }
  // With a null in the key, or without a time where one is needed: never found.
  bool IsNull(int64_t row) const { return may_be_null_ && HasNull(row); }
  // Microseconds.
  int64_t time(int64_t row) const { return time_values_[row]; }

 private:
  bool HasNull(int64_t row) const;

  std::shared_ptr<arrow::RecordBatch> keys_;
  std::shared_ptr<arrow::Array> times_;
  std::vector<uint64_t> hashes_;
  std::vector<ColumnReader> columns_;
  bool may_be_null_ = false;
  const int64_t* time_values_ = nullptr;
};

class LookupTable {
 public:
  static constexpr int32_t kNone = -1;

  // The row of each key, kNone where there is none. `rows` is as long as `keys`.
  void Find(const LookupKeys& keys, std::span<int32_t> rows) const;

  const arrow::RecordBatch& batch() const { return *batch_; }
  int64_t rows() const { return batch_->num_rows(); }
  // Of changes: the row says that its key is gone.
  bool IsDeleted(int32_t row) const { return !deleted_.empty() && deleted_[size_t(row)] != 0; }
  bool has_deleted() const { return !deleted_.empty(); }
  // Rows that were left out because of a null in their key.
  int64_t rows_without_key() const { return rows_without_key_; }
  // Of values, and of the index.
  int64_t value_bytes() const { return value_bytes_; }
  int64_t index_bytes() const;

 private:
  friend class LookupTableBuilder;
  struct Entry {
    uint32_t tag = 0;  // of the hash
    int32_t row = kNone;
  };

  size_t Home(uint64_t hash) const { return size_t((hash * 0x9E3779B97F4A7C15u) >> shift_); }
  static uint32_t TagOf(uint64_t hash) { return uint32_t(hash >> 16); }
  // Where a column's value of a row stands, or the offsets of its text.
  struct ValuePlace {
    const uint8_t* first = nullptr;
    int64_t bits = 0;  // a row
    const uint8_t* Of(int32_t row) const { return first + int64_t(row) * bits / 8; }
  };

  bool Equals(const LookupKeys& keys, int64_t key, int32_t row) const;
  // The first entry from `slot` on that has the hash's tag, or is empty.
  size_t Candidate(uint64_t hash, size_t slot) const;
  int32_t Probe(const LookupKeys& keys, int64_t key, size_t slot) const;
  int32_t ValidRow(int32_t first, int64_t time) const;

  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<ColumnReader> keys_;  // of batch_
  std::vector<ValuePlace> places_;  // of keys_
  bool has_text_keys_ = false;
  std::vector<Entry> entries_;  // a power of two
  int shift_ = 63;
  std::vector<int32_t> last_;       // of the first row of a key: its last one; empty: each has one
  std::vector<int64_t> from_, to_;  // microseconds, by row; empty: no validity
  std::vector<uint8_t> deleted_;
  int64_t rows_without_key_ = 0;
  int64_t value_bytes_ = 0;
};

// Makes a table of batches. Used once, by one thread.
class LookupTableBuilder {
 public:
  // Where a row stands, for messages.
  struct Places {
    std::string source;            // a file, a partition
    std::vector<int64_t> offsets;  // one a row
  };
  enum class Kind {
    kTable,    // a key that is there twice is refused
    kChanges,  // a row replaces those of its key that were added before
    kLatest,   // likewise, and what says that its key is gone is left out in the end
  };

  // `layout` outlives it.
  LookupTableBuilder(const LookupLayout& layout, const LookupLimits& limits, Kind kind);

  // Rows with the layout's schema. `deleted`, not with kTable: 1 for each row that says that its
  // key is gone; empty: none does. "lookup_too_large" (user).
  Status Add(std::shared_ptr<arrow::RecordBatch> batch, Places places,
             std::span<const uint8_t> deleted = {});

  // With kTable user errors "duplicate_key", "overlapping_validity", "bad_validity", which name the
  // key and where its rows stand.
  Result<std::shared_ptr<const LookupTable>> Finish();

 private:
  Status Index();
  Status LeaveOut(bool deleted);
  Status IndexRow(const LookupKeys& keys, int64_t row);
  Status OrderByTime();
  void EndWithNext(std::span<const int32_t> rows);
  Status CheckTimes(std::span<const int32_t> rows) const;
  Status TakeRows(const std::vector<int32_t>& rows);
  Status BindKeys();
  Status Repeats(int64_t first, int64_t second) const;
  std::string PlaceOf(int64_t row) const;

  const LookupLayout& layout_;
  const LookupLimits limits_;
  const Kind kind_;
  arrow::RecordBatchVector batches_;
  struct Chunk {
    int64_t first_row = 0;
    Places places;
  };
  std::vector<Chunk> chunks_;
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
  std::vector<int32_t> next_;  // with validity: another row of the key, or -1
  std::shared_ptr<LookupTable> table_;
};

// "device_id = 'a', channel = 3" of a row of key columns, texts cut after a few bytes.
std::string FormatLookupKey(const LookupLayout& layout, const arrow::RecordBatch& keys,
                            const std::vector<int>& columns, int64_t row);

}  // namespace millrace
