// What tells a sensor's health, as expressions over lag() and the like. docs/sql.md, "Sensor
// health".
#include <utility>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/over_collector.h"

namespace millrace {
namespace {

// So many readings of one value in a row are no accident any more.
constexpr int64_t kStuckRowsMax = 1'000'000'000;

// Of the time from `first` to `second`, timestamps.
Expr SecondsBetween(Expr first, Expr second) {
  return CallExpr("date_part", {LiteralExpr(Literal(std::string("epoch")), Type::kText),
                                CallExpr("-", {std::move(second), std::move(first)})});
}

Expr AsDouble(Expr number) {
  if (number.type == Type::kDouble) return number;
  return MakeExpr(Expr::Kind::kCast, Type::kDouble, {std::move(number)});
}

}  // namespace

std::optional<Bound> OverCollector::BindForm(const Syntax& call, const OverFunctionInfo& info) {
  if (!CheckArguments(call, info)) return std::nullopt;
  const std::vector<Syntax>& args = call.List("args");
  const std::string name(info.name);
  std::optional<Expr> expr;
  switch (info.form) {
    case OverForm::kFunction:
      return std::nullopt;  // not one of them
    case OverForm::kUnchangedSeconds:
      expr = BindComparable(args[0]);
      if (!expr.has_value()) return std::nullopt;
      expr = SecondsBetween(Unchanged(OverFunction::kUnchangedSince, std::move(*expr)), Time());
      break;
    case OverForm::kIsStuck:
      expr = BindStuck(args);
      break;
    case OverForm::kGapSeconds:
      expr = SecondsBetween(Before(Time()), Time());
      break;
    case OverForm::kRateOfChange: {
      expr = BindNumber(args[0], name);
      if (!expr.has_value()) return std::nullopt;
      Expr change = CallExpr("-", {AsDouble(*expr), AsDouble(Before(*expr))});
      Expr seconds = CallExpr("nullif", {SecondsBetween(Before(Time()), Time()),
                                         LiteralExpr(Literal(0.0), Type::kDouble)});
      expr = CallExpr("/", {std::move(change), std::move(seconds)});
      break;
    }
    case OverForm::kIsSuddenChange: {
      expr = BindNumber(args[0], name);
      std::optional<Expr> limit = BindNumber(args[1], name);
      if (!expr.has_value() || !limit.has_value()) return std::nullopt;
      Expr change = CallExpr("-", {AsDouble(*expr), AsDouble(Before(*expr))});
      expr = CallExpr(">", {CallExpr("abs", {std::move(change)}), AsDouble(std::move(*limit))});
      break;
    }
    case OverForm::kIsSilent:
      expr = BindSilent(args[0]);
      break;
  }
  if (!expr.has_value()) return std::nullopt;
  return Bound{std::move(*expr)};
}

std::optional<Expr> OverCollector::BindStuck(const std::vector<Syntax>& args) {
  std::optional<Expr> value = BindComparable(args[0]);
  const Syntax& node = args[1];
  const bool is_text = node.tag == "A_Const" && node.Find("sval") != nullptr;
  if (node.tag == "A_Const" && !is_text) {
    const std::optional<int64_t> rows = ReadRows(node, "rows in is_stuck()", 2, kStuckRowsMax);
    if (!value.has_value() || !rows.has_value()) return std::nullopt;
    return CallExpr(">=", {Unchanged(OverFunction::kUnchangedRows, std::move(*value)),
                           LiteralExpr(Literal(*rows), Type::kBigint)});
  }
  if (!is_text && node.tag != "TypeCast") {
    sql_.Error(node, "is_stuck() takes a number of rows or a time, as a literal",
               "write is_stuck(x, 10) or is_stuck(x, INTERVAL '5 minutes')");
    return std::nullopt;
  }
  const std::optional<int64_t> length = ReadLength(node, "the time of is_stuck()");
  if (!value.has_value() || !length.has_value()) return std::nullopt;
  if (*length == 0) {
    sql_.Error(node, "the time of is_stuck() must not be zero");
    return std::nullopt;
  }
  Expr since = Unchanged(OverFunction::kUnchangedSince, std::move(*value));
  return CallExpr(">=", {CallExpr("-", {Time(), std::move(since)}),
                         LiteralExpr(Literal(Interval{0, 0, *length}), Type::kInterval)});
}

// The last row from the current one to so much later.
std::optional<Expr> OverCollector::BindSilent(const Syntax& node) {
  const std::optional<int64_t> length = ReadLength(node, "the time of is_silent()");
  if (!length.has_value()) return std::nullopt;
  if (*length == 0) {
    sql_.Error(node, "the time of is_silent() must not be zero");
    return std::nullopt;
  }
  BoundOverCall bound;
  bound.function = OverFunction::kIsLast;
  bound.frame.from_first = false;
  bound.frame.last = *length;
  bound.result = Type::kBoolean;
  bound.name = "is_silent(" + FormatDuration(Micros(*length)) + ")";
  return ColumnExpr(Add(std::move(bound)), Type::kBoolean);
}

std::optional<Expr> OverCollector::BindNumber(const Syntax& node, const std::string& name) {
  std::optional<Expr> value = ExpressionBinder(sql_, row_scope_).BindValue(node);
  if (!value.has_value() || IsNumeric(value->type)) return value;
  sql_.Error(node, name + "() takes numbers, not " + std::string(TypeName(value->type)));
  return std::nullopt;
}

std::optional<Expr> OverCollector::BindComparable(const Syntax& node) {
  std::optional<Expr> value = ExpressionBinder(sql_, row_scope_).BindValue(node);
  if (!value.has_value() || value->type != Type::kJson) return value;
  sql_.Error(node, "could not identify an equality operator for type json",
             "take a part of it as text: x->>'key'");
  return std::nullopt;
}

Expr OverCollector::Time() const { return ColumnExpr(from_.time_column, Type::kTimestamp); }

// Its value in the row before.
Expr OverCollector::Before(const Expr& value) {
  BoundOverCall bound;
  bound.function = OverFunction::kLag;
  bound.argument = value;
  bound.rows = 1;
  bound.result = value.type;
  bound.name = "lag(" + FormatExpr(value, *row_scope_.columns) + ")";
  if (value.kind == Expr::Kind::kColumn) {
    bound.unit = row_scope_.columns->fields[size_t(value.column)].unit;
  }
  return ColumnExpr(Add(std::move(bound)), value.type);
}

Expr OverCollector::Unchanged(OverFunction function, Expr value) {
  const bool counts = function == OverFunction::kUnchangedRows;
  BoundOverCall bound;
  bound.function = function;
  bound.name = (counts ? "unchanged_rows(" : "unchanged_since(") +
               FormatExpr(value, *row_scope_.columns) + ")";
  bound.argument = std::move(value);
  bound.result = counts ? Type::kBigint : Type::kTimestamp;
  const Type result = bound.result;
  return ColumnExpr(Add(std::move(bound)), result);
}

}  // namespace millrace
