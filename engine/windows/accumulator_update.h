// Adds rows of a batch to the accumulators of their (key, pane): one typed loop a measure over a
// block of rows, so that types, nulls and filters are decided once a block and not once a row.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/status.h"
#include "engine/windows/accumulator_layout.h"
#include "engine/windows/column_reader.h"

namespace millrace {

// Which rows of the batch go to which accumulators, in order.
struct RowBlock {
  std::span<const uint32_t> rows;
  std::span<char* const> accumulators;
};

class AccumulatorUpdate {
 public:
  // `layout` must outlive it.
  explicit AccumulatorUpdate(const AccumulatorLayout* layout);

  // The batch of the blocks that follow; it must outlive them.
  Status Bind(const arrow::RecordBatch& batch);
  // Returns the bytes by which objects outside the accumulators have grown.
  int64_t Apply(const RowBlock& block);

 private:
  struct Selected {
    std::vector<uint32_t> rows;
    std::vector<char*> accumulators;
  };

  void CountFilters(const RowBlock& block);
  RowBlock BlockOf(const Measure& measure, const RowBlock& all) const;

  const AccumulatorLayout* layout_;
  std::vector<ColumnReader> filters_;    // one a filter
  std::vector<ColumnReader> arguments_;  // one a measure
  std::vector<ColumnReader> seconds_;    // one a measure
  std::vector<Selected> selected_;       // one a filter, of the current block
};

}  // namespace millrace
