// unnest(), json_array_elements() and json_array_elements_text() in FROM: reading the clause,
// binding the array.
#pragma once

#include <optional>
#include <string>

#include "engine/plan/from_clause.h"
#include "engine/plan/plan.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

// The function that an item of FROM calls, "" where it is something else.
std::string TableFunctionName(const Syntax& item);
// Whether that is one of them.
bool IsUnnest(const Syntax& item);

// Reads the function and its alias from a `RangeFunction` for which IsUnnest. Nothing after an
// error.
std::optional<UnnestClause> ReadUnnest(const SqlText& sql, const Syntax& item);

// The names of the functions, for suggestions.
const std::vector<std::string>& UnnestNames();

// Binds the array to the stream's columns. Nothing after an error.
std::optional<Expr> BindUnnestArray(const SqlText& sql, const FromClause& from,
                                    const Schema& input);

// Moves what WHERE says before anything of the elements to where it is asked before unfolding:
// conditions of one AND run from left to right.
void MoveFilterBeforeUnnest(int input_columns, std::optional<Expr>* where, Unnest* unnest);

}  // namespace millrace
