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
// are named. `left` and `right` are how the sides name theirs.
struct JoinColumns {
  Schema schema;
  std::vector<RelationScope> relations;
};
JoinColumns ColumnsOfJoin(const TableRef& join, const Schema& left,
                          const std::vector<RelationScope>& left_relations, const Schema& right,
                          const std::vector<RelationScope>& right_relations);

// Of a stream that has no names of its own for its columns.
std::vector<RelationScope> RelationsOf(const TableRef& table, const BoundStream& stream);

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
