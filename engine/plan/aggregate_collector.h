// The aggregates of one query: bound, checked by PostgreSQL's rules, and each computed once.
#pragma once

#include <string>
#include <vector>

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
  bool CheckForm(const Syntax& call, const std::string& name) const;
  bool BindArgument(const Syntax& call, const std::string& name, BoundAggregate* aggregate);
  bool BindFraction(const Syntax& call, BoundAggregate* aggregate);
  bool SettleTypes(const Syntax& call, const std::string& name, const Syntax& node, Bound bound,
                   ExpressionBinder* binder, BoundAggregate* aggregate);
  bool BindFilter(const Syntax& call, BoundAggregate* aggregate);
  std::string NameOf(const std::string& name, const BoundAggregate& aggregate) const;

  const SqlText& sql_;
  const BindScope& row_scope_;
  std::vector<BoundAggregate>* aggregates_;
};

}  // namespace millrace
