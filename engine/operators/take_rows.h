// Rows picked out of others by their indexes, with all that is known of each.
#pragma once

#include <arrow/array.h>

#include <memory>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"

namespace millrace {

// Rows of a batch; ascending where nothing else is said.
using RowIndexes = std::vector<int32_t>;

// The indexes as an array over the vector's memory, which must outlive it.
std::shared_ptr<arrow::Array> Borrow(const RowIndexes& rows);

// A value may be taken several times.
Result<std::shared_ptr<arrow::Array>> TakeValues(const std::shared_ptr<arrow::Array>& array,
                                                 const std::shared_ptr<arrow::Array>& rows);
// Null of null.
std::shared_ptr<const Origins> TakeOrigins(const std::shared_ptr<const Origins>& origins,
                                           const RowIndexes& rows);
std::shared_ptr<const std::vector<uint64_t>> TakeItems(
    const std::shared_ptr<const std::vector<uint64_t>>& items, const RowIndexes& rows);
Result<Rows> TakeRows(const Rows& from, const RowIndexes& rows);

}  // namespace millrace
