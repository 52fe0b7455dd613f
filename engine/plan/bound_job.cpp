#include "engine/plan/bound_job.h"

#include <utility>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"

namespace millrace {

Expr LastMomentBefore(Expr window_end) {
  return CallExpr(
      "-", {std::move(window_end), LiteralExpr(Literal(Interval{0, 0, 1}), Type::kInterval)});
}

Expr TimeOf(const BoundStream& stream) {
  Expr time = ColumnExpr(stream.time_column(), Type::kTimestamp);
  return stream.windowed ? LastMomentBefore(std::move(time)) : time;
}

int Selected(const BoundQuery& query, int column) {
  for (size_t i = 0; column >= 0 && i < query.columns.size(); ++i) {
    const Expr& expr = query.columns[i].expr;
    if (expr.kind == Expr::Kind::kColumn && expr.column == column) return int(i);
  }
  return -1;
}

}  // namespace millrace
