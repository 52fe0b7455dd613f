// Filter and projection: ProjectNode over batches. Used by one actor at a time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"
#include "engine/operators/evaluator.h"
#include "engine/plan/plan.h"

namespace millrace {

struct Projected {
  Rows rows;                         // origins filtered along
  std::vector<int32_t> source_rows;  // input row of each output row; empty: the same rows
  std::vector<RowError> errors;      // rows left out because an expression failed
  int64_t filtered_out = 0;          // rows left out because the filter was false or null
};

class ProjectOperator {
 public:
  static Result<std::unique_ptr<ProjectOperator>> Make(const ProjectNode& node, const Schema& input,
                                                       const Schema& output);
  virtual ~ProjectOperator() = default;
  // The filter is evaluated first; columns only on rows that pass.
  virtual Result<Projected> Apply(const Rows& input) = 0;
};

}  // namespace millrace
