// Rows of one key in the order of event time: those that are in order, then those that wait for the
// watermark. Rows are counted from the first that the partition ever had.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ordered/row_store.h"

namespace millrace {

// A sum of times or of row numbers; the ends of time stay where they are.
constexpr int64_t PlusSaturated(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? INT64_MIN : INT64_MAX;
}

// Rows in the store, ordered by time.
struct StoredBlock {
  uint32_t number = 0;
  uint32_t rows = 0;  // that are in memory
  int64_t first_time = 0;
  int64_t last_time = 0;
  bool is_loaded = false;
};

// What OrderedOperator knows of a partition; operators derive theirs from it.
struct OrderedPartition {
  std::vector<uint32_t> rows;  // slots, in order; from `begin` on
  std::vector<int64_t> times;  // of the rows
  size_t begin = 0;
  size_t unwritten = 0;           // rows before this place are in the store
  RowStore* row_store = nullptr;  // of the slots; the operator's
  int64_t first = 0;              // of the rows that are kept
  int64_t released = 0;           // the first one that is not in order yet
  int64_t released_until = INT64_MIN;
  std::vector<StoredBlock> blocks;
  uint32_t next_block = 1;
  int64_t due = INT64_MAX;
  uint32_t version = 0;  // how many were here before: tells who is meant
  uint32_t touched = 0;  // the seal number as of which it is in a list; 0: in none
  bool is_there = false;
  bool is_resident = true;
  bool is_written = false;  // the store has a head of it

  size_t in_memory() const { return rows.size() - begin; }
  // The row behind the last one.
  int64_t end() const { return first + int64_t(in_memory()); }
  uint32_t slot(int64_t row) const { return rows[begin + size_t(row - first)]; }
  int64_t time(int64_t row) const { return times[begin + size_t(row - first)]; }
};

struct PartitionReference {
  uint32_t partition;
  uint32_t version;
};

struct PartitionAt {
  int64_t time;
  PartitionReference of;
  friend bool operator>(const PartitionAt& left, const PartitionAt& right) {
    return left.time > right.time;
  }
};

}  // namespace millrace
