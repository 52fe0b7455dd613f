#include "engine/plan/expression_binder.h"

#include <algorithm>
#include <array>
#include <span>

#include "engine/model/number.h"
#include "engine/plan/aggregates.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/interval_text.h"
#include "engine/plan/literals.h"
#include "engine/plan/number_template.h"
#include "engine/plan/over_functions.h"
#include "engine/plan/regular_expression.h"
#include "engine/plan/text_array.h"
#include "engine/plan/time_unit.h"
#include "engine/plan/time_zone.h"
#include "engine/plan/type_syntax.h"
#include "engine/plan/unnest.h"

namespace millrace {
namespace {

int64_t NodeCount(const Expr& expr) {
  int64_t count = 1;
  for (const Expr& arg : expr.args) count += NodeCount(arg);
  return count;
}

// PostgreSQL says "unknown" for a literal whose type is open.
std::string ShownType(const Bound& bound) {
  return IsOpen(bound) ? "unknown" : std::string(TypeName(bound.expr.type));
}

constexpr std::array kUnsupportedAggregates = std::to_array<std::string_view>(
    {"json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "bit_and", "bit_or", "bit_xor",
     "any_value", "percent_rank", "cume_dist", "dense_rank"});

// Functions of PostgreSQL whose result depends on when, where or how often they are computed.
constexpr std::array kUnsteadyFunctions = std::to_array<std::string_view>(
    {"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday",
     "random", "setseed", "gen_random_uuid"});

std::string HintForTimeZone(const std::string& name) {
  if (TimeZone::Names().empty()) return "this machine has no time zone database (tzdata)";
  if (!name.empty() && (name[0] == '+' || name[0] == '-')) {
    return "write an offset as an interval, INTERVAL '2 hours' for 2 hours east of Greenwich";
  }
  constexpr size_t kAbbreviationSize = 4;
  const std::string hint =
      name.size() <= kAbbreviationSize ? "" : SuggestName(name, TimeZone::Names());
  return hint.empty() ? "write a name such as Europe/Berlin, or an interval" : hint;
}

bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool IsKnownOperator(std::string_view name) {
  return std::ranges::any_of(FunctionCatalog(), [&](const FunctionSignature& signature) {
    return signature.name == name;
  });
}

// How a literal of a type is written, where that is not plain.
std::string LiteralHint(Type type) {
  if (type == Type::kInterval) return "write numbers with units, such as '90 minutes'";
  if (type == Type::kTimestamp) return "write it like '2026-06-13 14:14:45', with or without +02";
  return "";
}

// What may help where no operator takes these types.
std::string OperatorHint(std::string_view symbol, Type left, Type right) {
  if (left == Type::kInterval || right == Type::kInterval) {
    return "for the seconds of an interval write extract(epoch FROM x)";
  }
  const bool text_and_number =
      (left == Type::kText && IsNumeric(right)) || (IsNumeric(left) && right == Type::kText);
  if ((left == Type::kJson && IsNumeric(right)) || (IsNumeric(left) && right == Type::kJson)) {
    return "a cast may be needed, such as x::double precision";
  }
  if (left == Type::kText && (symbol.starts_with("->") || symbol.starts_with("#>"))) {
    return "a cast may be needed: x::json";
  }
  return text_and_number ? "a cast may be needed, such as x::double precision" : "";
}

}  // namespace

std::string FunctionNameOf(const SqlText& sql, const Syntax& call) {
  const std::vector<Syntax>& names = call.List("funcname");
  if (names.empty() || names.size() > 2 ||
      (names.size() == 2 && StringOf(names[0]) != "pg_catalog")) {
    sql.Error(call, "a schema name before a function is not supported");
    return "";
  }
  return StringOf(names.back());
}

std::optional<Bound> ExpressionBinder::Bind(const Syntax& node) {
  if (node.tag == "ColumnRef") return BindColumn(node);
  if (node.tag == "A_Const") return BindConstant(node);
  if (node.tag == "A_Expr") return BindOperator(node);
  if (node.tag == "BoolExpr") return BindLogic(node);
  if (node.tag == "NullTest") return BindNullTest(node);
  if (node.tag == "BooleanTest") return BindBooleanTest(node);
  if (node.tag == "CaseExpr") return BindCase(node);
  if (node.tag == "CoalesceExpr") return BindCoalesce(node);
  if (node.tag == "MinMaxExpr") return BindMinMax(node);
  if (node.tag == "TypeCast") return BindCast(node);
  if (node.tag == "FuncCall") return BindFunction(node);
  sql_.Error(node, ConstructName(node) + " is not supported");
  return std::nullopt;
}

std::optional<Expr> ExpressionBinder::BindCondition(const Syntax& node, const std::string& clause) {
  std::optional<Bound> bound = Bind(node);
  if (!bound.has_value()) return std::nullopt;
  if (!IsOpen(*bound) && bound->expr.type != Type::kBoolean) {
    sql_.Error(node, "argument of " + clause + " must be type boolean, not type " +
                         std::string(TypeName(bound->expr.type)));
    return std::nullopt;
  }
  return Coerce(node, std::move(*bound), Type::kBoolean);
}

std::optional<Expr> ExpressionBinder::BindValue(const Syntax& node) {
  std::optional<Bound> bound = Bind(node);
  if (!bound.has_value()) return std::nullopt;
  if (bound->expr.type == Type::kInterval) {
    sql_.Error(node, "an interval cannot be a column",
               "write extract(epoch FROM x) for its seconds, or x::text");
    return std::nullopt;
  }
  const Type type = bound->expr.type == Type::kNull ? Type::kText : bound->expr.type;
  return Coerce(node, std::move(*bound), type);
}

std::optional<Expr> ExpressionBinder::Coerce(const Syntax& node, Bound bound, Type type) {
  Expr& expr = bound.expr;
  if (bound.open_text && type != Type::kText) {
    const std::string& text = std::get<std::string>(expr.literal);
    std::optional<Literal> literal = ParseLiteral(text, type);
    if (!literal.has_value()) {
      sql_.Error(node, "invalid input for type " + std::string(TypeName(type)) + ": '" + text + "'",
                 LiteralHint(type));
      return std::nullopt;
    }
    return LiteralExpr(std::move(*literal), type);
  }
  if (expr.type == type) return std::move(expr);
  if (expr.type == Type::kNull) return LiteralExpr(Literal(), type);
  // A number that only widens is read as the wider type at once.
  if (const auto* number = std::get_if<int64_t>(&expr.literal);
      number != nullptr && IsNumeric(expr.type) && IsImplicitCast(expr.type, type)) {
    if (type == Type::kDouble) return LiteralExpr(Literal(double(*number)), type);
    return LiteralExpr(Literal(*number), type);
  }
  return MakeExpr(Expr::Kind::kCast, type, {std::move(expr)});
}

std::optional<Bound> ExpressionBinder::BindColumn(const Syntax& node) {
  const std::vector<Syntax>& fields = node.List("fields");
  if (!RefuseOtherFields(sql_, node, {"fields"})) return std::nullopt;
  for (const Syntax& field : fields) {
    if (field.tag != "String") {
      sql_.Error(node, "* is not supported here", "name the columns");
      return std::nullopt;
    }
  }
  if (fields.size() == 1) return UnqualifiedColumn(node, StringOf(fields[0]));
  if (fields.size() != 2) {
    sql_.Error(node, "a column is named as column or stream.column");
    return std::nullopt;
  }
  return ColumnOf(node, StringOf(fields[0]), StringOf(fields[1]));
}

const std::string& ExpressionBinder::NameOf(const RelationScope& relation, int column) const {
  return relation.names.empty() ? scope_.columns->fields[size_t(column)].name
                                : relation.names[size_t(column - relation.first)];
}

std::optional<Bound> ExpressionBinder::ColumnOf(const Syntax& node, const std::string& qualifier,
                                                const std::string& name) {
  const auto relation = std::ranges::find(scope_.relations, qualifier, &RelationScope::qualifier);
  if (relation == scope_.relations.end()) {
    std::vector<std::string> known;
    for (const RelationScope& other : scope_.relations) known.push_back(other.qualifier);
    sql_.Error(node, "'" + qualifier + "' is not in FROM", SuggestName(qualifier, known));
    return std::nullopt;
  }
  if (scope_.relations.size() == 1 && relation->names.empty()) return ColumnNamed(node, name);
  std::vector<std::string> known;
  for (int i = relation->first; i < relation->first + relation->count; ++i) {
    if (NameOf(*relation, i) == name) return Named(node, i);
    known.push_back(NameOf(*relation, i));
  }
  sql_.Error(node, "unknown column '" + name + "' of '" + qualifier + "'",
             SuggestName(name, known));
  return std::nullopt;
}

std::optional<Bound> ExpressionBinder::UnqualifiedColumn(const Syntax& node,
                                                         const std::string& name) {
  if (scope_.relations.size() < 2) return ColumnNamed(node, name);
  int found = -1;
  const RelationScope* of = nullptr;
  for (const RelationScope& relation : scope_.relations) {
    for (int i = relation.first; i < relation.first + relation.count; ++i) {
      if (relation.is_merged(i) || NameOf(relation, i) != name) continue;
      if (found >= 0) {
        sql_.Error(
            node, "column reference '" + name + "' is ambiguous",
            "write " + of->qualifier + "." + name + " or " + relation.qualifier + "." + name);
        return std::nullopt;
      }
      found = i;
      of = &relation;
    }
  }
  const bool is_window = (name == "window_start" || name == "window_end") &&
                         (scope_.window_columns || !scope_.no_window_columns.empty());
  if (found >= 0 && !is_window) return Named(node, found);
  for (const RelationScope& relation : scope_.relations) {
    if (relation.qualifier_is_value && relation.qualifier == name) {
      return Named(node, relation.first);
    }
  }
  return ColumnNamed(node, name);
}

Bound ExpressionBinder::Named(const Syntax& node, int index) {
  references_.push_back({index, node.offset});
  return Bound{ColumnExpr(index, scope_.columns->fields[size_t(index)].type)};
}

std::optional<Bound> ExpressionBinder::ColumnNamed(const Syntax& node, const std::string& name) {
  const bool window_column = name == "window_start" || name == "window_end";
  const int base = int(scope_.columns->fields.size());
  if (window_column && scope_.window_columns) {
    return Bound{ColumnExpr(name == "window_start" ? base : base + 1, Type::kTimestamp)};
  }
  if (window_column && !scope_.no_window_columns.empty()) {
    sql_.Error(node, scope_.no_window_columns);
    return std::nullopt;
  }
  const int index = scope_.columns->IndexOf(name);
  if (index < 0) {
    std::vector<std::string> known = scope_.columns->Names();
    if (scope_.window_columns) known.insert(known.end(), {"window_start", "window_end"});
    sql_.Error(node, "unknown column '" + name + "'",
               window_column ? "it comes of a window: FROM tumble(...) or hop(...)"
                             : SuggestName(name, known));
    return std::nullopt;
  }
  return Named(node, index);
}

std::optional<Bound> ExpressionBinder::BindConstant(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"ival", "fval", "sval", "boolval", "isnull"})) {
    return std::nullopt;
  }
  if (node.Flag("isnull")) return Bound{LiteralExpr(Literal(), Type::kNull)};
  if (const Syntax* value = node.Find("boolval")) {
    return Bound{LiteralExpr(Literal(value->Flag("boolval")), Type::kBoolean)};
  }
  if (const Syntax* value = node.Find("ival")) {
    return Bound{LiteralExpr(Literal(value->Integer("ival")), Type::kInteger)};
  }
  if (const Syntax* value = node.Find("sval")) {
    return Bound{LiteralExpr(Literal(value->Text("sval")), Type::kText), /*open_text=*/true};
  }
  const Syntax* value = node.Find("fval");
  const std::string text = value == nullptr ? "" : value->Text("fval");
  int64_t integer = 0;
  if (ParseInt64(text, &integer)) {
    const bool small = integer == int64_t(int32_t(integer));
    return Bound{LiteralExpr(Literal(integer), small ? Type::kInteger : Type::kBigint)};
  }
  double number = 0;
  if (!ParseDouble(text, &number)) {
    sql_.Error(node, "the number " + text + " is out of range for type double precision");
    return std::nullopt;
  }
  return Bound{LiteralExpr(Literal(number), Type::kDouble)};
}

bool ExpressionBinder::CheckCast(const Syntax& node, const Bound& value, Type type) const {
  const Type from = value.expr.type;
  if (IsOpen(value) || CanCast(from, type)) return true;
  sql_.Error(node, "cannot cast type " + std::string(TypeName(from)) + " to " +
                       std::string(TypeName(type)));
  return false;
}

std::optional<Bound> ExpressionBinder::BindCast(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "typeName"})) return std::nullopt;
  const Syntax* arg = node.Find("arg");
  const Syntax* type_name = node.Find("typeName");
  if (arg == nullptr || type_name == nullptr) return std::nullopt;
  const std::optional<CastTarget> target = ReadTypeName(sql_, *type_name);
  std::optional<Bound> bound = Bind(*arg);
  if (!target.has_value() || !bound.has_value()) return std::nullopt;
  if (!target->interval_unit.empty()) {
    if (!bound->open_text) {
      sql_.Error(node, "an interval with a unit needs a literal");
      return std::nullopt;
    }
    const std::string& text = std::get<std::string>(bound->expr.literal);
    const std::optional<Interval> interval = ParseInterval(text, target->interval_unit);
    if (!interval.has_value()) {
      sql_.Error(*arg, "invalid input for type interval: '" + text + "'",
                 LiteralHint(Type::kInterval));
      return std::nullopt;
    }
    return Bound{LiteralExpr(Literal(*interval), Type::kInterval)};
  }
  if (!CheckCast(node, *bound, target->type)) return std::nullopt;
  std::optional<Expr> cast = Coerce(*arg, std::move(*bound), target->type);
  if (!cast.has_value()) return std::nullopt;
  cast->is_local_time = target->is_local_time;
  return Bound{std::move(*cast)};
}

// try_cast(x, 'type').
std::optional<Bound> ExpressionBinder::BindTryCast(const Syntax& node) {
  const std::vector<Syntax>& args = node.List("args");
  if (args.size() != 2) {
    sql_.Error(node, "try_cast() takes a value and the name of a type",
               "write try_cast(x, 'integer')");
    return std::nullopt;
  }
  std::optional<std::vector<Operand>> operands = BindAll(args);
  if (!operands.has_value()) return std::nullopt;
  Bound& value = (*operands)[0].bound;
  const Bound& name = (*operands)[1].bound;
  const std::optional<Type> type =
      name.open_text ? TypeFromName(std::get<std::string>(name.expr.literal)) : std::nullopt;
  if (!type.has_value()) {
    sql_.Error(args[1], "the second argument of try_cast() is the name of a type",
               name.open_text ? TypeNameHint(std::get<std::string>(name.expr.literal))
                              : "write try_cast(x, 'integer')");
    return std::nullopt;
  }
  if (value.open_text && *type != Type::kText) {
    std::optional<Literal> literal = ParseLiteral(std::get<std::string>(value.expr.literal), *type);
    return Bound{LiteralExpr(std::move(literal).value_or(Literal()), *type)};
  }
  if (!CheckCast(node, value, *type)) return std::nullopt;
  if (IsOpen(value) || value.expr.type == *type) {
    std::optional<Expr> cast = Coerce(args[0], std::move(value), *type);
    if (!cast.has_value()) return std::nullopt;
    return Bound{std::move(*cast)};
  }
  return Bound{MakeExpr(Expr::Kind::kTryCast, *type, {std::move(value.expr)})};
}

std::optional<Bound> ExpressionBinder::BindFunction(const Syntax& node) {
  std::string name = FunctionNameOf(sql_, node);
  if (name.empty()) return std::nullopt;
  if (const Syntax* over = node.Find("over")) {
    if (scope_.over != nullptr) return scope_.over->BindOver(node, name);
    sql_.Error(*over, scope_.no_over, scope_.no_over_hint);
    return std::nullopt;
  }
  if (scope_.over != nullptr && IsOverFunction(name)) {
    sql_.Error(node, name + "() needs OVER", "write " + name + "(...) OVER (ORDER BY ...)");
    return std::nullopt;
  }
  if (FindAggregate(name) != nullptr) {
    if (scope_.aggregates != nullptr) return scope_.aggregates->BindAggregate(node, name);
    sql_.Error(node, scope_.no_aggregates, scope_.no_aggregates_hint);
    return std::nullopt;
  }
  if (IsOneOf(kUnsupportedAggregates, name)) {
    sql_.Error(node, "aggregate function " + name + " is not supported");
    return std::nullopt;
  }
  if (IsOneOf(kUnsteadyFunctions, name)) {
    sql_.Error(node, name + "() is not supported",
               "a result must not depend on when it is computed");
    return std::nullopt;
  }
  if (!RefuseOtherFields(sql_, node, {"funcname", "args", "funcformat"})) return std::nullopt;
  if (name == "try_cast") return BindTryCast(node);
  if (name == "num_nulls" || name == "num_nonnulls") return BindNullCount(node, name);
  if (name == "is_out_of_range") return BindOutOfRange(node);
  const bool sql_syntax = node.Text("funcformat") == "COERCE_SQL_SYNTAX";
  const bool is_extract = sql_syntax && name == "extract";
  if (is_extract) name = "date_part";
  if (sql_syntax && name == "position") name = "strpos";
  if (name == "stats") {
    sql_.Error(node, "stats() stands for five columns and must be a select item of its own");
    return std::nullopt;
  }
  if (std::ranges::find(UnnestNames(), name) != UnnestNames().end()) {
    sql_.Error(node, name + "() gives rows: it stands in FROM",
               "write FROM stream, " + name + "(x) AS s");
    return std::nullopt;
  }
  const std::vector<std::string>& known = FunctionNames();
  if (std::ranges::find(known, name) == known.end()) {
    std::vector<std::string> all = known;
    all.insert(all.end(), AggregateNames().begin(), AggregateNames().end());
    all.insert(all.end(), {"is_out_of_range", "num_nonnulls", "num_nulls", "try_cast"});
    sql_.Error(node, "unknown function '" + name + "'", SuggestName(name, all));
    return std::nullopt;
  }
  if (name == "make_interval") return BindMakeInterval(node);
  std::optional<std::vector<Operand>> operands = BindAll(node.List("args"));
  if (!operands.has_value()) return std::nullopt;
  if (is_extract && !CheckExtract(*operands)) return std::nullopt;
  // AT TIME ZONE of a local time goes back to UTC.
  if (name == "timezone" && operands->size() == 2 && (*operands)[1].bound.expr.is_local_time) {
    std::swap((*operands)[0], (*operands)[1]);
    name = "to_utc_timestamp";
  }
  return Call(node, name, std::move(*operands));
}

// A sum of tests, each as 0 or 1.
std::optional<Bound> ExpressionBinder::BindNullCount(const Syntax& node, const std::string& name) {
  const std::vector<Syntax>& args = node.List("args");
  if (args.empty()) {
    sql_.Error(node, name + "() needs an argument");
    return std::nullopt;
  }
  const auto kind = name == "num_nulls" ? Expr::Kind::kIsNull : Expr::Kind::kIsNotNull;
  const std::array<Type, 2> types = {Type::kInteger, Type::kInteger};
  const int plus = ResolveFunction("+", types, {false, false});
  std::vector<Expr> tests;
  bool good = true;
  for (const Syntax& arg : args) {
    std::optional<Bound> bound = Bind(arg);
    good = good && bound.has_value();
    if (!good) continue;
    Expr value = std::move(bound->expr);
    if (value.type == Type::kNull) value.type = Type::kText;
    Expr test = MakeExpr(kind, Type::kBoolean, {std::move(value)});
    tests.push_back(MakeExpr(Expr::Kind::kCast, Type::kInteger, {std::move(test)}));
  }
  if (!good) return std::nullopt;
  // By pairs, so that many arguments do not nest deeply.
  while (tests.size() > 1) {
    std::vector<Expr> sums;
    for (size_t i = 0; i + 1 < tests.size(); i += 2) {
      sums.push_back(MakeExpr(Expr::Kind::kCall, Type::kInteger,
                              {std::move(tests[i]), std::move(tests[i + 1])}));
      sums.back().function = plus;
    }
    if (tests.size() % 2 == 1) sums.push_back(std::move(tests.back()));
    tests = std::move(sums);
  }
  return Bound{std::move(tests[0])};
}

// What is not given is zero.
std::optional<Bound> ExpressionBinder::BindMakeInterval(const Syntax& node) {
  static const std::vector<std::string> kNames = {"years", "months", "weeks", "days",
                                                  "hours", "mins",   "secs"};
  const std::vector<Syntax>& args = node.List("args");
  if (args.size() > kNames.size()) {
    sql_.Error(node, "make_interval() takes at most 7 arguments");
    return std::nullopt;
  }
  std::vector<std::optional<Operand>> given(kNames.size());
  bool good = true, any_named = false;
  for (size_t i = 0; i < args.size(); ++i) {
    const bool is_named = args[i].tag == "NamedArgExpr";
    any_named = any_named || is_named;
    if (any_named && !is_named) {
      sql_.Error(args[i], "an argument without a name cannot follow one with a name");
      good = false;
      continue;
    }
    size_t place = i;
    if (is_named) {
      const std::string name = args[i].Text("name");
      place = size_t(std::ranges::find(kNames, name) - kNames.begin());
      if (place == kNames.size() || given[place].has_value()) {
        if (place < kNames.size()) {
          sql_.Error(args[i], "argument '" + name + "' of make_interval() is given twice");
        } else {
          sql_.Error(args[i], "make_interval() has no argument '" + name + "'",
                     SuggestName(name, kNames));
        }
        good = false;
        continue;
      }
    }
    const Syntax* const value = is_named ? args[i].Find("arg") : &args[i];
    if (value == nullptr) return std::nullopt;
    given[place] = BindOperand(*value);
    good = good && given[place].has_value();
  }
  if (!good) return std::nullopt;
  std::vector<Operand> operands;
  for (size_t i = 0; i < kNames.size(); ++i) {
    const bool is_seconds = i + 1 == kNames.size();
    Bound zero{is_seconds ? LiteralExpr(Literal(0.0), Type::kDouble)
                          : LiteralExpr(Literal(int64_t(0)), Type::kInteger)};
    operands.push_back(given[i].has_value() ? std::move(*given[i])
                                            : Operand{&node, std::move(zero)});
  }
  return Call(node, "make_interval", std::move(operands));
}

std::optional<ExpressionBinder::Operand> ExpressionBinder::BindOperand(const Syntax& node) {
  std::optional<Bound> bound = Bind(node);
  if (!bound.has_value()) return std::nullopt;
  return Operand{&node, std::move(*bound)};
}

std::optional<std::vector<ExpressionBinder::Operand>> ExpressionBinder::BindAll(
    const std::vector<Syntax>& nodes) {
  std::vector<Operand> operands;
  bool good = true;
  for (const Syntax& node : nodes) {
    std::optional<Operand> operand = BindOperand(node);
    good = good && operand.has_value();
    if (good) operands.push_back(std::move(*operand));
  }
  if (!good) return std::nullopt;
  return operands;
}

// BETWEEN, IN and CASE name a value once and compare it several times. In each other they would
// multiply without bound.
std::optional<ExpressionBinder::Operand> ExpressionBinder::Copy(const Operand& operand) {
  *scope_.copies_left -= NodeCount(operand.bound.expr);
  if (*scope_.copies_left < 0) {
    sql_.Error(*operand.node, "the expression is too large",
               "BETWEEN, IN and CASE repeat what stands before them");
    return std::nullopt;
  }
  return operand;
}

std::optional<Bound> ExpressionBinder::Call(const Syntax& node, const std::string& name,
                                            std::vector<Operand> operands) {
  std::vector<Type> types;
  std::vector<bool> literal_text;
  for (const Operand& operand : operands) {
    types.push_back(operand.bound.expr.type);
    literal_text.push_back(operand.bound.open_text);
  }
  const int function = ResolveFunction(name, types, literal_text);
  if (function < 0) {
    NoSuchCall(node, name, operands);
    return std::nullopt;
  }
  const FunctionSignature& signature = FunctionCatalog()[size_t(function)];
  if (!CheckTimeUnit(name, operands) || !CheckTimeZone(name, operands) ||
      !CheckPattern(name, operands) || !CheckPath(name, operands) ||
      !CheckNumberTemplate(name, operands)) {
    return std::nullopt;
  }
  Expr call = MakeExpr(Expr::Kind::kCall, signature.result, {});
  call.function = function;
  call.is_local_time = GivesLocalTime(name, signature, operands);
  for (size_t i = 0; i < operands.size(); ++i) {
    const Type wanted = signature.args[std::min(i, signature.args.size() - 1)];
    std::optional<Expr> arg = Coerce(*operands[i].node, std::move(operands[i].bound), wanted);
    if (!arg.has_value()) return std::nullopt;
    call.args.push_back(std::move(*arg));
  }
  return Bound{std::move(call)};
}

// A unit that is a literal is looked up at once; an unknown one would fail every row.
bool ExpressionBinder::CheckTimeUnit(const std::string& name,
                                     const std::vector<Operand>& operands) {
  if (name != "date_trunc" && name != "date_part") return true;
  const auto* text = std::get_if<std::string>(&operands[0].bound.expr.literal);
  if (text == nullptr) return true;
  const std::optional<TimeUnit> unit = TimeUnitFromName(*text);
  const bool known = unit.has_value() && (name == "date_part" || CanTruncateTo(*unit));
  if (known && operands[1].bound.expr.type == Type::kInterval && !IsOfInterval(*unit)) {
    sql_.Error(*operands[0].node, "an interval has no unit '" + *text + "'");
    return false;
  }
  if (known) return true;
  sql_.Error(*operands[0].node, "unknown unit of time '" + *text + "' for " + name,
             SuggestName(*text, TimeUnitNames(name == "date_trunc")));
  return false;
}

// EXTRACT takes nothing shorter than a day out of a date; date_part does, of its midnight.
bool ExpressionBinder::CheckExtract(const std::vector<Operand>& operands) {
  if (operands.size() != 2 || operands[1].bound.expr.type != Type::kDate) return true;
  const auto* text = std::get_if<std::string>(&operands[0].bound.expr.literal);
  const std::optional<TimeUnit> unit = text == nullptr ? std::nullopt : TimeUnitFromName(*text);
  if (!unit.has_value() || (*unit >= TimeUnit::kDay && *unit < TimeUnit::kTimezone)) return true;
  sql_.Error(*operands[0].node, "a date has no unit '" + *text + "'",
             "cast the date to timestamp, or use date_part()");
  return false;
}

// The same of a time zone.
bool ExpressionBinder::CheckTimeZone(const std::string& name,
                                     const std::vector<Operand>& operands) {
  const size_t count = operands.size();
  size_t place = count - 1;
  if (name == "timezone") {
    place = 0;
  } else if (name != "to_utc_timestamp" && !(name == "date_trunc" && count == 3) &&
             !(name == "make_timestamptz" && count == 7)) {
    return true;
  }
  const Operand& operand = operands[place];
  if (const auto* interval = std::get_if<Interval>(&operand.bound.expr.literal)) {
    if (interval->months == 0 && interval->days == 0) return true;
    sql_.Error(*operand.node, "the interval of a time zone must not have months or days",
               "write INTERVAL '2 hours' or INTERVAL '-03:30'");
    return false;
  }
  const auto* text = std::get_if<std::string>(&operand.bound.expr.literal);
  if (text == nullptr || TimeZone::Find(*text) != nullptr) return true;
  sql_.Error(*operand.node, "unknown time zone '" + *text + "'", HintForTimeZone(*text));
  return false;
}

// Whether a call gives what PostgreSQL calls a timestamp without time zone.
bool ExpressionBinder::GivesLocalTime(std::string_view name, const FunctionSignature& signature,
                                      const std::vector<Operand>& operands) {
  if (signature.result != Type::kTimestamp) return false;
  if (name == "timezone" || name == "make_timestamp") return true;
  if (name == "to_utc_timestamp" || (name == "date_trunc" && operands.size() == 3)) return false;
  if (name == "greatest" || name == "least" || name == "nullif") return AllLocalTimes(operands);
  bool any = false;
  for (size_t i = 0; i < operands.size(); ++i) {
    const Expr& expr = operands[i].bound.expr;
    const Type wanted = signature.args[std::min(i, signature.args.size() - 1)];
    any = any || wanted == Type::kDate || expr.is_local_time;
    if (expr.type == Type::kTimestamp && !expr.is_local_time) return false;
    if (expr.type == Type::kDate && wanted == Type::kTimestamp) return false;
  }
  return any;
}

// The same of a regular expression.
bool ExpressionBinder::CheckPattern(const std::string& name, const std::vector<Operand>& operands) {
  static constexpr std::array kNames = std::to_array<std::string_view>(
      {"~", "~*", "!~", "!~*", "regexp_like", "regexp_count", "regexp_instr", "regexp_substr",
       "regexp_replace", "substring"});
  if (operands.size() < 2 || !IsOneOf(kNames, name)) return true;
  const auto literal = [&](size_t index) {
    return std::get_if<std::string>(&operands[index].bound.expr.literal);
  };
  if (literal(1) == nullptr) return true;
  const size_t flags_at = name == "regexp_replace" ? 3 : 2;
  const std::string* flags = operands.size() > flags_at ? literal(flags_at) : nullptr;
  bool global = false;
  std::string error;
  if (CompilePattern(*literal(1), flags == nullptr ? "" : *flags,
                     name == "regexp_replace" ? &global : nullptr, &error) != nullptr) {
    return true;
  }
  sql_.Error(*operands[1].node, "invalid regular expression: " + error);
  return false;
}

bool ExpressionBinder::CheckNumberTemplate(const std::string& name,
                                           const std::vector<Operand>& operands) {
  if (name != "to_char" || operands.size() != 2 || !IsNumeric(operands[0].bound.expr.type)) {
    return true;
  }
  const auto* text = std::get_if<std::string>(&operands[1].bound.expr.literal);
  std::string error;
  if (text == nullptr || ParseNumberTemplate(*text, &error).has_value()) return true;
  sql_.Error(*operands[1].node, "invalid template of a number: " + error,
             "write it like 'FM999,990.00'");
  return false;
}

// #> and #>> take an array, which only a literal can be.
bool ExpressionBinder::CheckPath(const std::string& name, const std::vector<Operand>& operands) {
  if (name != "#>" && name != "#>>") return true;
  const Operand& path = operands[1];
  const auto* text = std::get_if<std::string>(&path.bound.expr.literal);
  if (text != nullptr && ParseTextArray(*text).has_value()) return true;
  if (IsOpen(path.bound) && text == nullptr) return true;  // NULL
  sql_.Error(*path.node,
             text == nullptr ? "the path of " + name + " must be a literal"
                             : "malformed array literal: '" + *text + "'",
             "write '{key,0}', or json_extract_path()");
  return false;
}

void ExpressionBinder::NoSuchCall(const Syntax& node, const std::string& name,
                                  const std::vector<Operand>& operands) {
  std::string shown = name;
  if (name == "is_distinct_from" || name == "nullif") shown = "=";
  const bool is_operator = !(shown[0] >= 'a' && shown[0] <= 'z');
  if (is_operator && !IsKnownOperator(shown)) {
    sql_.Error(node, "operator " + shown + " is not supported");
    return;
  }
  if (is_operator && operands.size() == 2) {
    sql_.Error(node,
               "operator does not exist: " + ShownType(operands[0].bound) + " " + shown + " " +
                   ShownType(operands[1].bound),
               OperatorHint(shown, operands[0].bound.expr.type, operands[1].bound.expr.type));
    return;
  }
  if (is_operator && operands.size() == 1) {
    sql_.Error(node, "operator does not exist: " + shown + " " + ShownType(operands[0].bound));
    return;
  }
  std::string types;
  for (const Operand& operand : operands) {
    types += (types.empty() ? "" : ", ") + ShownType(operand.bound);
  }
  std::string forms;
  for (const FunctionSignature& signature : FunctionCatalog()) {
    if (signature.name != name) continue;
    std::string args;
    for (const Type type : signature.args) {
      args += (args.empty() ? "" : ", ") + std::string(TypeName(type));
    }
    if (signature.variadic) args += ", ...";
    forms += (forms.empty() ? "" : " or ") + name + "(" + args + ")";
  }
  sql_.Error(node, "function does not exist: " + name + "(" + types + ")",
             forms.empty() ? "" : "there is " + forms);
}

bool ExpressionBinder::AllLocalTimes(const std::vector<Operand>& operands) {
  bool any = false;
  for (const Operand& operand : operands) {
    // Beside a local time a date is one, too.
    if (IsOpen(operand.bound) || operand.bound.expr.type == Type::kDate) continue;
    if (!operand.bound.expr.is_local_time) return false;
    any = true;
  }
  return any;
}

Type ExpressionBinder::CommonType(const Syntax& node, const std::string& what,
                                  const std::vector<Operand>& operands) {
  Type common = Type::kNull;
  for (const Operand& operand : operands) {
    const Type type = operand.bound.expr.type;
    if (IsOpen(operand.bound)) continue;
    if (const std::optional<Type> both = CommonTypeOf(common, type)) {
      common = *both;
    } else {
      sql_.Error(*operand.node, what + " types " + std::string(TypeName(common)) + " and " +
                                    std::string(TypeName(type)) + " cannot be matched");
      return Type::kNull;
    }
  }
  return common == Type::kNull ? Type::kText : common;
}

}  // namespace millrace
