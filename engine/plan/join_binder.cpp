#include "engine/plan/join_binder.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "engine/plan/expression_binder.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

constexpr Micros kBoundMax = std::chrono::days(36'525);

// Which sides' columns an expression names.
struct Sides {
  bool left = false;
  bool right = false;
};

// One condition of those that ON joins by AND.
struct Term {
  int64_t offset = 0;
  Expr expr;
  Sides names;
};

void NoteSides(const Expr& expr, int left_columns, Sides* sides) {
  if (expr.kind == Expr::Kind::kColumn) {
    (expr.column < left_columns ? sides->left : sides->right) = true;
  }
  for (const Expr& arg : expr.args) NoteSides(arg, left_columns, sides);
}

Sides SidesOf(const Expr& expr, int left_columns) {
  Sides sides;
  NoteSides(expr, left_columns, &sides);
  return sides;
}

// left * (time of the left row) + right * (that of the right row) + constant.
struct TimeSum {
  int left = 0;
  int right = 0;
  Micros constant{0};
};

Syntax TextNode(const std::string& text, int64_t offset) {
  Syntax node;
  node.tag = "String";
  node.names = {"sval"};
  node.values.emplace_back().scalar = text;
  node.offset = offset;
  return node;
}

Syntax ListNode(std::vector<Syntax> items, int64_t offset) {
  Syntax node;
  node.values = std::move(items);
  node.offset = offset;
  return node;
}

Syntax ColumnNode(const std::string& qualifier, const PlacedName& column) {
  Syntax node;
  node.tag = "ColumnRef";
  node.names = {"fields"};
  node.values = {ListNode(
      {TextNode(qualifier, column.offset), TextNode(column.name, column.offset)}, column.offset)};
  node.offset = column.offset;
  return node;
}

// left.column = right.column
Syntax EqualityNode(const std::string& left, const std::string& right, const PlacedName& column) {
  Syntax kind;
  kind.scalar = std::string("AEXPR_OP");
  kind.offset = column.offset;
  Syntax node;
  node.tag = "A_Expr";
  node.names = {"kind", "name", "lexpr", "rexpr"};
  node.values = {kind, ListNode({TextNode("=", column.offset)}, column.offset),
                 ColumnNode(left, column), ColumnNode(right, column)};
  node.offset = column.offset;
  return node;
}

std::string_view FunctionOf(const Expr& expr) {
  return expr.kind == Expr::Kind::kCall ? FunctionCatalog()[size_t(expr.function)].name : "";
}

Expr MovedColumns(Expr expr, int by) {
  if (expr.kind == Expr::Kind::kColumn) expr.column += by;
  for (Expr& arg : expr.args) arg = MovedColumns(std::move(arg), by);
  return expr;
}

class OnBinder {
 public:
  OnBinder(const SqlText& sql, const TableRef& join, int left_columns, JoinColumns* columns)
      : sql_(sql), join_(join), left_columns_(left_columns), columns_(columns) {}

  // Every condition of ON and USING by itself.
  std::optional<std::vector<Term>> Bind() {
    bool good = true;
    for (const PlacedName& column : join_.using_columns) good = AddUsing(column) && good;
    if (join_.condition.has_value()) Flatten(*join_.condition);
    for (const Syntax& node : made_) nodes_.push_back(&node);
    int64_t copies = kCopiedNodesMax;
    BindScope scope;
    scope.columns = &columns_->schema;
    scope.relations = columns_->relations;
    scope.copies_left = &copies;
    scope.no_aggregates = "aggregate functions are not allowed in ON";
    scope.no_over = "window functions are not allowed in ON";
    std::vector<Term> terms;
    for (const Syntax* node : nodes_) {
      std::optional<Expr> expr = ExpressionBinder(sql_, scope).BindCondition(*node, "ON");
      good = good && expr.has_value();
      if (expr.has_value()) AddTerms(*node, std::move(*expr), &terms);
    }
    // Only now: in ON itself both columns may be named.
    if (good) MarkUsing();
    if (!good) return std::nullopt;
    return terms;
  }

 private:
  void Flatten(const Syntax& node) {
    if (node.tag == "BoolExpr" && node.Text("boolop") == "AND_EXPR") {
      for (const Syntax& arg : node.List("args")) Flatten(arg);
    } else {
      nodes_.push_back(&node);
    }
  }

  void AddTerms(const Syntax& node, Expr expr, std::vector<Term>* terms) {
    if (expr.kind == Expr::Kind::kAnd) {
      for (Expr& arg : expr.args) AddTerms(node, std::move(arg), terms);
      return;
    }
    Term term;
    term.offset = node.offset;
    term.names = SidesOf(expr, left_columns_);
    term.expr = std::move(expr);
    terms->push_back(std::move(term));
  }

  // Of one side, the relation and the column of that name.
  std::vector<std::pair<size_t, int>> Find(const std::string& name, bool right) const {
    std::vector<std::pair<size_t, int>> found;
    for (size_t r = 0; r < columns_->relations.size(); ++r) {
      const RelationScope& relation = columns_->relations[r];
      if ((relation.first >= left_columns_) != right) continue;
      for (int i = 0; i < relation.count; ++i) {
        const bool merged = !relation.merged.empty() && relation.merged[size_t(i)];
        if (!merged && relation.names[size_t(i)] == name) found.emplace_back(r, i);
      }
    }
    return found;
  }

  bool AddUsing(const PlacedName& column) {
    if (join_.type == JoinType::kFull) {
      sql_.Error(column.offset, "USING does not go with FULL JOIN",
                 "write ON, and COALESCE(a." + column.name + ", b." + column.name + ")");
      return false;
    }
    std::string qualifiers[2];
    for (const bool right : {false, true}) {
      const auto found = Find(column.name, right);
      if (found.size() != 1) {
        sql_.Error(
            column.offset,
            (found.empty() ? "unknown column '" : "column reference '") + column.name +
                (found.empty() ? std::string("' ") + (right ? "right" : "left") + " of the join"
                               : "' is ambiguous"),
            found.empty() ? "USING names columns of both sides" : "write ON");
        return false;
      }
      qualifiers[right ? 1 : 0] = columns_->relations[found[0].first].qualifier;
      merged_.emplace_back(found[0]);
    }
    made_.push_back(EqualityNode(qualifiers[0], qualifiers[1], column));
    return true;
  }

  // A column named without a qualifier is that of the side whose rows are all there.
  void MarkUsing() {
    std::vector<int> first;
    for (size_t i = 0; i < merged_.size(); ++i) {
      const bool is_right = i % 2 == 1;
      RelationScope& relation = columns_->relations[merged_[i].first];
      const int column = relation.first + merged_[i].second;
      std::erase(columns_->star, column);
      if (is_right == (join_.type == JoinType::kRight)) {
        first.push_back(column);
        continue;
      }
      relation.merged.resize(size_t(relation.count), false);
      relation.merged[size_t(merged_[i].second)] = true;
    }
    columns_->star.insert(columns_->star.begin(), first.begin(), first.end());
  }

  const SqlText& sql_;
  const TableRef& join_;
  const int left_columns_;
  JoinColumns* columns_;
  std::vector<Syntax> made_;
  std::vector<const Syntax*> nodes_;
  std::vector<std::pair<size_t, int>> merged_;  // by turns of the left and of the right side
};

std::optional<TimeSum> Negated(std::optional<TimeSum> sum) {
  if (sum.has_value()) *sum = {-sum->left, -sum->right, -sum->constant};
  return sum;
}

std::optional<TimeSum> Added(const std::optional<TimeSum>& a, const std::optional<TimeSum>& b) {
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  return TimeSum{a->left + b->left, a->right + b->right, a->constant + b->constant};
}

class JoinBinder {
 public:
  JoinBinder(const SqlText& sql, const TableRef& join, const BoundStream& left,
             const BoundStream& right, JoinColumns* columns)
      : sql_(sql),
        join_(join),
        sides_{&left, &right},
        times_{TimeColumnsOf(left), TimeColumnsOf(right)},
        left_columns_(int(left.schema.fields.size())),
        columns_(columns) {}

  std::optional<BoundJoin> Bind() {
    const bool as_of = join_.kind == TableRef::Kind::kAsOf;
    bound_.keeps_left = join_.type == JoinType::kLeft || join_.type == JoinType::kFull;
    bound_.keeps_right = join_.type == JoinType::kRight || join_.type == JoinType::kFull;
    bound_.time_is_right = join_.type == JoinType::kRight;
    bound_.latest_only = as_of;
    bool good = true;
    for (const size_t side : {size_t(0), size_t(1)}) {
      if (!times_[side].empty()) continue;
      sql_.Error(
          join_.inputs[side].offset,
          "a join of streams needs an event time, and '" + sides_[side]->spec->name + "' has none",
          sides_[side]->windowed ? "select window_end there"
                                 : "select the column that is its event time there");
      good = false;
    }
    const std::optional<std::vector<Term>> terms =
        OnBinder(sql_, join_, left_columns_, columns_).Bind();
    if (!terms.has_value() || !good) return std::nullopt;
    for (const Term& term : *terms) good = Take(term, as_of) && good;
    if (!good) return std::nullopt;
    if (as_of) {
      lower_ = -join_.within;
      upper_ = Micros(0);
    }
    if (!CheckBounds()) return std::nullopt;
    bound_.lower = *lower_;
    bound_.upper = *upper_;
    return std::move(bound_);
  }

 private:
  bool Take(const Term& term, bool as_of) {
    if (const auto* always = std::get_if<bool>(&term.expr.literal);
        term.expr.kind == Expr::Kind::kLiteral && always != nullptr && *always) {
      return true;
    }
    if (std::optional<TimeSum> difference = Difference(term.expr)) {
      if (as_of) {
        sql_.Error(term.offset, "asof_join() itself looks at times",
                   "say with `within` how far back it looks");
        return false;
      }
      return TakeBound(FunctionOf(term.expr), *difference);
    }
    if (TakeKey(term)) return true;
    if (term.names.left && term.names.right) return TakeRest(term);
    if (term.names.left) return TakeFilter(term, !bound_.keeps_left, &bound_.left_filter, 0);
    if (term.names.right) {
      return TakeFilter(term, !bound_.keeps_right, &bound_.right_filter, left_columns_);
    }
    return TakeRest(term);
  }

  bool is_inner() const { return !bound_.keeps_left && !bound_.keeps_right; }

  bool TakeRest(const Term& term) {
    if (is_inner()) {
      bound_.condition = Both(std::move(bound_.condition), term.expr);
      return true;
    }
    sql_.Error(term.offset,
               "ON of an outer join has equal columns, bounds on time, and conditions on the side "
               "that may be missing",
               "filter in WHERE, or before the join");
    return false;
  }

  // Of an outer join only the side that may be missing is filtered before.
  bool TakeFilter(const Term& term, bool may, std::optional<Expr>* filter, int first) {
    if (!may) return TakeRest(term);
    *filter = Both(std::move(*filter), MovedColumns(term.expr, -first));
    return true;
  }

  // An equality of something left with something right.
  bool TakeKey(const Term& term) {
    if (FunctionOf(term.expr) != "=") return false;
    const Sides first = SidesOf(term.expr.args[0], left_columns_);
    const Sides second = SidesOf(term.expr.args[1], left_columns_);
    if (first.left == first.right || second.left == second.right || first.left == second.left) {
      return false;
    }
    const size_t left = first.left ? 0 : 1;
    if (term.expr.args[0].type == Type::kInterval) return false;
    bound_.left_keys.push_back(term.expr.args[left]);
    bound_.right_keys.push_back(MovedColumns(term.expr.args[1 - left], -left_columns_));
    return true;
  }

  // What a comparison of times is about, where it is one: its first side less its second.
  std::optional<TimeSum> Difference(const Expr& expr) const {
    static const std::set<std::string_view> kComparisons = {"=", "<", "<=", ">", ">="};
    if (!kComparisons.contains(FunctionOf(expr))) return std::nullopt;
    const std::optional<TimeSum> sum = Added(SumOf(expr.args[0]), Negated(SumOf(expr.args[1])));
    if (!sum.has_value() || sum->left + sum->right != 0 || std::abs(sum->left) != 1) {
      return std::nullopt;
    }
    return sum;
  }

  std::optional<TimeSum> SumOf(const Expr& expr) const {
    if (expr.kind == Expr::Kind::kColumn) {
      const bool right = expr.column >= left_columns_;
      const int column = right ? expr.column - left_columns_ : expr.column;
      for (const TimeColumn& time : times_[right ? 1 : 0]) {
        if (time.column == column) return TimeSum{right ? 0 : 1, right ? 1 : 0, -time.shift};
      }
      return std::nullopt;
    }
    if (expr.kind == Expr::Kind::kLiteral) {
      const auto* interval = std::get_if<Interval>(&expr.literal);
      if (interval == nullptr || interval->months != 0) return std::nullopt;
      const std::optional<Micros> length = FixedLength(*interval);
      if (!length.has_value() || std::chrono::abs(*length) > kBoundMax) return std::nullopt;
      return TimeSum{0, 0, *length};
    }
    const std::string_view function = FunctionOf(expr);
    if ((function != "+" && function != "-") || expr.args.size() > 2) return std::nullopt;
    const bool subtracts = function == "-";
    if (expr.args.size() == 1) {
      return subtracts ? Negated(SumOf(expr.args[0])) : SumOf(expr.args[0]);
    }
    const std::optional<TimeSum> second = SumOf(expr.args[1]);
    return Added(SumOf(expr.args[0]), subtracts ? Negated(second) : second);
  }

  // right's time - left's time, compared with a constant.
  bool TakeBound(std::string_view comparison, const TimeSum& sum) {
    const bool right_first = sum.right == 1;
    const Micros limit = right_first ? -sum.constant : sum.constant;
    const bool strict = comparison == "<" || comparison == ">";
    const bool less = (comparison[0] == '<') == right_first;
    if (comparison == "=" || !less) {
      const Micros from = strict ? limit + Micros(1) : limit;
      lower_ = std::max(lower_.value_or(from), from);
    }
    if (comparison == "=" || less) {
      const Micros to = strict ? limit - Micros(1) : limit;
      upper_ = std::min(upper_.value_or(to), to);
    }
    return true;
  }

  std::string TimeName(size_t side) const {
    const int first = side == 0 ? 0 : left_columns_;
    const int column = first + times_[side].front().column;
    for (const RelationScope& relation : columns_->relations) {
      if (column < relation.first || column >= relation.first + relation.count) continue;
      return relation.qualifier + "." + relation.names[size_t(column - relation.first)];
    }
    return columns_->schema.fields[size_t(column)].name;
  }

  bool CheckBounds() {
    const std::string left = TimeName(0);
    const std::string right = TimeName(1);
    if (!lower_.has_value() && !upper_.has_value()) {
      sql_.Error(join_.offset, "a join of streams needs to know how far apart their rows may be",
                 sides_[0]->windowed && sides_[1]->windowed
                     ? "add ON " + left + " = " + right
                     : "add ON " + right + " BETWEEN " + left + " - INTERVAL '1 minute' AND " +
                           left + ", or such a bound");
      return false;
    }
    if (!lower_.has_value() || !upper_.has_value()) {
      const bool lower = !lower_.has_value();
      sql_.Error(join_.offset,
                 "rows would be kept for ever: ON does not say how much " +
                     std::string(lower ? "earlier" : "later") + " " + right + " may be than " +
                     left,
                 "add " + right + (lower ? " >= " : " <= ") + left + (lower ? " - " : " + ") +
                     "INTERVAL '1 minute', or such a bound");
      return false;
    }
    if (*lower_ > *upper_) {
      sql_.Error(join_.offset, "no rows are so far apart: the bounds on time exclude each other");
      return false;
    }
    if (join_.type == JoinType::kFull && (*lower_ != Micros(0) || *upper_ != Micros(0))) {
      sql_.Error(join_.offset, "FULL JOIN of streams needs equal times",
                 "join windows by window_end, or write LEFT JOIN");
      return false;
    }
    return true;
  }

  const SqlText& sql_;
  const TableRef& join_;
  const BoundStream* sides_[2];
  const std::vector<TimeColumn> times_[2];
  const int left_columns_;
  JoinColumns* columns_;
  BoundJoin bound_;
  std::optional<Micros> lower_;
  std::optional<Micros> upper_;
};

}  // namespace

std::optional<Expr> Both(std::optional<Expr> first, std::optional<Expr> second) {
  if (!first.has_value()) return second;
  if (!second.has_value()) return first;
  std::vector<Expr> args;
  for (Expr* expr : {&*first, &*second}) {
    if (expr->kind != Expr::Kind::kAnd) {
      args.push_back(std::move(*expr));
    } else {
      for (Expr& arg : expr->args) args.push_back(std::move(arg));
    }
  }
  return MakeExpr(Expr::Kind::kAnd, Type::kBoolean, std::move(args));
}

std::vector<TimeColumn> TimeColumnsOf(const BoundStream& stream) {
  std::vector<TimeColumn> times;
  if (!stream.windowed) {
    if (stream.event_time >= 0) times.push_back({stream.event_time, Micros(0)});
    return times;
  }
  // A row of a window stands for its last moment.
  if (stream.window_end >= 0) times.push_back({stream.window_end, Micros(-1)});
  if (stream.window_end >= 0 && stream.window_start >= 0) {
    times.push_back({stream.window_start, stream.window_size - Micros(1)});
  }
  return times;
}

JoinColumns ColumnsOf(const TableRef& table, const BoundStream& stream) {
  if (!stream.relations.empty()) return {stream.schema, stream.relations, stream.star};
  const int count = int(stream.schema.fields.size());
  JoinColumns columns{stream.schema, {{table.qualifier, 0, count, false, {}, {}}}, {}};
  columns.star.resize(size_t(count));
  std::iota(columns.star.begin(), columns.star.end(), 0);
  return columns;
}

JoinColumns ColumnsOfJoin(const TableRef& join, const JoinColumns& left, const JoinColumns& right) {
  JoinColumns columns = left;
  const int left_columns = int(left.schema.fields.size());
  for (const int column : right.star) columns.star.push_back(column + left_columns);
  for (const RelationScope& relation : right.relations) {
    columns.relations.push_back(relation);
    columns.relations.back().first += left_columns;
  }
  for (RelationScope& relation : columns.relations) {
    if (!relation.names.empty()) continue;
    const bool is_right = relation.first >= left_columns;
    const Schema& of = is_right ? right.schema : left.schema;
    for (int i = 0; i < relation.count; ++i) {
      const int column = relation.first + i - (is_right ? left_columns : 0);
      relation.names.push_back(of.fields[size_t(column)].name);
    }
  }
  std::set<std::string> names;
  for (const Field& field : left.schema.fields) names.insert(field.name);
  for (const Field& field : right.schema.fields) {
    Field added = field;
    if (names.contains(added.name)) added.name = join.inputs[1].qualifier + "." + field.name;
    const std::string wanted = added.name;
    for (int n = 2; !names.insert(added.name).second; ++n) {
      added.name = wanted + "#" + std::to_string(n);
    }
    columns.schema.fields.push_back(std::move(added));
  }
  return columns;
}

std::optional<BoundJoin> BindJoin(const SqlText& sql, const TableRef& join, const BoundStream& left,
                                  const BoundStream& right, JoinColumns* columns) {
  return JoinBinder(sql, join, left, right, columns).Bind();
}

std::optional<BoundLookup> BindLookupJoin(const SqlText& sql, const TableRef& join,
                                          const BoundStream& left, const LookupSpec& lookup,
                                          JoinColumns* columns, std::optional<Expr>* rest) {
  const std::string& qualifier = join.inputs[1].qualifier;
  if (join.type == JoinType::kRight || join.type == JoinType::kFull) {
    sql.Error(join.offset, "a lookup is joined by JOIN or LEFT JOIN",
              "rows come of the stream: there are none without one");
    return std::nullopt;
  }
  const int left_columns = int(left.schema.fields.size());
  const std::optional<std::vector<Term>> terms = OnBinder(sql, join, left_columns, columns).Bind();
  if (!terms.has_value()) return std::nullopt;
  BoundLookup bound;
  bound.keeps_unmatched = join.type == JoinType::kLeft;
  std::vector<std::optional<Expr>> keys(lookup.key.size());
  const auto key_of = [&](const Expr& expr) {
    for (size_t i = 0; expr.kind == Expr::Kind::kColumn && i < keys.size(); ++i) {
      const std::string& name = lookup.key[i].text;
      const size_t column = size_t(expr.column);
      if (expr.column < left_columns) continue;
      if (lookup.columns[column - size_t(left_columns)].field.name == name) return int(i);
    }
    return -1;
  };
  const auto names_table = [&](const Expr& expr) { return SidesOf(expr, left_columns).right; };
  for (const Term& term : *terms) {
    if (FunctionOf(term.expr) == "=") {
      bool is_key = false;
      for (const size_t side : {size_t(0), size_t(1)}) {
        const Expr& column = term.expr.args[side];
        const Expr& value = term.expr.args[1 - side];
        const bool is_cast = column.kind == Expr::Kind::kCast && key_of(column.args[0]) >= 0;
        if (is_cast && !names_table(value)) {
          sql.Error(term.offset,
                    "the key '" + lookup.key[size_t(key_of(column.args[0]))].text +
                        "' of lookup '" + lookup.name + "' is " +
                        std::string(TypeName(column.args[0].type)) + ", and is compared with " +
                        std::string(TypeName(value.type)),
                    "declare it as " + std::string(TypeName(value.type)) +
                        " in the lookup, or cast the other side");
          return std::nullopt;
        }
        const int key = key_of(column);
        if (key < 0 || names_table(value) || keys[size_t(key)].has_value()) continue;
        keys[size_t(key)] = value;
        is_key = true;
        break;
      }
      if (is_key) continue;
    }
    if (bound.keeps_unmatched) {
      sql.Error(term.offset, "ON of a LEFT JOIN with a lookup has its key alone",
                "filter in WHERE");
      return std::nullopt;
    }
    *rest = Both(std::move(*rest), term.expr);
  }
  std::string missing;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].has_value()) missing += (missing.empty() ? "" : ", ") + lookup.key[i].text;
  }
  if (!missing.empty()) {
    sql.Error(join.offset,
              "lookup '" + lookup.name + "' is joined by its key, and ON lacks " + missing,
              "add " + qualifier + "." + missing.substr(0, missing.find(',')) + " = ...");
    return std::nullopt;
  }
  for (std::optional<Expr>& key : keys) bound.keys.push_back(std::move(*key));
  if (lookup.valid_from.has_value() && TimeColumnsOf(left).empty()) {
    sql.Error(join.offset,
              "rows of lookup '" + lookup.name + "' are valid for a time, and '" + left.spec->name +
                  "' has no event time",
              left.windowed ? "select window_end there"
                            : "select the column that is its event time there");
    return std::nullopt;
  }
  return bound;
}

}  // namespace millrace
