#include "engine/plan/aggregate_collector.h"

#include <array>
#include <utility>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

using enum AggregateFunction;

AggregateFunction FunctionOf(std::string_view name) {
  static constexpr std::array kFunctions =
      std::to_array<std::pair<std::string_view, AggregateFunction>>({
          {"count", kCount},
          {"sum", kSum},
          {"avg", kAvg},
          {"min", kMin},
          {"max", kMax},
          {"stddev", kStddevSamp},
          {"stddev_samp", kStddevSamp},
          {"stddev_pop", kStddevPop},
          {"variance", kVarSamp},
          {"var_samp", kVarSamp},
          {"var_pop", kVarPop},
          {"percentile_cont", kPercentileCont},
          {"median", kPercentileCont},
          {"bool_and", kBoolAnd},
          {"every", kBoolAnd},
          {"bool_or", kBoolOr},
      });
  for (const auto& [known, function] : kFunctions) {
    if (known == name) return function;
  }
  return kCount;
}

bool Takes(AggregateFunction function, Type type) {
  switch (function) {
    case kCount:
      return type != Type::kInterval;
    case kMin:
    case kMax:
      return IsNumeric(type) || type == Type::kText || type == Type::kTimestamp;
    case kBoolAnd:
    case kBoolOr:
      return type == Type::kBoolean;
    default:
      return IsNumeric(type);
  }
}

// PostgreSQL's result types, with numeric kept as double.
Type ResultOf(AggregateFunction function, Type argument) {
  switch (function) {
    case kCount:
      return Type::kBigint;
    case kSum:
      return argument == Type::kInteger ? Type::kBigint : Type::kDouble;
    case kMin:
    case kMax:
      return argument;
    case kBoolAnd:
    case kBoolOr:
      return Type::kBoolean;
    default:
      return Type::kDouble;
  }
}

bool KeepsUnit(const BoundAggregate& aggregate) {
  switch (aggregate.function) {
    case kSum:
    case kAvg:
    case kMin:
    case kMax:
    case kStddevSamp:
    case kStddevPop:
    case kPercentileCont:
      return true;
    default:
      return false;
  }
}

// The column that an argument is, also behind a cast; or -1.
int ColumnOf(const Expr& argument) {
  const Expr* expr = &argument;
  while (expr->kind == Expr::Kind::kCast) expr = &expr->args[0];
  return expr->kind == Expr::Kind::kColumn ? expr->column : -1;
}

}  // namespace

std::optional<Bound> AggregateCollector::BindAggregate(const Syntax& call,
                                                       const std::string& name) {
  BoundAggregate aggregate;
  aggregate.function = FunctionOf(name);
  aggregate.distinct = call.Flag("agg_distinct");
  if (!CheckForm(call, name)) return std::nullopt;
  const bool argument = BindArgument(call, name, &aggregate);
  const bool filter = BindFilter(call, &aggregate);
  if (!argument || !filter) return std::nullopt;
  const auto same = std::ranges::find_if(
      *aggregates_, [&](const BoundAggregate& other) { return other.SameAs(aggregate); });
  const size_t index = size_t(same - aggregates_->begin());
  if (same == aggregates_->end()) {
    aggregate.name = NameOf(name, aggregate);
    if (aggregate.argument.has_value() && KeepsUnit(aggregate)) {
      const int column = ColumnOf(*aggregate.argument);
      if (column >= 0) aggregate.unit = row_scope_.columns->fields[size_t(column)].unit;
    }
    aggregates_->push_back(std::move(aggregate));
  }
  const int column = int(row_scope_.columns->fields.size() + 2 + index);
  return Bound{ColumnExpr(column, (*aggregates_)[index].result)};
}

bool AggregateCollector::CheckForm(const Syntax& call, const std::string& name) const {
  const bool percentile = name == "percentile_cont";
  bool good = percentile ? RefuseOtherFields(sql_, call,
                                             {"funcname", "args", "funcformat", "agg_filter",
                                              "agg_order", "agg_within_group"})
                         : RefuseOtherFields(sql_, call,
                                             {"funcname", "args", "funcformat", "agg_filter",
                                              "agg_distinct", "agg_star"});
  if (!good) return false;
  const size_t count = call.List("args").size();
  if (percentile && (!call.Flag("agg_within_group") || call.List("agg_order").size() != 1)) {
    sql_.Error(call, "percentile_cont needs WITHIN GROUP",
               "write percentile_cont(0.95) WITHIN GROUP (ORDER BY x)");
    return false;
  }
  if (call.Flag("agg_star")) {
    if (name == "count") return true;
    sql_.Error(call, "function does not exist: " + name + "(*)");
    return false;
  }
  if (name == "count" && count == 0) {
    sql_.Error(call, "count() needs an argument", "count(*) counts rows");
    return false;
  }
  if (count != 1) {
    sql_.Error(call, name + " takes one argument, not " + std::to_string(count));
    return false;
  }
  if (call.Flag("agg_distinct") && name != "count") {
    sql_.Error(call, "DISTINCT in " + name + "() is not supported");
    return false;
  }
  return true;
}

bool AggregateCollector::BindArgument(const Syntax& call, const std::string& name,
                                      BoundAggregate* aggregate) {
  aggregate->result = Type::kBigint;
  if (call.Flag("agg_star")) return true;
  const Syntax* node = &call.List("args")[0];
  if (name == "median") aggregate->fraction = 0.5;
  if (name == "percentile_cont") {
    const Syntax& order = call.List("agg_order")[0];
    if (!RefuseOtherFields(sql_, order, {"node", "sortby_dir", "sortby_nulls"})) return false;
    if (order.Text("sortby_dir") == "SORTBY_DESC" || order.Text("sortby_dir") == "SORTBY_USING" ||
        order.Text("sortby_nulls") != "SORTBY_NULLS_DEFAULT") {
      sql_.Error(order, "DESC and NULLS in WITHIN GROUP are not supported",
                 "percentile_cont(f) of the descending order is percentile_cont(1 - f)");
      return false;
    }
    if (!BindFraction(call, aggregate)) return false;
    node = order.Find("node");
    if (node == nullptr) return false;
  }
  BindScope scope = row_scope_;
  scope.no_aggregates = "aggregate functions cannot be nested";
  scope.no_aggregates_hint = "compute the inner one in a stream of its own";
  ExpressionBinder binder(sql_, scope);
  std::optional<Bound> bound = binder.Bind(*node);
  if (!bound.has_value()) return false;
  return SettleTypes(call, name, *node, std::move(*bound), &binder, aggregate);
}

bool AggregateCollector::SettleTypes(const Syntax& call, const std::string& name,
                                     const Syntax& node, Bound bound, ExpressionBinder* binder,
                                     BoundAggregate* aggregate) {
  Type type = bound.expr.type;
  if (IsOpen(bound)) {
    // What PostgreSQL prefers for an open literal; sum('1') is ambiguous there.
    type = Takes(aggregate->function, Type::kText)      ? Type::kText
           : Takes(aggregate->function, Type::kBoolean) ? Type::kBoolean
                                                        : Type::kDouble;
  }
  if (!Takes(aggregate->function, type)) {
    sql_.Error(call, "function does not exist: " + name + "(" + std::string(TypeName(type)) + ")");
    return false;
  }
  if (aggregate->function == AggregateFunction::kPercentileCont) type = Type::kDouble;
  std::optional<Expr> argument = binder->Coerce(node, std::move(bound), type);
  if (!argument.has_value()) return false;
  aggregate->result = ResultOf(aggregate->function, type);
  aggregate->argument = std::move(argument);
  return true;
}

bool AggregateCollector::BindFraction(const Syntax& call, BoundAggregate* aggregate) {
  const Syntax& node = call.List("args")[0];
  BindScope scope;
  const Schema nothing;
  int64_t copies = 0;
  scope.columns = &nothing;
  scope.copies_left = &copies;
  scope.no_aggregates = "the fraction of percentile_cont must be a number";
  ExpressionBinder binder(sql_, scope);
  std::optional<Bound> bound = Bound{};
  if (node.tag != "ColumnRef") bound = binder.Bind(node);
  if (!bound.has_value()) return false;
  const auto* integer = std::get_if<int64_t>(&bound->expr.literal);
  const auto* number = std::get_if<double>(&bound->expr.literal);
  aggregate->fraction = number != nullptr ? *number : integer != nullptr ? double(*integer) : -1;
  if (!(aggregate->fraction >= 0 && aggregate->fraction <= 1)) {
    sql_.Error(node, "the fraction of percentile_cont must be a number between 0 and 1");
    return false;
  }
  return true;
}

bool AggregateCollector::BindFilter(const Syntax& call, BoundAggregate* aggregate) {
  const Syntax* node = call.Find("agg_filter");
  if (node == nullptr) return true;
  BindScope scope = row_scope_;
  scope.no_aggregates = "aggregate functions are not allowed in FILTER";
  scope.no_aggregates_hint = "";
  aggregate->filter = ExpressionBinder(sql_, scope).BindCondition(*node, "FILTER");
  return aggregate->filter.has_value();
}

std::string AggregateCollector::NameOf(const std::string& name,
                                       const BoundAggregate& aggregate) const {
  const std::string argument =
      aggregate.argument ? FormatExpr(*aggregate.argument, *row_scope_.columns) : "*";
  std::string text;
  if (name == "percentile_cont") {
    text = name + "(" + FormatLiteral(Literal(aggregate.fraction), Type::kDouble) +
           ") WITHIN GROUP (ORDER BY " + argument + ")";
  } else {
    text = name + "(" + (aggregate.distinct ? "DISTINCT " : "") + argument + ")";
  }
  if (aggregate.filter.has_value()) {
    text += " FILTER (WHERE " + FormatExpr(*aggregate.filter, *row_scope_.columns) + ")";
  }
  return text;
}

}  // namespace millrace
