#include "engine/plan/expression_binder.h"

#include <array>

#include "engine/model/number.h"
#include "engine/plan/functions.h"
#include "engine/plan/literals.h"
#include "engine/plan/type_syntax.h"

namespace millrace {
namespace {

Expr Make(Expr::Kind kind, Type type, std::vector<Expr> args) {
  Expr expr;
  expr.kind = kind;
  expr.type = type;
  expr.args = std::move(args);
  return expr;
}

Expr ColumnExpr(int column, Type type) {
  Expr expr = Make(Expr::Kind::kColumn, type, {});
  expr.column = column;
  return expr;
}

Expr LiteralExpr(Literal literal, Type type) {
  Expr expr = Make(Expr::Kind::kLiteral, type, {});
  expr.literal = std::move(literal);
  return expr;
}

bool IsOpen(const Bound& bound) { return bound.open_text || bound.expr.type == Type::kNull; }

bool IsImplicit(Type from, Type to) {
  if (from == to) return true;
  if (from == Type::kInteger) return to == Type::kBigint || to == Type::kDouble;
  return from == Type::kBigint && to == Type::kDouble;
}

int64_t NodeCount(const Expr& expr) {
  int64_t count = 1;
  for (const Expr& arg : expr.args) count += NodeCount(arg);
  return count;
}

// PostgreSQL says "unknown" for a literal whose type is open.
std::string ShownType(const Bound& bound) {
  return IsOpen(bound) ? "unknown" : std::string(TypeName(bound.expr.type));
}

std::string_view LastName(const Syntax& node, std::string_view list, std::string* storage) {
  const std::vector<Syntax>& names = node.List(list);
  *storage = names.empty() ? "" : StringOf(names.back());
  return *storage;
}

constexpr std::array kUnsupportedAggregates = std::to_array<std::string_view>(
    {"array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "mode",
     "percentile_disc", "corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept",
     "regr_r2", "bit_and", "bit_or", "bit_xor", "any_value", "first", "last"});

}  // namespace

const std::vector<std::string>& AggregateNames() {
  static const std::vector<std::string> names = {
      "count",      "sum",      "avg",     "min",      "max",    "stddev",          "stddev_samp",
      "stddev_pop", "variance", "var_samp", "var_pop", "median", "percentile_cont", "bool_and",
      "every",      "bool_or"};
  return names;
}

bool IsAggregateName(std::string_view name) {
  return std::ranges::find(AggregateNames(), name) != AggregateNames().end();
}

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
               "intervals may be added to and subtracted from timestamps");
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
      sql_.Error(node, "invalid input for type " + std::string(TypeName(type)) + ": '" + text + "'");
      return std::nullopt;
    }
    return LiteralExpr(std::move(*literal), type);
  }
  if (expr.type == type) return std::move(expr);
  if (expr.type == Type::kNull) return LiteralExpr(Literal(), type);
  return Make(Expr::Kind::kCast, type, {std::move(expr)});
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
  if (fields.size() == 1) return ColumnNamed(node, StringOf(fields[0]));
  if (fields.size() != 2) {
    sql_.Error(node, "a column is named as column or stream.column");
    return std::nullopt;
  }
  const std::string qualifier = StringOf(fields[0]);
  if (std::ranges::find(scope_.qualifiers, qualifier) == scope_.qualifiers.end()) {
    sql_.Error(node, "'" + qualifier + "' is not in FROM", SuggestName(qualifier, scope_.qualifiers));
    return std::nullopt;
  }
  return ColumnNamed(node, StringOf(fields[1]));
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
    sql_.Error(node, "unknown column '" + name + "'", SuggestName(name, known));
    return std::nullopt;
  }
  references_.push_back({index, node.offset});
  return Bound{ColumnExpr(index, scope_.columns->fields[size_t(index)].type)};
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

std::optional<Bound> ExpressionBinder::BindOperator(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"kind", "name", "lexpr", "rexpr"})) return std::nullopt;
  const std::string kind = node.Text("kind");
  if (kind == "AEXPR_IN") return BindIn(node);
  if (kind == "AEXPR_BETWEEN") return BindBetween(node, false);
  if (kind == "AEXPR_NOT_BETWEEN") return BindBetween(node, true);
  if (kind == "AEXPR_DISTINCT") return BindDistinct(node, false);
  if (kind == "AEXPR_NOT_DISTINCT") return BindDistinct(node, true);
  std::string name;
  LastName(node, "name", &name);
  if (kind == "AEXPR_NULLIF") {
    name = "nullif";
  } else if (kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE") {
    if (!CheckLikePattern(node)) return std::nullopt;
  } else if (kind != "AEXPR_OP") {
    static constexpr std::array kNames = std::to_array<std::pair<std::string_view, std::string_view>>(
        {{"AEXPR_SIMILAR", "SIMILAR TO"},
         {"AEXPR_OP_ANY", "ANY (array)"},
         {"AEXPR_OP_ALL", "ALL (array)"},
         {"AEXPR_BETWEEN_SYM", "BETWEEN SYMMETRIC"},
         {"AEXPR_NOT_BETWEEN_SYM", "BETWEEN SYMMETRIC"}});
    std::string shown = kind;
    for (const auto& [key, value] : kNames) {
      if (key == kind) shown = value;
    }
    sql_.Error(node, shown + " is not supported");
    return std::nullopt;
  } else if (node.List("name").size() != 1) {
    sql_.Error(node, "OPERATOR(...) is not supported");
    return std::nullopt;
  }
  const Syntax* left = node.Find("lexpr");
  const Syntax* right = node.Find("rexpr");
  std::vector<Operand> operands;
  bool good = true;
  for (const Syntax* side : {left, right}) {
    if (side == nullptr) continue;
    std::optional<Operand> operand = BindOperand(*side);
    good = good && operand.has_value();
    if (operand.has_value()) operands.push_back(std::move(*operand));
  }
  if (!good) return std::nullopt;
  return Call(node, name, std::move(operands));
}

bool ExpressionBinder::CheckLikePattern(const Syntax& node) {
  const Syntax* right = node.Find("rexpr");
  std::string name;
  if (right == nullptr || right->tag != "FuncCall") return true;
  if (LastName(*right, "funcname", &name) != "like_escape") return true;
  sql_.Error(*right, "LIKE ... ESCAPE is not supported", "escape with a backslash");
  return false;
}

std::optional<Bound> ExpressionBinder::BindIn(const Syntax& node) {
  std::string symbol;
  LastName(node, "name", &symbol);
  const Syntax* list = node.Find("rexpr");
  const Syntax* left = node.Find("lexpr");
  if (left == nullptr || list == nullptr || list->tag != "List") {
    sql_.Error(node, "IN is supported with a list of values only");
    return std::nullopt;
  }
  std::optional<Operand> value = BindOperand(*left);
  std::optional<std::vector<Operand>> items = BindAll(list->List("items"));
  if (!value.has_value() || !items.has_value()) return std::nullopt;
  std::vector<Expr> tests;
  for (Operand& item : *items) {
    std::optional<Operand> copy = Copy(*value);
    if (!copy.has_value()) return std::nullopt;
    std::optional<Bound> test = Compare(node, symbol, std::move(*copy), std::move(item));
    if (!test.has_value()) return std::nullopt;
    tests.push_back(std::move(test->expr));
  }
  if (tests.size() == 1) return Bound{std::move(tests[0])};
  return Bound{Make(symbol == "=" ? Expr::Kind::kOr : Expr::Kind::kAnd, Type::kBoolean,
                    std::move(tests))};
}

std::optional<Bound> ExpressionBinder::BindBetween(const Syntax& node, bool negated) {
  const Syntax* left = node.Find("lexpr");
  const Syntax* bounds = node.Find("rexpr");
  if (left == nullptr || bounds == nullptr || bounds->List("items").size() != 2) {
    sql_.Error(node, "BETWEEN needs two bounds");
    return std::nullopt;
  }
  std::optional<Operand> value = BindOperand(*left);
  std::optional<std::vector<Operand>> items = BindAll(bounds->List("items"));
  if (!value.has_value() || !items.has_value()) return std::nullopt;
  std::optional<Operand> copy = Copy(*value);
  if (!copy.has_value()) return std::nullopt;
  std::optional<Bound> low =
      Compare(node, negated ? "<" : ">=", std::move(*value), std::move((*items)[0]));
  std::optional<Bound> high =
      Compare(node, negated ? ">" : "<=", std::move(*copy), std::move((*items)[1]));
  if (!low.has_value() || !high.has_value()) return std::nullopt;
  return Bound{Make(negated ? Expr::Kind::kOr : Expr::Kind::kAnd, Type::kBoolean,
                    {std::move(low->expr), std::move(high->expr)})};
}

std::optional<Bound> ExpressionBinder::BindDistinct(const Syntax& node, bool negated) {
  const Syntax* left = node.Find("lexpr");
  const Syntax* right = node.Find("rexpr");
  if (left == nullptr || right == nullptr) return std::nullopt;
  std::optional<Operand> left_operand = BindOperand(*left);
  std::optional<Operand> right_operand = BindOperand(*right);
  if (!left_operand.has_value() || !right_operand.has_value()) return std::nullopt;
  std::optional<Bound> test = Compare(node, "is_distinct_from", std::move(*left_operand),
                                      std::move(*right_operand));
  if (!test.has_value() || !negated) return test;
  return Not(std::move(test->expr));
}

std::optional<Bound> ExpressionBinder::BindLogic(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"boolop", "args"})) return std::nullopt;
  const std::string op = node.Text("boolop");
  const std::string word = op == "AND_EXPR" ? "AND" : op == "OR_EXPR" ? "OR" : "NOT";
  std::vector<Expr> args;
  bool good = true;
  for (const Syntax& arg : node.List("args")) {
    std::optional<Expr> condition = BindCondition(arg, word);
    good = good && condition.has_value();
    if (condition.has_value()) args.push_back(std::move(*condition));
  }
  if (!good || args.empty()) return std::nullopt;
  if (word == "NOT") return Not(std::move(args[0]));
  return Bound{Make(word == "AND" ? Expr::Kind::kAnd : Expr::Kind::kOr, Type::kBoolean,
                    std::move(args))};
}

Bound ExpressionBinder::Not(Expr expr) {
  const std::array<Type, 1> types = {Type::kBoolean};
  Expr call = Make(Expr::Kind::kCall, Type::kBoolean, {std::move(expr)});
  call.function = ResolveFunction("not", types, {false});
  return Bound{std::move(call)};
}

std::optional<Bound> ExpressionBinder::BindNullTest(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "nulltesttype"})) return std::nullopt;
  const Syntax* arg = node.Find("arg");
  if (arg == nullptr) return std::nullopt;
  std::optional<Expr> value = BindValue(*arg);
  if (!value.has_value()) return std::nullopt;
  const bool negated = node.Text("nulltesttype") == "IS_NOT_NULL";
  return Bound{Make(negated ? Expr::Kind::kIsNotNull : Expr::Kind::kIsNull, Type::kBoolean,
                    {std::move(*value)})};
}

// x IS TRUE is coalesce(x, false), and the others follow from it.
std::optional<Bound> ExpressionBinder::BindBooleanTest(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "booltesttype"})) return std::nullopt;
  const Syntax* arg = node.Find("arg");
  if (arg == nullptr) return std::nullopt;
  const std::string test = node.Text("booltesttype");
  std::optional<Expr> value = BindCondition(*arg, test.find("UNKNOWN") != std::string::npos
                                                      ? "IS UNKNOWN"
                                                  : test.find("TRUE") != std::string::npos
                                                      ? "IS TRUE"
                                                      : "IS FALSE");
  if (!value.has_value()) return std::nullopt;
  if (test == "IS_UNKNOWN" || test == "IS_NOT_UNKNOWN") {
    return Bound{Make(test == "IS_UNKNOWN" ? Expr::Kind::kIsNull : Expr::Kind::kIsNotNull,
                      Type::kBoolean, {std::move(*value)})};
  }
  Expr operand = std::move(*value);
  if (test == "IS_FALSE" || test == "IS_NOT_FALSE") operand = Not(std::move(operand)).expr;
  Expr is_so = Make(Expr::Kind::kCoalesce, Type::kBoolean,
                    {std::move(operand), LiteralExpr(Literal(false), Type::kBoolean)});
  if (test == "IS_TRUE" || test == "IS_FALSE") return Bound{std::move(is_so)};
  return Not(std::move(is_so));
}

std::optional<Bound> ExpressionBinder::BindCase(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "args", "defresult"})) return std::nullopt;
  std::optional<Operand> subject;
  if (const Syntax* arg = node.Find("arg")) {
    subject = BindOperand(*arg);
    if (!subject.has_value()) return std::nullopt;
  }
  std::vector<Expr> conditions;
  std::vector<Operand> results;
  bool good = true;
  for (const Syntax& when : node.List("args")) {
    const Syntax* test = when.Find("expr");
    const Syntax* result = when.Find("result");
    if (!RefuseOtherFields(sql_, when, {"expr", "result"}) || !test || !result) return std::nullopt;
    std::optional<Expr> condition;
    if (subject.has_value()) {
      std::optional<Operand> copy = Copy(*subject);
      std::optional<Operand> value = copy.has_value() ? BindOperand(*test) : std::nullopt;
      std::optional<Bound> equal;
      if (value.has_value()) equal = Compare(*test, "=", std::move(*copy), std::move(*value));
      if (equal.has_value()) condition = std::move(equal->expr);
    } else {
      condition = BindCondition(*test, "CASE/WHEN");
    }
    std::optional<Operand> value = BindOperand(*result);
    good = good && condition.has_value() && value.has_value();
    if (!good) continue;
    conditions.push_back(std::move(*condition));
    results.push_back(std::move(*value));
  }
  if (const Syntax* otherwise = node.Find("defresult")) {
    std::optional<Operand> value = BindOperand(*otherwise);
    good = good && value.has_value();
    if (good) results.push_back(std::move(*value));
  } else if (good) {
    results.push_back({&node, Bound{LiteralExpr(Literal(), Type::kNull)}});
  }
  if (!good) return std::nullopt;
  const Type type = CommonType(node, "CASE", results);
  if (type == Type::kNull) return std::nullopt;
  std::vector<Expr> args;
  for (size_t i = 0; i < results.size(); ++i) {
    if (i < conditions.size()) args.push_back(std::move(conditions[i]));
    std::optional<Expr> value = Coerce(*results[i].node, std::move(results[i].bound), type);
    if (!value.has_value()) return std::nullopt;
    args.push_back(std::move(*value));
  }
  return Bound{Make(Expr::Kind::kCase, type, std::move(args))};
}

std::optional<Bound> ExpressionBinder::BindCoalesce(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"args"})) return std::nullopt;
  std::optional<std::vector<Operand>> operands = BindAll(node.List("args"));
  if (!operands.has_value()) return std::nullopt;
  const Type type = CommonType(node, "COALESCE", *operands);
  if (type == Type::kNull) return std::nullopt;
  std::vector<Expr> args;
  for (Operand& operand : *operands) {
    std::optional<Expr> value = Coerce(*operand.node, std::move(operand.bound), type);
    if (!value.has_value()) return std::nullopt;
    args.push_back(std::move(*value));
  }
  return Bound{Make(Expr::Kind::kCoalesce, type, std::move(args))};
}

std::optional<Bound> ExpressionBinder::BindMinMax(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"op", "args"})) return std::nullopt;
  std::optional<std::vector<Operand>> operands = BindAll(node.List("args"));
  if (!operands.has_value()) return std::nullopt;
  const bool greatest = node.Text("op") == "IS_GREATEST";
  if (CommonType(node, greatest ? "GREATEST" : "LEAST", *operands) == Type::kNull) {
    return std::nullopt;
  }
  return Call(node, greatest ? "greatest" : "least", std::move(*operands));
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
    std::get<std::string>(bound->expr.literal) += " " + target->interval_unit;
  }
  const Type from = bound->expr.type;
  if (!IsOpen(*bound) && !CanCast(from, target->type)) {
    sql_.Error(node, "cannot cast type " + std::string(TypeName(from)) + " to " +
                         std::string(TypeName(target->type)));
    return std::nullopt;
  }
  std::optional<Expr> cast = Coerce(*arg, std::move(*bound), target->type);
  if (!cast.has_value()) return std::nullopt;
  return Bound{std::move(*cast)};
}

std::optional<Bound> ExpressionBinder::BindFunction(const Syntax& node) {
  std::string name = FunctionNameOf(sql_, node);
  if (name.empty()) return std::nullopt;
  if (const Syntax* over = node.Find("over")) {
    sql_.Error(*over, "window functions (OVER) are not supported by this version");
    return std::nullopt;
  }
  if (IsAggregateName(name)) {
    if (scope_.aggregates != nullptr) return scope_.aggregates->BindAggregate(node, name);
    sql_.Error(node, scope_.no_aggregates, scope_.no_aggregates_hint);
    return std::nullopt;
  }
  if (std::ranges::find(kUnsupportedAggregates, name) != kUnsupportedAggregates.end()) {
    sql_.Error(node, "aggregate function " + name + " is not supported");
    return std::nullopt;
  }
  if (!RefuseOtherFields(sql_, node, {"funcname", "args", "funcformat"})) return std::nullopt;
  const bool sql_syntax = node.Text("funcformat") == "COERCE_SQL_SYNTAX";
  if (sql_syntax && name == "extract") name = "date_part";
  if (sql_syntax && name == "position") name = "strpos";
  const std::vector<std::string>& known = FunctionNames();
  if (std::ranges::find(known, name) == known.end()) {
    std::vector<std::string> all = known;
    all.insert(all.end(), AggregateNames().begin(), AggregateNames().end());
    sql_.Error(node, "unknown function '" + name + "'", SuggestName(name, all));
    return std::nullopt;
  }
  std::optional<std::vector<Operand>> operands = BindAll(node.List("args"));
  if (!operands.has_value()) return std::nullopt;
  return Call(node, name, std::move(*operands));
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

std::optional<Bound> ExpressionBinder::Compare(const Syntax& node, const std::string& symbol,
                                               Operand left, Operand right) {
  std::vector<Operand> operands;
  operands.push_back(std::move(left));
  operands.push_back(std::move(right));
  return Call(node, symbol, std::move(operands));
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
  Expr call = Make(Expr::Kind::kCall, signature.result, {});
  call.function = function;
  for (size_t i = 0; i < operands.size(); ++i) {
    const Type wanted = signature.args[std::min(i, signature.args.size() - 1)];
    std::optional<Expr> arg = Coerce(*operands[i].node, std::move(operands[i].bound), wanted);
    if (!arg.has_value()) return std::nullopt;
    call.args.push_back(std::move(*arg));
  }
  return Bound{std::move(call)};
}

void ExpressionBinder::NoSuchCall(const Syntax& node, const std::string& name,
                                  const std::vector<Operand>& operands) {
  std::string shown = name;
  if (name == "is_distinct_from" || name == "nullif") shown = "=";
  const bool is_operator = !(shown[0] >= 'a' && shown[0] <= 'z');
  if (is_operator && operands.size() == 2) {
    sql_.Error(node, "operator does not exist: " + ShownType(operands[0].bound) + " " + shown +
                         " " + ShownType(operands[1].bound),
               "a cast may be needed, such as x::double precision");
    return;
  }
  if (is_operator && operands.size() == 1) {
    sql_.Error(node,
               "operator does not exist: " + shown + " " + ShownType(operands[0].bound));
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

Type ExpressionBinder::CommonType(const Syntax& node, const std::string& what,
                                  const std::vector<Operand>& operands) {
  Type common = Type::kNull;
  for (const Operand& operand : operands) {
    const Type type = operand.bound.expr.type;
    if (IsOpen(operand.bound)) continue;
    if (common == Type::kNull || IsImplicit(common, type)) {
      common = type;
    } else if (!IsImplicit(type, common)) {
      sql_.Error(*operand.node, what + " types " + std::string(TypeName(common)) + " and " +
                                    std::string(TypeName(type)) + " cannot be matched");
      return Type::kNull;
    }
  }
  if (common == Type::kInterval) {
    sql_.Error(node, what + " of intervals is not supported");
    return Type::kNull;
  }
  return common == Type::kNull ? Type::kText : common;
}

}  // namespace millrace
