// What several columns of a projection need is computed once.
#pragma once

#include <vector>

#include "engine/plan/expression.h"

namespace millrace {

// Columns over an input of `inputs` columns, as two steps. shared[i] reads the input and what is
// shared before it, and is read as column `inputs + i`.
struct SharedExpressions {
  std::vector<Expr> shared;
  std::vector<Expr> columns;
};

// Takes out what occurs at least twice and is computed for every row at one of these places at
// least: an error there is the row's error anyway, so that guards go on guarding. The largest are
// taken first.
SharedExpressions ShareExpressions(std::vector<Expr> columns, int inputs);

}  // namespace millrace
