// ORDER BY ... LIMIT over the rows of a window.
#pragma once

#include <arrow/record_batch.h>

#include <memory>

#include "engine/base/status.h"
#include "engine/plan/plan.h"

namespace millrace {

// The first rows of `batch` in the order of `top`, in that order; what is equal in it is in the
// order of all columns (nulls last), so that the result does not depend on the order of the batch.
Result<std::shared_ptr<arrow::RecordBatch>> FirstRows(
    const std::shared_ptr<arrow::RecordBatch>& batch, const TopRows& top);

}  // namespace millrace
