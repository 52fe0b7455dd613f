// Binds one SELECT to the schema of what its FROM gives.
//
// A plain query is a filter and a list of expressions over its input. A windowed one has two
// sides: what is computed a row before grouping (WHERE, keys, the aggregates' arguments and
// filters) and what is computed a group (HAVING, the select list) over the window's output:
// window_start, window_end, the keys, the aggregates. So has one with OVER: what is computed before
// rows are put in order, and the select list.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/plan/expression.h"
#include "engine/plan/from_clause.h"
#include "engine/plan/plan.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

// LIMIT is at most this.
inline constexpr int64_t kLimitMax = 1000;
// ROWS in OVER count at most so many rows, and so do lag, lead and nth_value.
inline constexpr int64_t kOverRowsMax = 10'000;

struct BoundAggregate {
  AggregateFunction function = AggregateFunction::kCount;
  std::optional<Expr> argument;  // over the input
  std::optional<Expr> second;    // over the input: see AggregateSecond
  bool by_event_time = false;    // `second` is the row's event time
  std::optional<Expr> filter;    // over the input
  bool distinct = false;
  bool descending = false;
  double fraction = 0;
  std::string separator;
  Type result = Type::kNull;
  bool is_json = false;
  std::string name;  // for plans: "avg(temperature)"
  std::string unit;

  bool SameAs(const BoundAggregate& other) const {
    return function == other.function && argument == other.argument && second == other.second &&
           by_event_time == other.by_event_time && filter == other.filter &&
           distinct == other.distinct && descending == other.descending &&
           fraction == other.fraction && separator == other.separator && is_json == other.is_json;
  }
};

struct BoundOverCall {
  OverFunction function = OverFunction::kRowNumber;
  OverFrame frame;
  BoundAggregate aggregate;       // kAggregate
  std::optional<Expr> argument;   // over the input, of the others
  std::optional<Expr> otherwise;  // over the input
  int64_t rows = 0;
  Type result = Type::kBigint;
  std::string name;  // for plans
  std::string unit;
  bool is_json = false;

  bool SameAs(const BoundOverCall& other) const {
    return function == other.function && frame == other.frame &&
           aggregate.SameAs(other.aggregate) && argument == other.argument &&
           otherwise == other.otherwise && rows == other.rows;
  }
};

// The calls with OVER of a query without a window. In its columns they are pseudo-columns that
// follow the input's own.
struct BoundOver {
  std::vector<Expr> partition;  // over the input
  std::vector<BoundOverCall> calls;
};

struct BoundKey {
  Expr expr;  // over the input
  std::string name;
};

struct BoundColumn {
  std::string name;
  Expr expr;
};

struct BoundSortKey {
  Expr expr;  // over the window's output, as `columns`
  bool descending = false;
  bool nulls_first = false;
};

// ORDER BY and LIMIT of a windowed query: the first rows of each window.
struct BoundTop {
  std::vector<BoundSortKey> order;
  int64_t limit = 0;
};

struct BoundQuery {
  std::optional<Unnest> unnest;  // what follows is over UnnestedSchema then
  std::optional<Expr> where;
  std::vector<BoundKey> keys;
  std::vector<BoundAggregate> aggregates;
  bool groups_by_start = false;
  bool groups_by_end = false;
  std::optional<Expr> having;
  std::vector<BoundColumn> columns;
  std::optional<BoundTop> top;
  BoundOver over;  // without calls: none
};

// Nothing after an error; all errors of the query are reported.
std::optional<BoundQuery> BindQuery(const SqlText& sql, const Syntax& select,
                                    const FromClause& from, const Schema& input);

}  // namespace millrace
