// Joins rows with a lookup: LookupNode over batches. A batch is joined with what the lookup holds
// when it comes. Used by one actor at a time.
#pragma once

#include <memory>
#include <vector>

#include "engine/lookups/lookup.h"
#include "engine/operators/evaluator.h"
#include "engine/operators/project.h"
#include "engine/plan/plan.h"

namespace millrace {

class LookupOperator {
 public:
  // Fails (internal) only on a node that the planner should not have made.
  static Result<std::unique_ptr<LookupOperator>> Make(const LookupNode& node, const Schema& input,
                                                      const Schema& output,
                                                      std::shared_ptr<Lookup> lookup);

  // Rows that find nothing are left out (counted as filtered), stay with nulls, or are errors
  // ("missing_key"), as node and lookup say; a row whose key or time fails is an error too. Fails
  // where the lookup can not be kept up to date any more.
  Result<Projected> Apply(const Rows& input);

 private:
  LookupOperator(const LookupNode& node, std::shared_ptr<Lookup> lookup)
      : lookup_(std::move(lookup)), keeps_unmatched_(node.keeps_unmatched) {}
  Result<LookupKeys> KeysOf(const Rows& input, std::vector<RowError>* errors);
  Result<std::shared_ptr<arrow::Array>> Evaluate(Evaluator* evaluator, const Rows& input,
                                                 std::vector<RowError>* errors) const;
  RowError Missing(int64_t row) const;

  const std::shared_ptr<Lookup> lookup_;
  const bool keeps_unmatched_;
  std::vector<std::unique_ptr<Evaluator>> keys_;
  std::unique_ptr<Evaluator> time_;  // null: a key has one row
  std::vector<int> columns_;         // of the lookup's layout
  std::shared_ptr<arrow::Schema> key_schema_;
  std::shared_ptr<arrow::Schema> output_;
  // Of the batch under way.
  std::shared_ptr<arrow::RecordBatch> key_values_;
  std::shared_ptr<arrow::Array> times_;
};

}  // namespace millrace
