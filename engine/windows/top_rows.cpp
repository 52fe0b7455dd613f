#include "engine/windows/top_rows.h"

#include <arrow/builder.h>
#include <arrow/compute/api.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/windows/column_reader.h"
#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

// One column by which rows are ordered.
struct Order {
  ColumnReader column;
  bool descending = false;
  bool nulls_first = false;

  // Less than 0 where row `left` comes first.
  int Compare(int64_t left, int64_t right) const {
    const bool left_null = column.IsNull(left);
    const bool right_null = column.IsNull(right);
    if (left_null || right_null) {
      if (left_null == right_null) return 0;
      return left_null == nulls_first ? -1 : 1;
    }
    int order = 0;
    if (column.is_text()) {
      order = column.Text(left).compare(column.Text(right));
    } else {
      const int64_t a = OrderedBits(column, left);
      const int64_t b = OrderedBits(column, right);
      order = a < b ? -1 : a > b ? 1 : 0;
    }
    return descending ? -order : order;
  }
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> FirstRows(
    const std::shared_ptr<arrow::RecordBatch>& batch, const TopRows& top) {
  std::vector<Order> orders;
  for (const SortKey& key : top.order) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader column,
                          ColumnReader::Make(*batch->column(key.column)));
    orders.push_back({column, key.descending, key.nulls_first});
  }
  for (const auto& array : batch->columns()) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader column, ColumnReader::Make(*array));
    orders.push_back({column, false, false});
  }
  std::vector<int64_t> rows(size_t(batch->num_rows()));
  std::iota(rows.begin(), rows.end(), 0);
  const auto comes_first = [&](int64_t left, int64_t right) {
    for (const Order& order : orders) {
      if (const int compared = order.Compare(left, right); compared != 0) return compared < 0;
    }
    return false;
  };
  const size_t kept = size_t(std::min(batch->num_rows(), top.limit));
  std::partial_sort(rows.begin(), rows.begin() + int64_t(kept), rows.end(), comes_first);
  rows.resize(kept);
  arrow::Int64Builder indices;
  ARROW_RETURN_NOT_OK(indices.AppendValues(rows));
  ARROW_ASSIGN_OR_RAISE(const auto wanted, indices.Finish());
  ARROW_ASSIGN_OR_RAISE(const auto taken, arrow::compute::Take(batch, wanted));
  return taken.record_batch();
}

}  // namespace millrace
