#include "engine/operators/evaluator.h"

#include "engine/operators/nodes.h"

namespace millrace {
namespace {

class ColumnEvaluator final : public Evaluator {
 public:
  explicit ColumnEvaluator(int column) : column_(column) {}
  Result<Evaluated> Evaluate(const arrow::RecordBatch& batch) override {
    return Evaluated{batch.column(column_), {}};
  }

 private:
  const int column_;
};

class TreeEvaluator final : public Evaluator {
 public:
  explicit TreeEvaluator(std::unique_ptr<Node> root) : root_(std::move(root)) {}

  Result<Evaluated> Evaluate(const arrow::RecordBatch& batch) override {
    frame_.Begin(batch);
    Column column;
    ARROW_RETURN_NOT_OK(root_->Evaluate(&frame_, Selection{nullptr, batch.num_rows()}, &column));
    Evaluated evaluated;
    ARROW_ASSIGN_OR_RAISE(evaluated.values, ToArray(column, &frame_));
    evaluated.errors = frame_.TakeErrors();
    return evaluated;
  }

 private:
  const std::unique_ptr<Node> root_;
  Frame frame_;
};

}  // namespace

Result<std::unique_ptr<Evaluator>> Evaluator::Make(const Expr& expr, const Schema& input) {
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Node> root, CompileExpr(expr, input));
  if (expr.kind == Expr::Kind::kColumn) return std::make_unique<ColumnEvaluator>(expr.column);
  return std::make_unique<TreeEvaluator>(std::move(root));
}

}  // namespace millrace
