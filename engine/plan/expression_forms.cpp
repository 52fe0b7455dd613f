// The forms of expressions with a grammar of their own: operators, IN, BETWEEN, logic, tests, CASE,
// COALESCE, GREATEST and LEAST.
#include <array>
#include <utility>

#include "engine/plan/expression_binder.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/regular_expression.h"

namespace millrace {
namespace {

std::string LastName(const Syntax& node, std::string_view list) {
  const std::vector<Syntax>& names = node.List(list);
  return names.empty() ? "" : StringOf(names.back());
}

}  // namespace

std::optional<Bound> ExpressionBinder::BindOperator(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"kind", "name", "lexpr", "rexpr"})) return std::nullopt;
  const std::string kind = node.Text("kind");
  if (kind == "AEXPR_IN") return BindIn(node);
  if (kind == "AEXPR_BETWEEN") return BindBetween(node, false, false);
  if (kind == "AEXPR_NOT_BETWEEN") return BindBetween(node, true, false);
  if (kind == "AEXPR_BETWEEN_SYM") return BindBetween(node, false, true);
  if (kind == "AEXPR_NOT_BETWEEN_SYM") return BindBetween(node, true, true);
  if (kind == "AEXPR_SIMILAR") return BindSimilar(node);
  if (kind == "AEXPR_DISTINCT") return BindDistinct(node, false);
  if (kind == "AEXPR_NOT_DISTINCT") return BindDistinct(node, true);
  std::string name = LastName(node, "name");
  if (kind == "AEXPR_NULLIF") {
    name = "nullif";
  } else if (kind != "AEXPR_OP" && kind != "AEXPR_LIKE" && kind != "AEXPR_ILIKE") {
    static constexpr std::array kNames =
        std::to_array<std::pair<std::string_view, std::string_view>>(
            {{"AEXPR_OP_ANY", "ANY (array)"}, {"AEXPR_OP_ALL", "ALL (array)"}});
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
  if (name == "nullif") return BindNullIf(node, std::move(operands));
  return Call(node, name, std::move(operands));
}

// What is compared as the wider type is given as the first one where PostgreSQL compares the two
// types without a cast.
std::optional<Bound> ExpressionBinder::BindNullIf(const Syntax& node,
                                                  std::vector<Operand> operands) {
  const Type first = operands[0].bound.expr.type;
  const Type second = operands[1].bound.expr.type;
  const bool narrows = (first == Type::kInteger && second == Type::kBigint) ||
                       (first == Type::kReal && IsNumeric(second)) ||
                       (first == Type::kDate && second == Type::kTimestamp);
  std::optional<Bound> bound = Call(node, "nullif", std::move(operands));
  if (bound.has_value() && narrows) {
    bound->expr = MakeExpr(Expr::Kind::kCast, first, {std::move(bound->expr)});
  }
  return bound;
}

// A pattern of its own becomes a regular expression, which has to be known.
std::optional<Bound> ExpressionBinder::BindSimilar(const Syntax& node) {
  const Syntax* left = node.Find("lexpr");
  const Syntax* right = node.Find("rexpr");
  const std::vector<Syntax>& args = right == nullptr ? node.List("") : right->List("args");
  if (left == nullptr || args.size() != 1) {
    sql_.Error(node, "SIMILAR TO ... ESCAPE is not supported", "escape with a backslash");
    return std::nullopt;
  }
  std::optional<Operand> value = BindOperand(*left);
  std::optional<Operand> pattern = BindOperand(args[0]);
  if (!value.has_value() || !pattern.has_value()) return std::nullopt;
  auto* const text = std::get_if<std::string>(&pattern->bound.expr.literal);
  if (text == nullptr) {
    sql_.Error(args[0], "the pattern of SIMILAR TO must be a literal", "match with ~");
    return std::nullopt;
  }
  *text = PatternOfSimilar(*text);
  std::vector<Operand> operands;
  operands.push_back(std::move(*value));
  operands.push_back(std::move(*pattern));
  return Call(node, LastName(node, "name"), std::move(operands));
}

std::optional<Bound> ExpressionBinder::BindIn(const Syntax& node) {
  const std::string symbol = LastName(node, "name");
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
  return Bound{MakeExpr(symbol == "=" ? Expr::Kind::kOr : Expr::Kind::kAnd, Type::kBoolean,
                        std::move(tests))};
}

// SYMMETRIC: between the lesser and the greater of the bounds.
std::optional<Bound> ExpressionBinder::BindBetween(const Syntax& node, bool negated,
                                                   bool symmetric) {
  const Syntax* left = node.Find("lexpr");
  const Syntax* bounds = node.Find("rexpr");
  if (left == nullptr || bounds == nullptr || bounds->List("items").size() != 2) {
    sql_.Error(node, "BETWEEN needs two bounds");
    return std::nullopt;
  }
  const std::vector<Syntax>& items = bounds->List("items");
  std::optional<Bound> range = BindRange(node, *left, items[0], items[1], negated);
  if (!range.has_value() || !symmetric) return range;
  std::optional<Bound> turned = BindRange(node, *left, items[1], items[0], negated);
  if (!turned.has_value()) return std::nullopt;
  return Bound{MakeExpr(negated ? Expr::Kind::kAnd : Expr::Kind::kOr, Type::kBoolean,
                        {std::move(range->expr), std::move(turned->expr)})};
}

std::optional<Bound> ExpressionBinder::BindRange(const Syntax& node, const Syntax& left,
                                                 const Syntax& low_node, const Syntax& high_node,
                                                 bool negated) {
  std::optional<Operand> value = BindOperand(left);
  std::optional<Operand> low_value = BindOperand(low_node);
  std::optional<Operand> high_value = BindOperand(high_node);
  if (!value.has_value() || !low_value.has_value() || !high_value.has_value()) {
    return std::nullopt;
  }
  std::optional<Operand> copy = Copy(*value);
  if (!copy.has_value()) return std::nullopt;
  std::optional<Bound> low =
      Compare(node, negated ? "<" : ">=", std::move(*value), std::move(*low_value));
  std::optional<Bound> high =
      Compare(node, negated ? ">" : "<=", std::move(*copy), std::move(*high_value));
  if (!low.has_value() || !high.has_value()) return std::nullopt;
  return Bound{MakeExpr(negated ? Expr::Kind::kOr : Expr::Kind::kAnd, Type::kBoolean,
                        {std::move(low->expr), std::move(high->expr)})};
}

// is_out_of_range(x, low, high) is x NOT BETWEEN low AND high.
std::optional<Bound> ExpressionBinder::BindOutOfRange(const Syntax& node) {
  const std::vector<Syntax>& args = node.List("args");
  if (args.size() == 3) return BindRange(node, args[0], args[1], args[2], true);
  sql_.Error(node, "is_out_of_range() takes a value and its two bounds",
             "write is_out_of_range(x, low, high)");
  return std::nullopt;
}

std::optional<Bound> ExpressionBinder::BindDistinct(const Syntax& node, bool negated) {
  const Syntax* left = node.Find("lexpr");
  const Syntax* right = node.Find("rexpr");
  if (left == nullptr || right == nullptr) return std::nullopt;
  std::optional<Operand> left_operand = BindOperand(*left);
  std::optional<Operand> right_operand = BindOperand(*right);
  if (!left_operand.has_value() || !right_operand.has_value()) return std::nullopt;
  std::optional<Bound> test =
      Compare(node, "is_distinct_from", std::move(*left_operand), std::move(*right_operand));
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
  return Bound{MakeExpr(word == "AND" ? Expr::Kind::kAnd : Expr::Kind::kOr, Type::kBoolean,
                        std::move(args))};
}

Bound ExpressionBinder::Not(Expr expr) { return Bound{CallExpr("not", {std::move(expr)})}; }

std::optional<Bound> ExpressionBinder::BindNullTest(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "nulltesttype"})) return std::nullopt;
  const Syntax* arg = node.Find("arg");
  if (arg == nullptr) return std::nullopt;
  std::optional<Expr> value = BindValue(*arg);
  if (!value.has_value()) return std::nullopt;
  const bool negated = node.Text("nulltesttype") == "IS_NOT_NULL";
  return Bound{MakeExpr(negated ? Expr::Kind::kIsNotNull : Expr::Kind::kIsNull, Type::kBoolean,
                        {std::move(*value)})};
}

// x IS TRUE is coalesce(x, false), and the others follow from it.
std::optional<Bound> ExpressionBinder::BindBooleanTest(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"arg", "booltesttype"})) return std::nullopt;
  const Syntax* arg = node.Find("arg");
  if (arg == nullptr) return std::nullopt;
  const std::string test = node.Text("booltesttype");
  std::optional<Expr> value =
      BindCondition(*arg, test.find("UNKNOWN") != std::string::npos ? "IS UNKNOWN"
                          : test.find("TRUE") != std::string::npos  ? "IS TRUE"
                                                                    : "IS FALSE");
  if (!value.has_value()) return std::nullopt;
  if (test == "IS_UNKNOWN" || test == "IS_NOT_UNKNOWN") {
    return Bound{MakeExpr(test == "IS_UNKNOWN" ? Expr::Kind::kIsNull : Expr::Kind::kIsNotNull,
                          Type::kBoolean, {std::move(*value)})};
  }
  Expr operand = std::move(*value);
  if (test == "IS_FALSE" || test == "IS_NOT_FALSE") operand = Not(std::move(operand)).expr;
  Expr is_so = MakeExpr(Expr::Kind::kCoalesce, Type::kBoolean,
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
  const bool is_local = AllLocalTimes(results);
  std::vector<Expr> args;
  for (size_t i = 0; i < results.size(); ++i) {
    if (i < conditions.size()) args.push_back(std::move(conditions[i]));
    std::optional<Expr> value = Coerce(*results[i].node, std::move(results[i].bound), type);
    if (!value.has_value()) return std::nullopt;
    args.push_back(std::move(*value));
  }
  Expr chosen = MakeExpr(Expr::Kind::kCase, type, std::move(args));
  chosen.is_local_time = is_local;
  return Bound{std::move(chosen)};
}

std::optional<Bound> ExpressionBinder::BindCoalesce(const Syntax& node) {
  if (!RefuseOtherFields(sql_, node, {"args"})) return std::nullopt;
  std::optional<std::vector<Operand>> operands = BindAll(node.List("args"));
  if (!operands.has_value()) return std::nullopt;
  const Type type = CommonType(node, "COALESCE", *operands);
  if (type == Type::kNull) return std::nullopt;
  const bool is_local = AllLocalTimes(*operands);
  std::vector<Expr> args;
  for (Operand& operand : *operands) {
    std::optional<Expr> value = Coerce(*operand.node, std::move(operand.bound), type);
    if (!value.has_value()) return std::nullopt;
    args.push_back(std::move(*value));
  }
  Expr chosen = MakeExpr(Expr::Kind::kCoalesce, type, std::move(args));
  chosen.is_local_time = is_local;
  return Bound{std::move(chosen)};
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

std::optional<Bound> ExpressionBinder::Compare(const Syntax& node, const std::string& symbol,
                                               Operand left, Operand right) {
  std::vector<Operand> operands;
  operands.push_back(std::move(left));
  operands.push_back(std::move(right));
  return Call(node, symbol, std::move(operands));
}

}  // namespace millrace
