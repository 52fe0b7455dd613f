// The columns that expressions read, numbered anew.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/plan/expression.h"

namespace millrace {

// Numbers the columns that `expr` reads in the order in which they are met, behind those that
// `used` has, and renames them to these numbers.
inline void CompactColumns(Expr* expr, std::vector<int>* used) {
  if (expr->kind == Expr::Kind::kColumn) {
    const auto found = std::ranges::find(*used, expr->column);
    const int place = int(found - used->begin());
    if (found == used->end()) used->push_back(expr->column);
    expr->column = place;
  }
  for (Expr& arg : expr->args) CompactColumns(&arg, used);
}

// Column i becomes names[i].
inline void RenameColumns(Expr* expr, const std::vector<int>& names) {
  if (expr->kind == Expr::Kind::kColumn) expr->column = names[size_t(expr->column)];
  for (Expr& arg : expr->args) RenameColumns(&arg, names);
}

}  // namespace millrace
