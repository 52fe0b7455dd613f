// The catalogue of scalar functions and operators: what the binder may resolve to and the
// evaluator must be able to run (a test holds the two together). Operators stand under their
// symbol ("+", "=", "||", "~~" for LIKE, "!" ... ), functions under their lower-case name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/types.h"
#include "engine/plan/expression.h"

namespace millrace {

struct FunctionSignature {
  std::string_view name;
  std::vector<Type> args;
  Type result = Type::kNull;
  bool variadic = false;     // the last argument type repeats, once or more
  bool strict = true;        // null in any argument gives null
  bool fallible = false;     // may fail on a row
  std::string_view summary;  // one line for docs/sql.md
};

// Index in this list is Expr::function. Fixed order, built once.
std::span<const FunctionSignature> FunctionCatalog();

// Whether a name of the catalogue is written between or before its arguments: a symbol, NOT, IS
// DISTINCT FROM.
bool IsOperatorName(std::string_view name);

// Names of all functions (not operators), for suggestions.
const std::vector<std::string>& FunctionNames();

// The overload for these argument types, with PostgreSQL's implicit casts where no exact one is
// there (integer -> bigint -> double; an untyped NULL or a string literal to what is wanted). -1
// where none fits or several fit equally. `literal_text[i]`: argument i is a plain string literal,
// whose type is still open.
int ResolveFunction(std::string_view name, std::span<const Type> args,
                    const std::vector<bool>& literal_text);

// A call of the function for exactly these arguments; the catalogue has it.
Expr CallExpr(std::string_view name, std::vector<Expr> args);

}  // namespace millrace
