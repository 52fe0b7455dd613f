#include "engine/plan/query_binder.h"

#include <set>
#include <utility>

#include "engine/plan/aggregate_collector.h"
#include "engine/plan/expression_binder.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/over_collector.h"
#include "engine/plan/unnest.h"

namespace millrace {
namespace {

constexpr size_t kColumnsMax = 1000;

// PostgreSQL's name for a column without AS (FigureColname in parse_target.c), "" where it has
// none. The strength says how good the name is: 2 of its own, 1 of a cast or CASE, 0 none.
int ImpliedName(const Syntax* node, std::string* name) {
  if (node == nullptr) return 0;
  if (node->tag == "ColumnRef" || node->tag == "FuncCall") {
    const std::vector<Syntax>& names = node->List(node->tag == "ColumnRef" ? "fields" : "funcname");
    *name = names.empty() ? "" : StringOf(names.back());
    return 2;
  }
  if (node->tag == "TypeCast") {
    const int strength = ImpliedName(node->Find("arg"), name);
    const Syntax* type = node->Find("typeName");
    if (strength > 1 || type == nullptr || type->List("names").empty()) return strength;
    *name = StringOf(type->List("names").back());
    return 1;
  }
  if (node->tag == "CaseExpr") {
    if (ImpliedName(node->Find("defresult"), name) > 1) return 2;
    *name = "case";
    return 1;
  }
  if (node->tag == "CoalesceExpr") {
    *name = "coalesce";
  } else if (node->tag == "MinMaxExpr") {
    *name = node->Text("op") == "IS_GREATEST" ? "greatest" : "least";
  } else if (node->tag == "A_Expr" && node->Text("kind") == "AEXPR_NULLIF") {
    *name = "nullif";
  } else {
    return 0;
  }
  return 2;
}

std::string ImpliedName(const Syntax& node) {
  std::string name;
  ImpliedName(&node, &name);
  return name;
}

class QueryBinder {
 public:
  // `input`: what the query reads: the columns of what is in FROM, those of unnest() last.
  QueryBinder(const SqlText& sql, const Syntax& select, const FromClause& from, const Schema& input)
      : sql_(sql),
        select_(select),
        from_(from),
        input_(input),
        base_(int(input.fields.size())),
        row_scope_(RowScope()),
        collector_(sql, row_scope_, &query_.aggregates),
        over_(sql, select, from, row_scope_, &query_.over) {}

  std::optional<BoundQuery> Bind() {
    good_ = RefuseOtherFields(
        sql_, select_,
        {"targetList", "fromClause", "whereClause", "groupClause", "havingClause", "sortClause",
         "limitCount", "limitOption", "op", "withClause", from_.windowed ? "op" : "windowClause"});
    BindWhere();
    if (!from_.windowed) good_ = over_.ReadWindows() && good_;
    if (from_.windowed) {
      BindGroupBy();
    } else if (const Syntax* clause = GroupingClause()) {
      Fail(*clause, "grouping needs a window", "add FROM tumble(...) or hop(...)");
    }
    BindSelectList();
    if (from_.windowed) BindHaving();
    BindTop();
    if (!good_) return std::nullopt;
    return std::move(query_);
  }

 private:
  void Fail(const Syntax& node, const std::string& message, const std::string& hint = "") {
    sql_.Error(node, message, hint);
    good_ = false;
  }

  BindScope RowScope() {
    BindScope scope;
    scope.columns = &input_;
    scope.relations = from_.relations;
    if (from_.unnest.has_value()) {
      const int columns = from_.unnest->ordinality.empty() ? 1 : 2;
      scope.relations.push_back({from_.unnest->qualifier, base_ - columns, columns, columns == 1});
    }
    scope.copies_left = &copies_left_;
    scope.no_over = "window functions cannot be nested";
    scope.no_over_hint = "compute the inner one in a stream of its own";
    if (from_.windowed) {
      scope.no_window_columns =
          "the window's start and end are known only after grouping; use them in SELECT or HAVING";
    }
    return scope;
  }

  BindScope GroupScope() {
    BindScope scope = row_scope_;
    scope.window_columns = from_.windowed;
    scope.no_window_columns = "";
    if (from_.windowed) {
      scope.aggregates = &collector_;
      scope.no_over = "OVER does not go with a window in FROM";
      scope.no_over_hint = "write it in a query over this stream";
    } else {
      if (from_.unnest.has_value()) {
        scope.no_over = "OVER does not go with an array that is unfolded in FROM";
        scope.no_over_hint = "write it in a query over this stream";
      } else {
        scope.over = &over_;
      }
      scope.no_aggregates = "an aggregate needs a window";
      scope.no_aggregates_hint = "add FROM tumble(...) or hop(...)";
    }
    return scope;
  }

  const Syntax* GroupingClause() const {
    const Syntax* group = select_.Find("groupClause");
    return group != nullptr ? group : select_.Find("havingClause");
  }

  void BindWhere() {
    const Syntax* node = select_.Find("whereClause");
    if (node == nullptr) return;
    BindScope scope = row_scope_;
    scope.no_aggregates = "aggregate functions are not allowed in WHERE";
    scope.no_aggregates_hint = "use HAVING";
    scope.no_over = "window functions are not allowed in WHERE";
    scope.no_over_hint = "filter in a query over this stream";
    query_.where = ExpressionBinder(sql_, scope).BindCondition(*node, "WHERE");
    good_ = good_ && query_.where.has_value();
  }

  void BindGroupBy() {
    const std::vector<Syntax>& items = select_.List("groupClause");
    const bool good_before = good_;
    good_ = true;
    for (const Syntax& item : items) BindGroupItem(item);
    grouping_known_ = good_;
    good_ = good_ && good_before;
    if (query_.groups_by_start || query_.groups_by_end || !grouping_known_) return;
    Fail(items.empty() ? select_ : items[0], "a query over a window must group by it",
         items.empty() ? "add GROUP BY window_start, window_end"
                       : "add window_start, window_end to GROUP BY");
  }

  // What a GROUP BY item stands for: itself, or the select item that it names or counts.
  const Syntax* GroupedSyntax(const Syntax& item, std::string* name) {
    const std::vector<Syntax>& targets = select_.List("targetList");
    if (item.tag == "A_Const") {
      const Syntax* ordinal = item.Find("ival");
      if (ordinal == nullptr) {
        Fail(item, "a constant in GROUP BY must be the position of a select item");
        return nullptr;
      }
      const int64_t position = ordinal->Integer("ival");
      if (position < 1 || position > int64_t(targets.size())) {
        Fail(item, "GROUP BY position " + std::to_string(position) + " is not in the select list");
        return nullptr;
      }
      const Syntax& target = targets[size_t(position - 1)];
      *name = target.Text("name");
      return target.Find("val");
    }
    const std::vector<Syntax>& fields = item.List("fields");
    if (item.tag != "ColumnRef" || fields.size() != 1) return &item;
    const std::string column = StringOf(fields[0]);
    if (input_.IndexOf(column) >= 0 || column == "window_start" || column == "window_end") {
      return &item;
    }
    for (const Syntax& target : targets) {
      if (target.Text("name") != column || column.empty()) continue;
      *name = column;
      return target.Find("val");
    }
    return &item;
  }

  void BindGroupItem(const Syntax& item) {
    if (item.tag == "GroupingSet") {
      Fail(item, "ROLLUP, CUBE and GROUPING SETS are not supported");
      return;
    }
    std::string name;
    const Syntax* syntax = GroupedSyntax(item, &name);
    if (syntax == nullptr) return;
    BindScope scope = row_scope_;
    scope.window_columns = true;
    scope.no_aggregates = "aggregate functions are not allowed in GROUP BY";
    scope.no_over = "window functions are not allowed in GROUP BY";
    scope.no_over_hint = "";
    std::optional<Expr> key = ExpressionBinder(sql_, scope).BindValue(*syntax);
    if (!key.has_value()) {
      good_ = false;
      return;
    }
    if (key->kind == Expr::Kind::kColumn && key->column >= base_) {
      (key->column == base_ ? query_.groups_by_start : query_.groups_by_end) = true;
      return;
    }
    if (NamesWindow(*key)) {
      Fail(item, "GROUP BY an expression over the window's columns is not supported",
           "group by window_start and window_end; the expression may stand in SELECT");
      return;
    }
    if (key->type == Type::kJson) {
      Fail(item, "could not identify an equality operator for type json",
           "group by a part of it as text: x->>'key'");
      return;
    }
    for (const BoundKey& other : query_.keys) {
      if (other.expr == *key) return;
    }
    if (name.empty()) name = ImpliedName(*syntax);
    if (name.empty()) name = FormatExpr(*key, input_);
    query_.keys.push_back({std::move(*key), std::move(name)});
  }

  bool NamesWindow(const Expr& expr) const {
    if (expr.kind == Expr::Kind::kColumn && expr.column >= base_) return true;
    return std::ranges::any_of(expr.args, [&](const Expr& arg) { return NamesWindow(arg); });
  }

  void BindSelectList() {
    const std::vector<Syntax>& targets = select_.List("targetList");
    if (targets.empty()) Fail(select_, "the select list is empty");
    for (const Syntax& target : targets) BindTarget(target);
  }

  void BindTarget(const Syntax& target) {
    const Syntax* value = target.Find("val");
    if (!RefuseOtherFields(sql_, target, {"name", "val"}) || value == nullptr) {
      good_ = false;
      return;
    }
    if (value->tag == "ColumnRef" && !value->List("fields").empty() &&
        value->List("fields").back().tag == "A_Star") {
      if (target.Find("name") != nullptr) {
        Fail(target, "* cannot have a name");
        return;
      }
      BindStar(*value);
      return;
    }
    if (IsStats(*value)) {
      BindStats(target, *value);
      return;
    }
    std::optional<Expr> expr = BindGrouped(*value, "");
    if (!expr.has_value()) return;
    std::string name = target.Text("name");
    if (name.empty()) name = ImpliedName(*value);
    if (name.empty() && from_.names_columns) {
      Fail(*value, "this column has no name", "add AS and a name");
      return;
    }
    AddColumn(target, std::move(name), std::move(*expr));
  }

  // `stats(x)` as a select item of its own stands for several aggregates of x.
  static bool IsStats(const Syntax& value) {
    const std::vector<Syntax>& names = value.List("funcname");
    return value.tag == "FuncCall" && names.size() == 1 && StringOf(names[0]) == "stats";
  }

  void BindStats(const Syntax& target, const Syntax& call) {
    if (!from_.windowed) {
      Fail(call, "an aggregate needs a window", "add FROM tumble(...) or hop(...)");
      return;
    }
    std::string prefix = target.Text("name");
    if (prefix.empty() && call.List("args").size() == 1) prefix = ImpliedName(call.List("args")[0]);
    if (prefix.empty()) {
      Fail(call, "the columns of stats() have no name", "add AS and what their names begin with");
      return;
    }
    static constexpr std::pair<const char*, const char*> kColumns[] = {{"count", "_count"},
                                                                       {"avg", "_mean"},
                                                                       {"min", "_min"},
                                                                       {"max", "_max"},
                                                                       {"stddev_samp", "_stddev"}};
    for (const auto& [aggregate, suffix] : kColumns) {
      std::optional<Bound> bound = collector_.BindAggregate(call, aggregate);
      if (!bound.has_value()) {
        good_ = false;
        return;
      }
      Expr expr = std::move(bound->expr);
      expr.column += int(query_.keys.size()) - base_;
      AddColumn(target, prefix + suffix, std::move(expr));
    }
  }

  void BindStar(const Syntax& star) {
    if (from_.windowed) {
      Fail(star, "* is not supported with GROUP BY", "name the columns");
      return;
    }
    const std::vector<Syntax>& fields = star.List("fields");
    const std::string qualifier = fields.size() < 2 ? "" : StringOf(fields[0]);
    std::vector<std::string> known;
    known.reserve(row_scope_.relations.size());
    for (const RelationScope& relation : row_scope_.relations) known.push_back(relation.qualifier);
    if (fields.size() > 2 ||
        (fields.size() == 2 && std::ranges::find(known, qualifier) == known.end())) {
      Fail(star, "'" + qualifier + "' is not in FROM", SuggestName(qualifier, known));
      return;
    }
    std::vector<int> columns = from_.star;
    if (fields.size() == 2) {
      columns.clear();
      AddAll(row_scope_.relations[size_t(std::ranges::find(known, qualifier) - known.begin())],
             &columns);
    } else if (from_.unnest.has_value()) {
      AddAll(row_scope_.relations.back(), &columns);
    }
    for (const int column : columns) AddInputColumn(star, column);
  }

  static void AddAll(const RelationScope& relation, std::vector<int>* columns) {
    for (int i = 0; i < relation.count; ++i) columns->push_back(relation.first + i);
  }

  // Under the name that the relation it is of gives it.
  void AddInputColumn(const Syntax& node, int column) {
    const Field& field = input_.fields[size_t(column)];
    std::string name = field.name;
    for (const RelationScope& relation : row_scope_.relations) {
      const int place = column - relation.first;
      if (place < 0 || place >= relation.count || relation.names.empty()) continue;
      name = relation.names[size_t(place)];
    }
    AddColumn(node, std::move(name), ColumnExpr(column, field.type));
  }

  void AddColumn(const Syntax& node, std::string name, Expr expr) {
    if (query_.columns.size() >= kColumnsMax) {
      Fail(node, "a stream has at most " + std::to_string(kColumnsMax) + " columns");
      return;
    }
    if (!from_.names_columns) {
      const std::string wanted = name;
      for (int n = 1; name.empty() || !names_.insert(name).second; ++n) {
        name = wanted + "#" + std::to_string(n);
      }
    } else if (!names_.insert(name).second) {
      Fail(node, "column '" + name + "' is selected twice", "give one another name with AS");
      return;
    }
    query_.columns.push_back({std::move(name), std::move(expr)});
  }

  void BindHaving() {
    const Syntax* node = select_.Find("havingClause");
    if (node == nullptr) return;
    query_.having = BindGrouped(*node, "HAVING");
  }

  // The first rows of each window. A stream as a whole has no order and no end.
  void BindTop() {
    const std::vector<Syntax>& order = select_.List("sortClause");
    const Syntax* limit = select_.Find("limitCount");
    if (order.empty() && limit == nullptr) return;
    const Syntax& clause = order.empty() ? *limit : order[0];
    if (!from_.windowed) {
      Fail(clause, "ORDER BY and LIMIT need a window: a stream has no end",
           "add FROM tumble(...) or hop(...): they give the first rows of each window");
      return;
    }
    if (from_.gap > Micros(0)) {
      Fail(clause, "ORDER BY and LIMIT do not go with session: each session is a row of its own");
      return;
    }
    if (order.empty()) {
      Fail(*limit, "LIMIT needs ORDER BY", "say which rows of a window are the first");
      return;
    }
    if (limit == nullptr) {
      Fail(clause, "ORDER BY needs LIMIT",
           "rows of a window come in any order; ORDER BY ... LIMIT n gives its first n");
      return;
    }
    BoundTop top;
    if (!BindLimit(*limit, &top)) return;
    for (const Syntax& item : order) BindSortItem(item, &top);
    query_.top = std::move(top);
  }

  bool BindLimit(const Syntax& limit, BoundTop* top) {
    if (select_.Text("limitOption") == "LIMIT_OPTION_WITH_TIES") {
      Fail(limit, "WITH TIES is not supported");
      return false;
    }
    const Syntax* number = limit.tag == "A_Const" ? limit.Find("ival") : nullptr;
    top->limit = number == nullptr ? 0 : number->Integer("ival");
    if (top->limit >= 1 && top->limit <= kLimitMax) return true;
    Fail(limit, "LIMIT is a whole number from 1 to " + std::to_string(kLimitMax));
    return false;
  }

  // What an ORDER BY item stands for. As in PostgreSQL a name is first that of a select item.
  const Syntax* SortedSyntax(const Syntax& item) {
    const std::vector<Syntax>& targets = select_.List("targetList");
    if (item.tag == "A_Const") {
      const Syntax* ordinal = item.Find("ival");
      const int64_t position = ordinal == nullptr ? 0 : ordinal->Integer("ival");
      if (position >= 1 && position <= int64_t(targets.size())) {
        return targets[size_t(position - 1)].Find("val");
      }
      Fail(item, ordinal == nullptr ? "a constant in ORDER BY must be the position of a select item"
                                    : "ORDER BY position " + std::to_string(position) +
                                          " is not in the select list");
      return nullptr;
    }
    const std::vector<Syntax>& fields = item.List("fields");
    if (item.tag != "ColumnRef" || fields.size() != 1) return &item;
    const std::string column = StringOf(fields[0]);
    for (const Syntax& target : targets) {
      const Syntax* value = target.Find("val");
      const std::string name = target.Find("name") != nullptr || value == nullptr
                                   ? target.Text("name")
                                   : ImpliedName(*value);
      if (name == column && !column.empty()) return value;
    }
    return &item;
  }

  void BindSortItem(const Syntax& item, BoundTop* top) {
    const Syntax* node = item.Find("node");
    if (!RefuseOtherFields(sql_, item, {"node", "sortby_dir", "sortby_nulls"}) || node == nullptr) {
      good_ = false;
      return;
    }
    const std::string direction = item.Text("sortby_dir");
    if (direction == "SORTBY_USING") {
      Fail(item, "ORDER BY ... USING is not supported", "write ASC or DESC");
      return;
    }
    BoundSortKey key;
    key.descending = direction == "SORTBY_DESC";
    const std::string nulls = item.Text("sortby_nulls");
    key.nulls_first =
        nulls == "SORTBY_NULLS_FIRST" || (nulls != "SORTBY_NULLS_LAST" && key.descending);
    const Syntax* syntax = SortedSyntax(*node);
    if (syntax == nullptr) {
      good_ = false;
      return;
    }
    std::optional<Expr> expr = BindGrouped(*syntax, "");
    if (!expr.has_value()) return;
    if (expr->type == Type::kJson) {
      Fail(*node, "could not identify an ordering operator for type json",
           "take it as text: x::text");
      return;
    }
    key.expr = std::move(*expr);
    top->order.push_back(std::move(key));
  }

  // An expression of the select list or (with a clause's name) a condition: over the input for a
  // plain query, over the window's output for a windowed one.
  std::optional<Expr> BindGrouped(const Syntax& node, const std::string& clause) {
    const BindScope scope = GroupScope();
    ExpressionBinder binder(sql_, scope);
    std::optional<Expr> expr =
        clause.empty() ? binder.BindValue(node) : binder.BindCondition(node, clause);
    if (!expr.has_value()) {
      good_ = false;
      return std::nullopt;
    }
    if (from_.windowed && !Lower(node, binder, &*expr)) return std::nullopt;
    return expr;
  }

  // From the input with pseudo-columns to the window's output. As in PostgreSQL, what equals a
  // grouping expression is that key; any other column of the input has no one value a group.
  bool Lower(const Syntax& node, const ExpressionBinder& binder, Expr* expr) {
    const int key_count = int(query_.keys.size());
    for (int i = 0; i < key_count; ++i) {
      if (query_.keys[size_t(i)].expr != *expr) continue;
      *expr = ColumnExpr(2 + i, expr->type);
      return true;
    }
    if (expr->kind != Expr::Kind::kColumn) {
      return std::ranges::all_of(expr->args, [&](Expr& arg) { return Lower(node, binder, &arg); });
    }
    if (expr->column >= base_ + 2) {
      expr->column += key_count - base_;
      return true;
    }
    if (expr->column >= base_) {
      expr->column -= base_;
      return true;
    }
    ReportUngrouped(node, binder, expr->column);
    return false;
  }

  void ReportUngrouped(const Syntax& node, const ExpressionBinder& binder, int column) {
    good_ = false;
    if (!grouping_known_) return;
    int64_t offset = node.offset;
    for (const ExpressionBinder::Reference& reference : binder.references()) {
      if (reference.column != column) continue;
      offset = reference.offset;
      break;
    }
    sql_.Error(offset, "column '" + input_.fields[size_t(column)].name +
                           "' must appear in the GROUP BY clause or be used in an aggregate "
                           "function");
  }

  const SqlText& sql_;
  const Syntax& select_;
  const FromClause& from_;
  const Schema& input_;
  const int base_;
  int64_t copies_left_ = kCopiedNodesMax;
  BoundQuery query_;
  const BindScope row_scope_;
  AggregateCollector collector_;
  OverCollector over_;
  std::set<std::string> names_;
  bool grouping_known_ = true;  // no mistake in GROUP BY
  bool good_ = true;
};

}  // namespace

std::optional<BoundQuery> BindQuery(const SqlText& sql, const Syntax& select,
                                    const FromClause& from, const Schema& input) {
  if (!from.unnest.has_value()) return QueryBinder(sql, select, from, input).Bind();
  Unnest unnest;
  unnest.element.name = from.unnest->element;
  unnest.element.type = from.unnest->as_text ? Type::kText : Type::kJson;
  unnest.ordinality = from.unnest->ordinality;
  unnest.keeps_empty = from.unnest->keeps_empty;
  std::optional<Expr> array = BindUnnestArray(sql, from, input);
  const int columns = int(input.fields.size());
  std::optional<BoundQuery> query =
      QueryBinder(sql, select, from, UnnestedSchema(unnest, input)).Bind();
  if (!array.has_value() || !query.has_value()) return std::nullopt;
  unnest.array = std::move(*array);
  MoveFilterBeforeUnnest(columns, &query->where, &unnest);
  query->unnest = std::move(unnest);
  return query;
}

}  // namespace millrace
