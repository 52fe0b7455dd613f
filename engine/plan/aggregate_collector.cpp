#include "engine/plan/aggregate_collector.h"

#include <algorithm>
#include <utility>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

using Form = AggregateForm;
using With = AggregateSecond;

bool IsJoin(const AggregateInfo& info) {
  return info.function == AggregateFunction::kStringAgg ||
         info.function == AggregateFunction::kArrayAgg;
}

// The column that an argument is, also behind a cast; or -1.
int ColumnOf(const Expr& argument) {
  const Expr* expr = &argument;
  while (expr->kind == Expr::Kind::kCast) expr = &expr->args[0];
  return expr->kind == Expr::Kind::kColumn ? expr->column : -1;
}

bool IsNull(const Syntax& node) {
  const Syntax* arg = node.tag == "TypeCast" ? node.Find("arg") : nullptr;
  return arg != nullptr ? IsNull(*arg) : node.tag == "A_Const" && node.Flag("isnull");
}

// As the user calls it: stats(x) stands for others.
std::string WrittenName(const Syntax& call) { return StringOf(call.List("funcname").back()); }

// How many arguments stand in the parentheses.
size_t WrittenArguments(const AggregateInfo& info) {
  const bool second = info.second != With::kNone && info.second != With::kEventTime;
  return (info.form == Form::kCall ? 1 : 0) + (second ? 1 : 0);
}

std::string CountOf(size_t count) {
  constexpr std::string_view kWords[] = {"no argument", "one argument", "two arguments"};
  return count < std::size(kWords) ? std::string(kWords[count])
                                   : std::to_string(count) + " arguments";
}

}  // namespace

std::optional<Bound> AggregateCollector::BindAggregate(const Syntax& call,
                                                       const std::string& name) {
  const AggregateInfo& info = *FindAggregate(name);
  BoundAggregate aggregate;
  aggregate.function = info.function;
  aggregate.distinct = call.Flag("agg_distinct");
  aggregate.result = Type::kBigint;
  if (name == "median") aggregate.fraction = 0.5;
  const std::optional<Parts> parts = TakeApart(call, info, &aggregate);
  if (!parts.has_value()) return std::nullopt;
  bool is_real = false;
  const bool argument = parts->argument == nullptr ||
                        BindArgument(call, info, *parts->argument, &aggregate, &is_real);
  const bool second = BindSecond(call, info, *parts, &aggregate);
  const bool filter = BindFilter(call, &aggregate);
  if (!argument || !second || !filter) return std::nullopt;
  const auto same = std::ranges::find_if(
      *aggregates_, [&](const BoundAggregate& other) { return other.SameAs(aggregate); });
  const size_t index = size_t(same - aggregates_->begin());
  if (same == aggregates_->end()) {
    aggregate.name = NameOf(info, aggregate);
    if (aggregate.argument.has_value() && info.keeps_unit) {
      const int column = ColumnOf(*aggregate.argument);
      if (column >= 0) aggregate.unit = row_scope_.columns->fields[size_t(column)].unit;
    }
    aggregates_->push_back(std::move(aggregate));
  }
  const BoundAggregate& bound = (*aggregates_)[index];
  Expr result = ColumnExpr(int(row_scope_.columns->fields.size() + 2 + index), bound.result);
  if (info.result == AggregateResult::kArgument) {
    if (is_real) result = MakeExpr(Expr::Kind::kCast, Type::kReal, {std::move(result)});
    result.is_local_time = bound.argument.has_value() && bound.argument->is_local_time;
  }
  return Bound{std::move(result)};
}

// ---- The form of a call ------------------------------------------------------------------------

std::optional<AggregateCollector::Parts> AggregateCollector::TakeApart(
    const Syntax& call, const AggregateInfo& info, BoundAggregate* aggregate) const {
  Parts parts;
  if (info.form == Form::kWithinGroup) {
    if (!RefuseOtherFields(
            sql_, call,
            {"funcname", "args", "funcformat", "agg_filter", "agg_order", "agg_within_group"}) ||
        !TakeWithinGroup(call, info, &parts)) {
      return std::nullopt;
    }
    return parts;
  }
  const bool known = IsJoin(info) ? RefuseOtherFields(sql_, call,
                                                      {"funcname", "args", "funcformat",
                                                       "agg_filter", "agg_distinct", "agg_order"})
                                  : RefuseOtherFields(sql_, call,
                                                      {"funcname", "args", "funcformat",
                                                       "agg_filter", "agg_distinct", "agg_star"});
  if (!known || !TakeArguments(call, info, &parts) || !TakeOrder(call, info, &parts, aggregate)) {
    return std::nullopt;
  }
  const std::string name(info.name);
  if (aggregate->distinct && !info.may_be_distinct) {
    sql_.Error(call, "DISTINCT in " + name + "() is not supported");
    return std::nullopt;
  }
  // The least and the greatest of different values are those of all.
  if (info.function == AggregateFunction::kMin || info.function == AggregateFunction::kMax) {
    aggregate->distinct = false;
  }
  return parts;
}

bool AggregateCollector::TakeArguments(const Syntax& call, const AggregateInfo& info,
                                       Parts* parts) const {
  const std::string name = WrittenName(call);
  const std::vector<Syntax>& args = call.List("args");
  if (call.Flag("agg_star")) {
    if (info.function == AggregateFunction::kCount) return true;
    sql_.Error(call, "function does not exist: " + name + "(*)");
    return false;
  }
  if (info.function == AggregateFunction::kCount && args.empty()) {
    sql_.Error(call, "count() needs an argument", "count(*) counts rows");
    return false;
  }
  const size_t wanted = WrittenArguments(info);
  if (args.size() != wanted) {
    sql_.Error(call, name + " takes " + CountOf(wanted) + ", not " + std::to_string(args.size()));
    return false;
  }
  parts->argument = &args[0];
  if (wanted > 1) parts->second = &args[1];
  return true;
}

bool AggregateCollector::TakeWithinGroup(const Syntax& call, const AggregateInfo& info,
                                         Parts* parts) const {
  const std::string name(info.name);
  const size_t wanted = WrittenArguments(info);
  const std::vector<Syntax>& args = call.List("args");
  if (!call.Flag("agg_within_group") || call.List("agg_order").size() != 1) {
    sql_.Error(call, name + " needs WITHIN GROUP",
               "write " + name + (wanted == 0 ? "()" : "(0.95)") + " WITHIN GROUP (ORDER BY x)");
    return false;
  }
  if (args.size() != wanted) {
    sql_.Error(call, name + " takes " + CountOf(wanted) + ", not " + std::to_string(args.size()));
    return false;
  }
  const Syntax& order = call.List("agg_order")[0];
  if (!RefuseOtherFields(sql_, order, {"node", "sortby_dir", "sortby_nulls"})) return false;
  if (order.Text("sortby_dir") == "SORTBY_DESC" || order.Text("sortby_dir") == "SORTBY_USING" ||
      order.Text("sortby_nulls") != "SORTBY_NULLS_DEFAULT") {
    sql_.Error(order, "DESC and NULLS in WITHIN GROUP are not supported",
               wanted == 0 ? "" : name + "(f) of the descending order is " + name + "(1 - f)");
    return false;
  }
  parts->argument = order.Find("node");
  if (wanted > 0) parts->second = &args[0];
  return parts->argument != nullptr;
}

bool AggregateCollector::TakeOrder(const Syntax& call, const AggregateInfo& info, Parts* parts,
                                   BoundAggregate* aggregate) const {
  const std::vector<Syntax>& items = call.List("agg_order");
  if (items.empty()) return true;
  if (items.size() > 1) {
    sql_.Error(items[1], std::string(info.name) + " is ordered by one expression");
    return false;
  }
  const Syntax& order = items[0];
  if (!RefuseOtherFields(sql_, order, {"node", "sortby_dir", "sortby_nulls"})) return false;
  if (order.Text("sortby_dir") == "SORTBY_USING" ||
      order.Text("sortby_nulls") != "SORTBY_NULLS_DEFAULT") {
    sql_.Error(order, "USING and NULLS in an aggregate's ORDER BY are not supported");
    return false;
  }
  aggregate->descending = order.Text("sortby_dir") == "SORTBY_DESC";
  parts->order = order.Find("node");
  return parts->order != nullptr;
}

// ---- Arguments ---------------------------------------------------------------------------------

BindScope AggregateCollector::ArgumentScope() const {
  BindScope scope = row_scope_;
  scope.no_aggregates = "aggregate functions cannot be nested";
  scope.no_aggregates_hint = "compute the inner one in a stream of its own";
  return scope;
}

bool AggregateCollector::BindArgument(const Syntax& call, const AggregateInfo& info,
                                      const Syntax& node, BoundAggregate* aggregate,
                                      bool* is_real) {
  const BindScope scope = ArgumentScope();
  ExpressionBinder binder(sql_, scope);
  std::optional<Bound> bound = binder.Bind(node);
  if (!bound.has_value()) return false;
  Type type = bound->expr.type;
  if (IsOpen(*bound)) {
    // What PostgreSQL prefers for an open literal; sum('1') is ambiguous there.
    type = TakesArgument(info, Type::kText)      ? Type::kText
           : TakesArgument(info, Type::kBoolean) ? Type::kBoolean
                                                 : Type::kDouble;
  }
  if (type == Type::kJson && aggregate->distinct) {
    sql_.Error(call, "could not identify an equality operator for type json",
               "take it as text: x::text");
    return false;
  }
  if (!TakesArgument(info, type) && info.second == With::kPair) {
    sql_.Error(node, std::string(info.name) + "'s first argument must be a number, not " +
                         std::string(TypeName(type)));
    return false;
  }
  if (!TakesArgument(info, type)) {
    sql_.Error(
        call,
        "function does not exist: " + WrittenName(call) + "(" + std::string(TypeName(type)) + ")",
        type == Type::kJson ? "take a part of it: x->>'key'" : "");
    return false;
  }
  // Windows know it as its text.
  if (type == Type::kJson) type = Type::kText;
  // Reals are aggregated as double precision, but where their text is wanted.
  *is_real = type == Type::kReal;
  if (info.argument == AggregateArgument::kDouble ||
      (*is_real && info.result != AggregateResult::kJson)) {
    type = Type::kDouble;
  }
  std::optional<Expr> argument = binder.Coerce(node, std::move(*bound), type);
  if (!argument.has_value()) return false;
  aggregate->result = ResultType(info, type);
  aggregate->is_json = info.result == AggregateResult::kJson;
  aggregate->argument = std::move(argument);
  return true;
}

bool AggregateCollector::BindSecond(const Syntax& call, const AggregateInfo& info,
                                    const Parts& parts, BoundAggregate* aggregate) {
  const std::string name(info.name);
  switch (info.second) {
    case With::kNone:
      return true;
    case With::kPair:
      aggregate->second =
          BindBeside(*parts.second, /*as_double=*/true, name + "'s second argument");
      return aggregate->second.has_value();
    case With::kBy:
      aggregate->second =
          BindBeside(*parts.second, /*as_double=*/false, name + "'s second argument");
      return aggregate->second.has_value();
    case With::kFraction:
      return BindFraction(*parts.second, info, aggregate);
    case With::kSeparator: {
      if (IsNull(*parts.second)) break;  // nothing between them
      const std::optional<Literal> text = BindConstant(*parts.second, "the separator of " + name);
      if (!text.has_value()) return false;
      const auto* separator = std::get_if<std::string>(&*text);
      if (separator == nullptr) {
        sql_.Error(*parts.second, "the separator of " + name + " must be a literal text");
        return false;
      }
      aggregate->separator = *separator;
      break;
    }
    case With::kEventTime:
      break;
  }
  if (parts.order != nullptr) return BindOrder(*parts.order, aggregate);
  // Different values have no one time.
  aggregate->by_event_time = !aggregate->distinct;
  return true;
}

// By the argument itself, or by a number or a timestamp.
bool AggregateCollector::BindOrder(const Syntax& node, BoundAggregate* aggregate) {
  const BindScope scope = ArgumentScope();
  std::optional<Expr> order = ExpressionBinder(sql_, scope).BindValue(node);
  if (!order.has_value()) return false;
  if (aggregate->argument.has_value() && *order == *aggregate->argument) return true;
  if (aggregate->distinct) {
    sql_.Error(node, "with DISTINCT, ORDER BY must be the argument");
    return false;
  }
  if (!IsNumeric(order->type) && order->type != Type::kDate && order->type != Type::kTimestamp) {
    sql_.Error(node, "an aggregate is ordered by its argument, a number or a timestamp, not by " +
                         std::string(TypeName(order->type)));
    return false;
  }
  aggregate->second = std::move(order);
  return true;
}

std::optional<Expr> AggregateCollector::BindBeside(const Syntax& node, bool as_double,
                                                   const std::string& what) {
  const BindScope scope = ArgumentScope();
  ExpressionBinder binder(sql_, scope);
  std::optional<Bound> bound = binder.Bind(node);
  if (!bound.has_value()) return std::nullopt;
  Type type = IsOpen(*bound) ? Type::kDouble : bound->expr.type;
  const bool is_time = type == Type::kDate || type == Type::kTimestamp;
  if (!IsNumeric(type) && (as_double || !is_time)) {
    sql_.Error(node, what + " must be a number" + (as_double ? "" : " or a timestamp") + ", not " +
                         std::string(TypeName(type)));
    return std::nullopt;
  }
  if (as_double || type == Type::kReal) type = Type::kDouble;
  return binder.Coerce(node, std::move(*bound), type);
}

std::optional<Literal> AggregateCollector::BindConstant(const Syntax& node,
                                                        const std::string& what) {
  BindScope scope;
  const Schema nothing;
  int64_t copies = 0;
  scope.columns = &nothing;
  scope.copies_left = &copies;
  scope.no_aggregates = what + " must be a constant";
  if (node.tag == "ColumnRef") return Literal();
  ExpressionBinder binder(sql_, scope);
  std::optional<Bound> bound = binder.Bind(node);
  if (!bound.has_value()) return std::nullopt;
  return bound->expr.literal;
}

bool AggregateCollector::BindFraction(const Syntax& node, const AggregateInfo& info,
                                      BoundAggregate* aggregate) {
  const std::string what = "the fraction of " + std::string(info.name);
  const std::optional<Literal> literal = BindConstant(node, what);
  if (!literal.has_value()) return false;
  const auto* integer = std::get_if<int64_t>(&*literal);
  const auto* number = std::get_if<double>(&*literal);
  aggregate->fraction = number != nullptr ? *number : integer != nullptr ? double(*integer) : -1;
  if (!(aggregate->fraction >= 0 && aggregate->fraction <= 1)) {
    sql_.Error(node, what + " must be a number between 0 and 1",
               node.tag == "A_Const" ? "" : "write it as a literal, such as 0.95");
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
  scope.no_over = "window functions are not allowed in FILTER";
  scope.no_over_hint = "";
  aggregate->filter = ExpressionBinder(sql_, scope).BindCondition(*node, "FILTER");
  return aggregate->filter.has_value();
}

std::string AggregateCollector::NameOf(const AggregateInfo& info,
                                       const BoundAggregate& aggregate) const {
  const auto shown = [&](const Expr& expr) { return FormatExpr(expr, *row_scope_.columns); };
  const std::string argument = aggregate.argument ? shown(*aggregate.argument) : "*";
  std::string text(info.name);
  std::string fraction;
  if (info.second == With::kFraction) {
    fraction = FormatLiteral(Literal(aggregate.fraction), Type::kDouble);
  }
  if (info.form == Form::kWithinGroup) {
    text += "(" + fraction + ") WITHIN GROUP (ORDER BY " + argument + ")";
  } else {
    text += "(" + std::string(aggregate.distinct ? "DISTINCT " : "") + argument;
    if (!fraction.empty()) text += ", " + fraction;
    if (info.second == With::kSeparator) {
      text += ", " + FormatLiteral(Literal(aggregate.separator), Type::kText);
    }
    const bool is_order = IsJoin(info);
    if (aggregate.second.has_value() && !is_order) text += ", " + shown(*aggregate.second);
    if (is_order && !aggregate.by_event_time) {
      text += " ORDER BY " + (aggregate.second ? shown(*aggregate.second) : argument);
      if (aggregate.descending) text += " DESC";
    }
    text += ")";
  }
  if (aggregate.filter.has_value()) text += " FILTER (WHERE " + shown(*aggregate.filter) + ")";
  return text;
}

}  // namespace millrace
