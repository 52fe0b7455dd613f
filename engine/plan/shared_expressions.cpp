#include "engine/plan/shared_expressions.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

namespace millrace {
namespace {

// Comparing is quadratic: what is larger is computed as it stands.
constexpr size_t kNodesMax = 1000;

// 0 and -0 are two.
bool SameLiteral(const Literal& a, const Literal& b) {
  const auto* number = std::get_if<double>(&a);
  const auto* other = std::get_if<double>(&b);
  if (number == nullptr || other == nullptr) return a == b;
  return std::bit_cast<uint64_t>(*number) == std::bit_cast<uint64_t>(*other);
}

bool SameMeaning(const Expr& a, const Expr& b) {
  return a.kind == b.kind && a.type == b.type && a.column == b.column && a.function == b.function &&
         a.is_local_time == b.is_local_time && SameLiteral(a.literal, b.literal) &&
         std::ranges::equal(a.args, b.args, SameMeaning);
}

size_t NodesOf(const Expr& expr) {
  size_t nodes = 1;
  for (const Expr& arg : expr.args) nodes += NodesOf(arg);
  return nodes;
}

// Whether this argument is computed for every row for which `expr` is.
bool IsAlwaysComputed(const Expr& expr, size_t arg) {
  switch (expr.kind) {
    case Expr::Kind::kCase:
    case Expr::Kind::kCoalesce:
    case Expr::Kind::kAnd:
    case Expr::Kind::kOr:
      return arg == 0;
    default:
      return true;
  }
}

struct Place {
  Expr* expr;
  size_t nodes;
  bool always;  // computed for every row
};

void Collect(Expr* expr, bool always, std::vector<Place>* places) {
  if (expr->kind == Expr::Kind::kColumn || expr->kind == Expr::Kind::kLiteral) return;
  // An interval is no column.
  if (expr->type != Type::kInterval && expr->type != Type::kNull) {
    places->push_back({expr, NodesOf(*expr), always});
  }
  for (size_t i = 0; i < expr->args.size(); ++i) {
    Collect(&expr->args[i], always && IsAlwaysComputed(*expr, i), places);
  }
}

// The places of the largest expression that is worth sharing; nothing where there is none. None of
// them is inside another.
std::vector<Expr*> LargestRepeated(std::vector<Place> places) {
  std::ranges::stable_sort(places, std::ranges::greater(), &Place::nodes);
  for (size_t i = 0; i < places.size(); ++i) {
    std::vector<Expr*> same = {places[i].expr};
    bool always = places[i].always;
    for (size_t j = i + 1; j < places.size() && places[j].nodes == places[i].nodes; ++j) {
      if (!SameMeaning(*places[i].expr, *places[j].expr)) continue;
      same.push_back(places[j].expr);
      always = always || places[j].always;
    }
    if (same.size() > 1 && always) return same;
  }
  return {};
}

// Names what is shared by its final place: found[i] stands at the end less i.
void Renumber(int inputs, int found, Expr* expr) {
  if (expr->kind == Expr::Kind::kColumn && expr->column >= inputs) {
    expr->column = inputs + found - 1 - (expr->column - inputs);
  }
  for (Expr& arg : expr->args) Renumber(inputs, found, &arg);
}

}  // namespace

SharedExpressions ShareExpressions(std::vector<Expr> columns, int inputs) {
  SharedExpressions made;
  size_t nodes = 0;
  for (const Expr& column : columns) nodes += NodesOf(column);
  made.columns = std::move(columns);
  if (nodes > kNodesMax) return made;
  // Smaller ones are found later, also inside those before: they come first in the end.
  for (;;) {
    std::vector<Place> places;
    for (Expr& column : made.columns) Collect(&column, true, &places);
    for (Expr& expr : made.shared) Collect(&expr, true, &places);
    const std::vector<Expr*> same = LargestRepeated(std::move(places));
    if (same.empty()) break;
    Expr taken = *same[0];
    Expr reference;
    reference.kind = Expr::Kind::kColumn;
    reference.type = taken.type;
    reference.column = inputs + int(made.shared.size());
    reference.is_local_time = taken.is_local_time;
    for (Expr* place : same) *place = reference;
    made.shared.push_back(std::move(taken));
  }
  std::ranges::reverse(made.shared);
  const int found = int(made.shared.size());
  for (Expr& expr : made.shared) Renumber(inputs, found, &expr);
  for (Expr& column : made.columns) Renumber(inputs, found, &column);
  return made;
}

}  // namespace millrace
