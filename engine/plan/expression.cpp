#include "engine/plan/expression.h"

#include <array>
#include <utility>

#include "engine/plan/functions.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

class Formatter {
 public:
  explicit Formatter(const Schema& input) : input_(input) {}

  std::string Operand(const Expr& expr) const {
    const std::string text = Format(expr);
    const bool atom = expr.kind == Expr::Kind::kColumn || expr.kind == Expr::Kind::kLiteral ||
                      expr.kind == Expr::Kind::kCast || expr.kind == Expr::Kind::kTryCast ||
                      expr.kind == Expr::Kind::kCoalesce ||
                      (expr.kind == Expr::Kind::kCall && !IsOperator(expr));
    return atom ? text : "(" + text + ")";
  }

  std::string Format(const Expr& expr) const {
    switch (expr.kind) {
      case Expr::Kind::kColumn:
        return ColumnName(expr.column);
      case Expr::Kind::kLiteral:
        return FormatLiteral(expr.literal, expr.type);
      case Expr::Kind::kCall:
        return Call(expr);
      case Expr::Kind::kCast:
        return Operand(expr.args[0]) + "::" + std::string(TypeName(expr.type));
      case Expr::Kind::kTryCast:
        return "try_cast(" + Format(expr.args[0]) + ", '" + std::string(TypeName(expr.type)) + "')";
      case Expr::Kind::kCase:
        return Case(expr);
      case Expr::Kind::kCoalesce:
        return "coalesce(" + Join(expr.args, ", ", false) + ")";
      case Expr::Kind::kAnd:
        return Join(expr.args, " AND ", true);
      case Expr::Kind::kOr:
        return Join(expr.args, " OR ", true);
      case Expr::Kind::kIsNull:
        return Operand(expr.args[0]) + " IS NULL";
      case Expr::Kind::kIsNotNull:
        return Operand(expr.args[0]) + " IS NOT NULL";
    }
    return "";
  }

 private:
  std::string ColumnName(int column) const {
    if (column < 0 || size_t(column) >= input_.fields.size()) {
      return "column " + std::to_string(column);
    }
    return input_.fields[size_t(column)].name;
  }

  static std::string_view NameOf(const Expr& call) {
    const auto catalog = FunctionCatalog();
    if (call.function < 0 || size_t(call.function) >= catalog.size()) return "unknown_function";
    return catalog[size_t(call.function)].name;
  }

  static bool IsOperator(const Expr& call) { return IsOperatorName(NameOf(call)); }

  std::string Call(const Expr& call) const {
    static constexpr std::array kWords =
        std::to_array<std::pair<std::string_view, std::string_view>>(
            {{"~~", "LIKE"},
             {"!~~", "NOT LIKE"},
             {"~~*", "ILIKE"},
             {"!~~*", "NOT ILIKE"},
             {"is_distinct_from", "IS DISTINCT FROM"},
             {"not", "NOT "}});
    std::string_view name = NameOf(call);
    if (!IsOperator(call)) return std::string(name) + "(" + Join(call.args, ", ", false) + ")";
    for (const auto& [symbol, word] : kWords) {
      if (name == symbol) {
        name = word;
        break;
      }
    }
    if (call.args.size() == 1) return std::string(name) + Operand(call.args[0]);
    return Join(call.args, " " + std::string(name) + " ", true);
  }

  std::string Case(const Expr& expr) const {
    std::string text = "CASE";
    size_t i = 0;
    for (; i + 1 < expr.args.size(); i += 2) {
      text += " WHEN " + Format(expr.args[i]) + " THEN " + Format(expr.args[i + 1]);
    }
    return text + " ELSE " + Format(expr.args[i]) + " END";
  }

  std::string Join(const std::vector<Expr>& args, const std::string& between, bool operands) const {
    std::string text;
    for (size_t i = 0; i < args.size(); ++i) {
      if (i > 0) text += between;
      text += operands ? Operand(args[i]) : Format(args[i]);
    }
    return text;
  }

  const Schema& input_;
};

}  // namespace

std::string FormatExpr(const Expr& expr, const Schema& input) {
  return Formatter(input).Format(expr);
}

std::string FormatOperand(const Expr& expr, const Schema& input) {
  return Formatter(input).Operand(expr);
}

}  // namespace millrace
