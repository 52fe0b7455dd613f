#include "engine/plan/unnest.h"

#include <algorithm>
#include <utility>

#include "engine/plan/expression_binder.h"
#include "engine/plan/expression_nodes.h"

namespace millrace {
namespace {

// The call in a `RangeFunction`, or null where it holds something else.
const Syntax* CallOf(const Syntax& item) {
  if (item.tag != "RangeFunction") return nullptr;
  const std::vector<Syntax>& functions = item.List("functions");
  if (functions.size() != 1) return nullptr;
  const std::vector<Syntax>& parts = functions[0].List("items");
  return parts.empty() || parts[0].tag != "FuncCall" ? nullptr : &parts[0];
}

bool NamesColumnFrom(const Expr& expr, int first) {
  if (expr.kind == Expr::Kind::kColumn && expr.column >= first) return true;
  return std::ranges::any_of(expr.args,
                             [&](const Expr& arg) { return NamesColumnFrom(arg, first); });
}

// AS s, AS s(value), AS s(value, n).
bool ReadColumnNames(const SqlText& sql, const Syntax& alias, UnnestClause* unnest) {
  if (!RefuseOtherFields(sql, alias, {"aliasname", "colnames"})) return false;
  const std::vector<Syntax>& names = alias.List("colnames");
  const size_t columns = unnest->ordinality.empty() ? 1 : 2;
  if (names.size() > columns) {
    sql.Error(names[columns],
              "table '" + unnest->qualifier + "' has " + std::to_string(columns) +
                  (columns == 1 ? " column" : " columns"),
              columns == 1 ? "add WITH ORDINALITY to number the elements" : "");
    return false;
  }
  if (!names.empty()) unnest->element = StringOf(names[0]);
  if (names.size() > 1) unnest->ordinality = StringOf(names[1]);
  return true;
}

}  // namespace

const std::vector<std::string>& UnnestNames() {
  static const std::vector<std::string> names = {"unnest", "json_array_elements",
                                                 "json_array_elements_text"};
  return names;
}

std::string TableFunctionName(const Syntax& item) {
  const Syntax* call = CallOf(item);
  if (call == nullptr || call->List("funcname").empty()) return "";
  return StringOf(call->List("funcname").back());
}

bool IsUnnest(const Syntax& item) {
  const std::string function = TableFunctionName(item);
  return std::ranges::find(UnnestNames(), function) != UnnestNames().end();
}

std::optional<UnnestClause> ReadUnnest(const SqlText& sql, const Syntax& item) {
  const Syntax& call = *CallOf(item);
  const std::string function = FunctionNameOf(sql, call);
  if (function.empty() ||
      !RefuseOtherFields(sql, item, {"functions", "alias", "lateral", "ordinality"}) ||
      !RefuseOtherFields(sql, call, {"funcname", "args", "funcformat"})) {
    return std::nullopt;
  }
  const std::vector<Syntax>& args = call.List("args");
  if (args.size() != 1 || args[0].tag == "NamedArgExpr") {
    sql.Error(args.empty() ? call : args.back(), function + "() takes one JSON array");
    return std::nullopt;
  }
  UnnestClause unnest;
  unnest.argument = args[0];
  unnest.is_sql_unnest = function == "unnest";
  unnest.as_text = function == "json_array_elements_text";
  unnest.qualifier = function;
  if (item.Flag("ordinality")) unnest.ordinality = "ordinality";
  const Syntax* alias = item.Find("alias");
  if (alias != nullptr) unnest.qualifier = alias->Text("aliasname");
  // The column of unnest has the alias's name, that of the others a name of its own.
  unnest.element = unnest.is_sql_unnest ? unnest.qualifier : "value";
  if (alias != nullptr && !ReadColumnNames(sql, *alias, &unnest)) return std::nullopt;
  if (unnest.element == unnest.ordinality) {
    sql.Error(alias == nullptr ? item : *alias,
              "column '" + unnest.element + "' of unnest is there twice");
    return std::nullopt;
  }
  return unnest;
}

std::optional<Expr> BindUnnestArray(const SqlText& sql, const FromClause& from,
                                    const Schema& input) {
  const UnnestClause& unnest = *from.unnest;
  int64_t copies_left = kCopiedNodesMax;
  BindScope scope;
  scope.columns = &input;
  scope.relations = from.relations;
  scope.copies_left = &copies_left;
  scope.no_aggregates = "aggregate functions are not allowed in FROM";
  ExpressionBinder binder(sql, scope);
  std::optional<Bound> bound = binder.Bind(unnest.argument);
  if (!bound.has_value()) return std::nullopt;
  const Expr& expr = bound->expr;
  // What array_agg gives is JSON, though its type is text.
  const bool holds_json =
      expr.kind == Expr::Kind::kColumn && input.fields[size_t(expr.column)].is_json;
  if (!IsOpen(*bound) && expr.type != Type::kJson && !(expr.type == Type::kText && holds_json)) {
    const std::string function = unnest.is_sql_unnest ? "unnest"
                                 : unnest.as_text     ? "json_array_elements_text"
                                                      : "json_array_elements";
    sql.Error(unnest.argument,
              "function does not exist: " + function + "(" + std::string(TypeName(expr.type)) + ")",
              expr.type == Type::kText ? "a cast may be needed: x::json"
                                       : "it takes a JSON array, a column of type json");
    return std::nullopt;
  }
  return binder.Coerce(unnest.argument, std::move(*bound), Type::kJson);
}

void MoveFilterBeforeUnnest(int input_columns, std::optional<Expr>* where, Unnest* unnest) {
  if (!where->has_value()) return;
  if (!NamesColumnFrom(**where, input_columns)) {
    unnest->filter = std::move(*where);
    where->reset();
    return;
  }
  if ((*where)->kind != Expr::Kind::kAnd) return;
  std::vector<Expr>& terms = (*where)->args;
  const auto first = std::ranges::find_if(
      terms, [&](const Expr& term) { return NamesColumnFrom(term, input_columns); });
  if (first == terms.begin()) return;
  std::vector<Expr> before(std::make_move_iterator(terms.begin()), std::make_move_iterator(first));
  terms.erase(terms.begin(), first);
  unnest->filter = before.size() == 1
                       ? std::move(before[0])
                       : MakeExpr(Expr::Kind::kAnd, Type::kBoolean, std::move(before));
  if (terms.size() == 1) *where = Expr(std::move(terms[0]));
}

}  // namespace millrace
