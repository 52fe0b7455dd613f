// The aggregates of one query: bound, checked by PostgreSQL's rules, and each computed once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/plan/aggregates.h"
#include "engine/plan/expression_binder.h"
#include "engine/plan/query_binder.h"

namespace millrace {

class AggregateCollector : public AggregateBinder {
 public:
  // `row_scope` is the scope before grouping, in which arguments and filters are bound. All must
  // outlive it.
  AggregateCollector(const SqlText& sql, const BindScope& row_scope,
                     std::vector<BoundAggregate>* aggregates)
      : sql_(sql), row_scope_(row_scope), aggregates_(aggregates) {}

  // A reference to pseudo-column (input columns + 2 + index of the aggregate).
  std::optional<Bound> BindAggregate(const Syntax& call, const std::string& name) override;

 private:
  // What a call is made of, by its form.
  struct Parts {
    const Syntax* argument = nullptr;  // null: count(*)
    const Syntax* second = nullptr;    // as it is written: pair, by, fraction, separator
    const Syntax* order = nullptr;     // ORDER BY's expression of string_agg and array_agg
  };

  std::optional<Parts> TakeApart(const Syntax& call, const AggregateInfo& info,
                                 BoundAggregate* aggregate) const;
  bool TakeArguments(const Syntax& call, const AggregateInfo& info, Parts* parts) const;
  bool TakeWithinGroup(const Syntax& call, const AggregateInfo& info, Parts* parts) const;
  bool TakeOrder(const Syntax& call, const AggregateInfo& info, Parts* parts,
                 BoundAggregate* aggregate) const;
  bool BindArgument(const Syntax& call, const AggregateInfo& info, const Syntax& node,
                    BoundAggregate* aggregate, bool* is_real);
  bool BindSecond(const Syntax& call, const AggregateInfo& info, const Parts& parts,
                  BoundAggregate* aggregate);
  bool BindOrder(const Syntax& node, BoundAggregate* aggregate);
  // A number or a timestamp that rows are compared by; the call's other argument of a pair.
  std::optional<Expr> BindBeside(const Syntax& node, bool as_double, const std::string& what);
  std::optional<Literal> BindConstant(const Syntax& node, const std::string& what);
  bool BindFraction(const Syntax& node, const AggregateInfo& info, BoundAggregate* aggregate);
  bool BindFilter(const Syntax& call, BoundAggregate* aggregate);
  std::string NameOf(const AggregateInfo& info, const BoundAggregate& aggregate) const;
  BindScope ArgumentScope() const;

  const SqlText& sql_;
  const BindScope& row_scope_;
  std::vector<BoundAggregate>* aggregates_;
};

}  // namespace millrace
