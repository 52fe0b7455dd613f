// Evaluates alert rules over rows: AlertNode over batches. Used by one actor at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"
#include "engine/operators/evaluator.h"
#include "engine/plan/plan.h"

namespace millrace {

struct Alerted {
  Rows rows;                     // AlertSchema(); in order of input row, then rule
  std::vector<RowError> errors;  // conditions that failed
};

class AlertOperator {
 public:
  // `job` enters the alert's id: 128-bit XXH3 in hex of job, rule, key, and topic-partition-offset
  // (single readings), window end, or all columns but floating-point ones (rows of an OVER).
  static Result<std::unique_ptr<AlertOperator>> Make(const AlertNode& node, const std::string& job,
                                                     const std::string& stream,
                                                     const Schema& input);
  virtual ~AlertOperator() = default;
  virtual Result<Alerted> Apply(const Rows& input) = 0;
};

}  // namespace millrace
