// Runs bound expressions over batches. What can fail on a row (division, overflow, casts, domain
// errors) is computed here with a mask of values and errors a row, on the rows that are selected,
// so that CASE and COALESCE guard; the rest are Arrow's kernels. No allocation, virtual call or
// lock a row.
#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <span>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"
#include "engine/plan/expression.h"

namespace millrace {

struct Evaluated {
  std::shared_ptr<arrow::Array> values;  // as long as the batch; null where a row failed
  std::vector<RowError> errors;          // by row, at most one a row
};

// One compiled expression. Not thread-safe: one an operator.
class Evaluator {
 public:
  // Fails (internal) only on an expression that the planner should not have made.
  static Result<std::unique_ptr<Evaluator>> Make(const Expr& expr, const Schema& input);
  virtual ~Evaluator() = default;
  // The batch has the schema given to Make. Errors that the returned status carries are those of
  // the whole (out of memory, a defect); a row's own are in Evaluated::errors.
  virtual Result<Evaluated> Evaluate(const arrow::RecordBatch& batch) = 0;
};

}  // namespace millrace
