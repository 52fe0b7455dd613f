// What flows between operators: a record batch and, until a window has grouped them, where each
// row came from.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"

namespace millrace {

// One entry a row: topic, partition and offset of the record that a row was decoded from, and which
// of its readings it is.
// A batch holds rows of one partition only.
struct Origins {
  TopicPartition source;
  std::vector<int64_t> offsets;
  // Of records that hold several readings: which of them the row is, from 0; -1: all of the record.
  // Empty where every row is a record.
  std::vector<int32_t> indexes = {};

  int32_t IndexOf(int64_t row) const { return indexes.empty() ? -1 : indexes[size_t(row)]; }
  // Indexes are kept from the first row on that has one.
  void Add(int64_t offset, int32_t index) {
    if (index >= 0 || !indexes.empty()) {
      indexes.resize(offsets.size(), -1);
      indexes.push_back(index);
    }
    offsets.push_back(offset);
  }
  void Append(const Origins& from, int64_t row) {
    offsets.push_back(from.offsets[size_t(row)]);
    if (!from.indexes.empty()) indexes.push_back(from.indexes[size_t(row)]);
  }
};

class OriginalRecords;  // engine/connectors/source.h

// What a row of a window is: the first one at the window's end, one before it, one after it.
enum class RowKind : uint8_t { kOnTime, kRunning, kCorrection };
// "on_time", "running", "correction".
std::string_view RowKindName(RowKind kind);

// Immutable once made; shared between actors.
struct Rows {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::shared_ptr<const Origins> origins;  // null below a window
  RowKind kind = RowKind::kOnTime;         // of all rows; below a window
  bool are_panes = false;  // accumulators of panes (WindowAggregate::AddPanes) in place of rows
  // Of rows that were unfolded, which of its row's items each is, from 1 (0: there was none); where
  // that one was unfolded itself, a number that stands for both. Null where nothing was unfolded.
  std::shared_ptr<const std::vector<uint64_t>> items = {};
  // Of rows that a task may find late (event_time.per_key): their records, and of each row which of
  // them it is. Null elsewhere.
  std::shared_ptr<const OriginalRecords> originals = {};
  std::shared_ptr<const std::vector<int32_t>> original_rows = {};

  int64_t size() const { return batch == nullptr ? 0 : batch->num_rows(); }
};

// A row whose expression failed; it becomes a dead letter.
struct RowError {
  int64_t row = 0;      // of the operator's input
  std::string reason;   // "division_by_zero", "numeric_out_of_range", "invalid_cast", ...
  std::string message;  // with the expression: "division by zero in (a / b)"
};

}  // namespace millrace
