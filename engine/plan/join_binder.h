// Binds a join in FROM: which columns it gives, and what its ON says about keys and times.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model/job.h"
#include "engine/plan/bound_job.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

// A column of a stream by which its rows are in time: the row's time is the column's value and
// `shift`.
struct TimeColumn {
  int column = -1;
  Micros shift{0};
};
std::vector<TimeColumn> TimeColumnsOf(const BoundStream& stream);

// The columns of both sides, of those of a name the right one's as "qualifier.name"; and how they
// are named.
struct JoinColumns {
  Schema schema;
  std::vector<RelationScope> relations;
  std::vector<int> star;  // what * stands for: as in PostgreSQL columns of USING come first, once
};
JoinColumns ColumnsOfJoin(const TableRef& join, const JoinColumns& left, const JoinColumns& right);

// How a query that has `table` in FROM names the columns of `stream`.
JoinColumns ColumnsOf(const TableRef& table, const BoundStream& stream);

// Nothing after an error. The columns are those of ColumnsOfJoin; columns that USING names are
// marked in them.
std::optional<BoundJoin> BindJoin(const SqlText& sql, const TableRef& join, const BoundStream& left,
                                  const BoundStream& right, JoinColumns* columns);

// The keys, in the order of the lookup's, and what else ON says in `rest`.
std::optional<BoundLookup> BindLookupJoin(const SqlText& sql, const TableRef& join,
                                          const BoundStream& left, const LookupSpec& lookup,
                                          JoinColumns* columns, std::optional<Expr>* rest);

// `first` AND `second`, where they are there.
std::optional<Expr> Both(std::optional<Expr> first, std::optional<Expr> second);

}  // namespace millrace
