// What stands in FROM, read without knowing any stream: a stream or another table, a query in
// parentheses, joins of them; a window function, pivot() or asof_join() over one; a JSON array that
// is unfolded beside.
#pragma once

#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "engine/plan/expression_binder.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

// A window has at most this many panes (size / gcd(size, slide)).
inline constexpr int64_t kPanesMax = 10'000;
// pivot() makes at most so many columns.
inline constexpr size_t kPivotColumnsMax = 1000;

// unnest() and its kin beside a stream in FROM.
struct UnnestClause {
  Syntax argument;
  bool is_sql_unnest = false;  // unnest itself; else json_array_elements or its kin
  bool as_text = false;        // json_array_elements_text
  bool keeps_empty = false;    // LEFT JOIN
  std::string qualifier;       // the alias, or the function's name
  std::string element;         // names of its columns
  std::string ordinality;      // empty: none
};

// tumble(), hop(), cumulate() or session().
struct WindowClause {
  bool windowed = false;
  Micros size{0};
  Micros slide{0};
  Micros gap{0};  // of session(), which has no other
  bool cumulates = false;
  Micros window_offset{0};  // in [0, slide), or [0, size) where windows cumulate

  // Of windows that have panes: all but sessions.
  Micros pane() const { return Micros(std::gcd(size.count(), slide.count())); }
};

enum class JoinType { kInner, kLeft, kRight, kFull };

// Name of a column, with its place in the SQL.
struct PlacedName {
  std::string name;
  int64_t offset = 0;
};

// Where rows come from.
struct TableRef {
  enum class Kind {
    kNamed,     // a stream, a lookup, a query of WITH
    kQuery,     // (SELECT ...)
    kJoin,      // inputs: two
    kAsOf,      // the same, by asof_join()
    kPivot,     // inputs: one
    kResample,  // the same
  };
  Kind kind = Kind::kNamed;
  int64_t offset = 0;  // of the name, or of what it is
  std::string name;    // kNamed
  // The alias, or the name. Joins have none.
  std::string qualifier;
  std::vector<PlacedName> column_names;  // q(a, b): in place of a query's own
  WindowClause window;                   // over it
  std::optional<Syntax> query;           // kQuery
  std::vector<TableRef> inputs;
  // ---- of joins ----
  JoinType type = JoinType::kInner;
  std::optional<Syntax> condition;
  std::vector<PlacedName> using_columns;
  Micros within{0};  // kAsOf
  // ---- kPivot, kResample ----
  PlacedName pivoted;                  // the column whose values become columns
  std::vector<PlacedName> values;      // the columns that give their values
  bool has_value_list = false;         // they were a list: names are "PS1_mean"
  std::vector<PlacedName> categories;  // its values that do
  std::vector<PlacedName> keys;        // by what it is resampled
  Micros every{0};
  Micros largest_gap{0};
  bool is_linear = false;

  bool is_join() const { return kind == Kind::kJoin || kind == Kind::kAsOf; }
};

struct FromClause : WindowClause {
  TableRef table;
  std::optional<UnnestClause> unnest;  // not together with a window
  // ---- once streams are known ----
  std::string stream;  // what it reads, for messages
  // Columns of the query need no names: a query before it in UNION ALL has them, or WITH q(a, b).
  bool names_columns = true;
  std::vector<RelationScope> relations;
  std::vector<int> star;  // what * stands for, but for columns of unnest()
  // The column that is the event time of its rows, by which OVER orders them; or -1, and what to do
  // about it.
  int time_column = -1;
  std::string no_time_hint;
};

// Reads the FROM of a SELECT. Nothing after an error.
std::optional<FromClause> ReadFrom(const SqlText& sql, const Syntax& select);

// A name for what the columns of a query are renamed to: WITH q(a, b), (SELECT ...) AS q(a, b).
std::vector<PlacedName> ReadColumnNames(const std::vector<Syntax>& names);

}  // namespace millrace
