#include "engine/operators/take_rows.h"

#include <arrow/compute/api.h>

namespace millrace {

namespace compute = arrow::compute;

std::shared_ptr<arrow::Array> Borrow(const RowIndexes& rows) {
  return std::make_shared<arrow::Int32Array>(int64_t(rows.size()), arrow::Buffer::Wrap(rows));
}

Result<std::shared_ptr<arrow::Array>> TakeValues(const std::shared_ptr<arrow::Array>& array,
                                                 const std::shared_ptr<arrow::Array>& rows) {
  ARROW_ASSIGN_OR_RAISE(arrow::Datum taken, compute::Take(arrow::Datum(array), arrow::Datum(rows),
                                                          compute::TakeOptions::NoBoundsCheck()));
  return taken.make_array();
}

std::shared_ptr<const Origins> TakeOrigins(const std::shared_ptr<const Origins>& origins,
                                           const RowIndexes& rows) {
  if (origins == nullptr) return nullptr;
  auto kept = std::make_shared<Origins>();
  kept->source = origins->source;
  kept->offsets.reserve(rows.size());
  for (const int32_t row : rows) kept->Append(*origins, row);
  return kept;
}

std::shared_ptr<const std::vector<uint64_t>> TakeItems(
    const std::shared_ptr<const std::vector<uint64_t>>& items, const RowIndexes& rows) {
  if (items == nullptr) return nullptr;
  auto kept = std::make_shared<std::vector<uint64_t>>();
  kept->reserve(rows.size());
  for (const int32_t row : rows) kept->push_back((*items)[size_t(row)]);
  return kept;
}

Result<Rows> TakeRows(const Rows& from, const RowIndexes& rows) {
  arrow::ArrayVector arrays;
  const std::shared_ptr<arrow::Array> indexes = Borrow(rows);
  for (const std::shared_ptr<arrow::Array>& column : from.batch->columns()) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> taken, TakeValues(column, indexes));
    arrays.push_back(std::move(taken));
  }
  Rows taken;
  taken.batch =
      arrow::RecordBatch::Make(from.batch->schema(), int64_t(rows.size()), std::move(arrays));
  taken.origins = TakeOrigins(from.origins, rows);
  taken.kind = from.kind;
  taken.items = TakeItems(from.items, rows);
  return taken;
}

}  // namespace millrace
