// Constructors of expression nodes.
#pragma once

#include <utility>
#include <vector>

#include "engine/plan/expression.h"

namespace millrace {

inline Expr MakeExpr(Expr::Kind kind, Type type, std::vector<Expr> args) {
  Expr expr;
  expr.kind = kind;
  expr.type = type;
  expr.args = std::move(args);
  return expr;
}

inline Expr ColumnExpr(int column, Type type) {
  Expr expr = MakeExpr(Expr::Kind::kColumn, type, {});
  expr.column = column;
  return expr;
}

inline Expr LiteralExpr(Literal literal, Type type) {
  Expr expr = MakeExpr(Expr::Kind::kLiteral, type, {});
  expr.literal = std::move(literal);
  return expr;
}

}  // namespace millrace
