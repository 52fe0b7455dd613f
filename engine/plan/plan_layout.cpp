// From bound streams to nodes. A windowed query becomes three: NAME.input computes a row's event
// time, keys and arguments where the reading is still at hand; NAME.window groups; NAME.output
// computes the select list. So does one with OVER, whose node is NAME.over. What a source must read
// is settled last, from what its children use.
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>
#include <utility>

#include "engine/plan/bound_job.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/type_syntax.h"

namespace millrace {
namespace {

Expr ColumnOf(const Schema& schema, int column) {
  return ColumnExpr(column, schema.fields[size_t(column)].type);
}

// Columns of a node under construction: each expression once, under a name of its own.
class ColumnList {
 public:
  int Add(const Expr& expr, const std::string& name, const Field* like) {
    const auto same = std::ranges::find(columns, expr);
    if (same != columns.end()) return int(same - columns.begin());
    Field field;
    if (like != nullptr) field = *like;
    field.name = UniqueName(name);
    field.type = expr.type;
    columns.push_back(expr);
    schema.fields.push_back(std::move(field));
    return int(columns.size()) - 1;
  }

  // Though it is there already.
  void AddAlways(const Expr& expr, Field field) {
    field.name = UniqueName(field.name);
    columns.push_back(expr);
    schema.fields.push_back(std::move(field));
  }

  std::string UniqueName(const std::string& name) {
    std::string unique = name;
    for (int n = 2; !names_.insert(unique).second; ++n) unique = name + "#" + std::to_string(n);
    return unique;
  }

  std::vector<Expr> columns;
  Schema schema;

 private:
  std::set<std::string> names_;
};

using ColumnVisitor = std::function<void(int*)>;

void VisitColumns(Expr* expr, const ColumnVisitor& visit) {
  if (expr->kind == Expr::Kind::kColumn) visit(&expr->column);
  for (Expr& arg : expr->args) VisitColumns(&arg, visit);
}

// Every reference of a node to a column of its input, and to those that unfolding adds; but of
// unions and lookups, which pass columns on as they are.
void VisitInputColumns(PlanNode* node, const ColumnVisitor& visit) {
  if (auto* project = std::get_if<ProjectNode>(&node->kind)) {
    if (project->unnest.has_value()) {
      if (project->unnest->filter.has_value()) VisitColumns(&*project->unnest->filter, visit);
      VisitColumns(&project->unnest->array, visit);
    }
    if (project->filter.has_value()) VisitColumns(&*project->filter, visit);
    for (Expr& column : project->columns) VisitColumns(&column, visit);
  } else if (auto* lookup = std::get_if<LookupNode>(&node->kind)) {
    for (Expr& key : lookup->keys) VisitColumns(&key, visit);
    if (lookup->time.has_value()) VisitColumns(&*lookup->time, visit);
  } else if (auto* join = std::get_if<JoinNode>(&node->kind)) {
    visit(&join->is_right);
    visit(&join->event_time);
    for (auto* columns : {&join->keys, &join->left, &join->right}) {
      for (int& column : *columns) visit(&column);
    }
  } else if (auto* alert = std::get_if<AlertNode>(&node->kind)) {
    for (AlertRule& rule : alert->rules) {
      VisitColumns(&rule.condition, visit);
      for (auto* texts : {&rule.labels, &rule.annotations}) {
        for (auto& [name, text] : *texts) {
          for (int& column : text.columns) visit(&column);
        }
      }
    }
    for (int& column : alert->keys) visit(&column);
    if (alert->time_column >= 0) visit(&alert->time_column);
  } else if (auto* sink = std::get_if<SinkNode>(&node->kind)) {
    for (int& column : sink->keys) visit(&column);
    if (sink->time_column >= 0) visit(&sink->time_column);
  }
}

class Layout {
 public:
  Layout(const JobSpec& job, const BoundJob& bound)
      : job_(job),
        bound_(bound),
        node_of_stream_(bound.streams.size()),
        window_of_stream_(bound.streams.size()) {}

  JobPlan Build() {
    plan_.job = job_.name;
    for (const int index : bound_.order) {
      const BoundStream& stream = bound_.streams[size_t(index)];
      if (!stream.used) continue;
      AddStream(index, stream);
    }
    LinkPanes();
    for (const BoundAlerts& alerts : bound_.alerts) AddAlerts(alerts);
    for (const BoundSink& sink : bound_.sinks) AddSinks(sink);
    for (size_t i = plan_.nodes.size(); i > 0; --i) Prune(&plan_.nodes[i - 1]);
    return std::move(plan_);
  }

 private:
  void AddStream(int index, const BoundStream& stream) {
    switch (stream.kind) {
      case BoundStream::Kind::kSource:
        AddSource(index, stream);
        return;
      case BoundStream::Kind::kNeighbours:
      case BoundStream::Kind::kResample:
      case BoundStream::Kind::kQuery:
        if (stream.from.windowed) {
          AddWindowed(index, stream);
        } else if (!stream.query.over.calls.empty()) {
          AddOver(index, stream);
        } else {
          AddPlain(index, stream);
        }
        return;
      case BoundStream::Kind::kUnion:
        AddUnion(index, stream);
        return;
      case BoundStream::Kind::kJoin:
        AddJoin(index, stream);
        return;
      case BoundStream::Kind::kLookup:
        AddLookup(index, stream);
        return;
      case BoundStream::Kind::kPivot:
      case BoundStream::Kind::kWindowRows:
        AddDerived(index, stream);
        return;
    }
  }

  PlanNode* AddNode(std::string name, const std::string& stream, NodeId input) {
    PlanNode node;
    node.id = NodeId(int32_t(plan_.nodes.size()));
    node.name = std::move(name);
    node.stream = stream;
    if (input.value() >= 0) node.inputs.push_back(input);
    plan_.nodes.push_back(std::move(node));
    return &plan_.nodes.back();
  }

  void AddSource(int index, const BoundStream& stream) {
    PlanNode* node = AddNode(stream.spec->name, stream.spec->name, NodeId(-1));
    SourceNode source;
    source.spec = std::get<SourceStreamSpec>(stream.spec->kind);
    source.used_columns.resize(source.spec.columns.size());
    std::iota(source.used_columns.begin(), source.used_columns.end(), 0);
    node->kind = std::move(source);
    Finish(index, stream, node);
  }

  void AddPlain(int index, const BoundStream& stream) {
    PlanNode* node = AddNode(stream.spec->name, stream.spec->name, NodeOfInput(stream));
    node->kind = ProjectNode{stream.query.where, SelectList(stream), stream.query.unnest};
    Finish(index, stream, node);
  }

  // pivot(), rows with their windows.
  void AddDerived(int index, const BoundStream& stream) {
    PlanNode* node = AddNode(stream.spec->name, stream.spec->name, NodeOfInput(stream));
    node->kind = ProjectNode{InputOf(stream).rest, stream.exprs};
    Finish(index, stream, node);
  }

  void AddLookup(int index, const BoundStream& stream) {
    const BoundStream& input = InputOf(stream);
    const std::string& name = stream.spec->name;
    PlanNode* node = AddNode(name + ".input", name, NodeOfInput(stream));
    ProjectNode rows{input.rest, {}};
    for (size_t i = 0; i < input.schema.fields.size(); ++i) {
      rows.columns.push_back(ColumnOf(input.schema, int(i)));
    }
    node->kind = std::move(rows);
    node->output = input.schema;
    node->event_time = input.event_time;
    node->window_end = input.window_end;

    node = AddNode(name, name, node->id);
    const LookupSpec& spec = job_.lookups[size_t(stream.lookup.lookup)];
    LookupNode lookup;
    lookup.lookup = spec.name;
    lookup.keys = stream.lookup.keys;
    lookup.keeps_unmatched = stream.lookup.keeps_unmatched;
    lookup.columns.resize(spec.columns.size());
    std::iota(lookup.columns.begin(), lookup.columns.end(), 0);
    if (spec.valid_from.has_value()) lookup.time = TimeOf(input);
    node->kind = std::move(lookup);
    Finish(index, stream, node);
  }

  void AddUnion(int index, const BoundStream& stream) {
    std::vector<NodeId> inputs;
    for (size_t i = 0; i < stream.inputs.size(); ++i) {
      const BoundStream& branch = bound_.streams[size_t(stream.inputs[i])];
      inputs.push_back(AddCast(branch, node_of_stream_[size_t(stream.inputs[i])], stream.schema));
    }
    PlanNode* node = AddNode(stream.spec->name, stream.spec->name, NodeId(-1));
    node->inputs = std::move(inputs);
    node->kind = UnionNode();
    Finish(index, stream, node);
  }

  // What gives the columns of `branch` with the types of `schema`.
  NodeId AddCast(const BoundStream& branch, NodeId input, const Schema& schema) {
    std::vector<Expr> columns;
    bool same = true;
    for (size_t i = 0; i < schema.fields.size(); ++i) {
      columns.push_back(ColumnOf(branch.schema, int(i)));
      const Type type = schema.fields[i].type;
      if (columns.back().type == type) continue;
      columns.back() = MakeExpr(Expr::Kind::kCast, type, {std::move(columns.back())});
      same = false;
    }
    if (same) return input;
    PlanNode* node = AddNode(branch.spec->name + ".cast", branch.spec->name, input);
    node->kind = ProjectNode{std::nullopt, std::move(columns)};
    node->output = schema;
    node->event_time = branch.event_time;
    node->window_end = branch.window_end;
    return node->id;
  }

  // Both sides as rows of one kind, in the order of event time by key.
  void AddJoin(int index, const BoundStream& stream) {
    const BoundJoin& bound = stream.join;
    const BoundStream& left = bound_.streams[size_t(stream.inputs[0])];
    const BoundStream& right = bound_.streams[size_t(stream.inputs[1])];
    const std::string& name = stream.spec->name;
    const size_t left_columns = left.schema.fields.size();
    const size_t columns = left_columns + right.schema.fields.size();

    JoinNode join;
    join.is_right = 0;
    join.event_time = 1;
    join.lower = bound.lower;
    join.upper = bound.upper;
    join.latest_only = bound.latest_only;
    join.keeps_left = bound.keeps_left;
    join.keeps_right = bound.keeps_right;
    join.time_is_right = bound.time_is_right;
    ColumnList layout;
    layout.AddAlways(LiteralExpr(Literal(false), Type::kBoolean),
                     {"is_right", Type::kBoolean, "", false});
    layout.AddAlways(LiteralExpr(Literal(), Type::kTimestamp),
                     {"event_time", Type::kTimestamp, "", false});
    for (size_t i = 0; i < bound.left_keys.size(); ++i) {
      join.keys.push_back(int(layout.columns.size()));
      layout.AddAlways(bound.left_keys[i], {"key", bound.left_keys[i].type, "", false});
    }
    const size_t first = layout.columns.size();
    for (size_t i = 0; i < columns; ++i) {
      const Field& field = stream.schema.fields[i];
      (i < left_columns ? join.left : join.right).push_back(int(layout.columns.size()));
      layout.AddAlways(LiteralExpr(Literal(), field.type), field);
    }

    std::vector<NodeId> sides;
    for (const bool is_right : {false, true}) {
      const BoundStream& side = is_right ? right : left;
      std::vector<Expr> exprs = layout.columns;
      exprs[0] = LiteralExpr(Literal(is_right), Type::kBoolean);
      exprs[1] = TimeOf(side);
      for (size_t i = 0; i < bound.left_keys.size(); ++i) {
        exprs[2 + i] = is_right ? bound.right_keys[i] : bound.left_keys[i];
      }
      for (size_t i = 0; i < side.schema.fields.size(); ++i) {
        exprs[first + (is_right ? left_columns : 0) + i] = ColumnOf(side.schema, int(i));
      }
      PlanNode* node = AddNode(name + (is_right ? ".right" : ".left"), name,
                               node_of_stream_[size_t(stream.inputs[is_right ? 1 : 0])]);
      node->kind = ProjectNode{is_right ? bound.right_filter : bound.left_filter, std::move(exprs)};
      node->output = layout.schema;
      node->event_time = join.event_time;
      sides.push_back(node->id);
    }
    PlanNode* node = AddNode(name + ".sides", name, NodeId(-1));
    node->inputs = std::move(sides);
    node->kind = UnionNode();
    node->output = layout.schema;
    node->event_time = join.event_time;

    node = AddNode(name + ".join", name, node->id);
    node->kind = std::move(join);
    node->output.fields.assign(stream.schema.fields.begin(),
                               stream.schema.fields.begin() + int64_t(columns));
    node->event_time = size_t(stream.event_time) < columns ? stream.event_time : -1;
    node->window_end = size_t(stream.window_end) < columns ? stream.window_end : -1;
    std::vector<Expr> exprs;
    for (size_t i = 0; i < columns; ++i) exprs.push_back(ColumnOf(stream.schema, int(i)));
    // Of FULL JOIN: the time of the side that is there.
    if (stream.schema.fields.size() > columns) {
      exprs.push_back(MakeExpr(Expr::Kind::kCoalesce, Type::kTimestamp,
                               {ColumnOf(stream.schema, left.time_column()),
                                ColumnOf(stream.schema, int(left_columns) + right.time_column())}));
    }
    node = AddNode(name, name, node->id);
    node->kind = ProjectNode{bound.condition, std::move(exprs)};
    Finish(index, stream, node);
  }

  const BoundStream& InputOf(const BoundStream& stream) const {
    return bound_.streams[size_t(stream.input())];
  }
  NodeId NodeOfInput(const BoundStream& stream) const {
    return node_of_stream_[size_t(stream.input())];
  }

  static std::vector<Expr> SelectList(const BoundStream& stream) {
    std::vector<Expr> columns;
    columns.reserve(stream.query.columns.size());
    for (const BoundColumn& column : stream.query.columns) columns.push_back(column.expr);
    return columns;
  }

  void Finish(int index, const BoundStream& stream, PlanNode* node) {
    node->output = stream.schema;
    node->event_time = stream.event_time;
    node->window_end = stream.window_end;
    node_of_stream_[size_t(index)] = node->id;
    if (stream.is_part) parts_.insert(node->id);
  }

  void AddWindowed(int index, const BoundStream& stream) {
    const BoundStream& input = InputOf(stream);
    WindowAggregateNode window;
    window.size = stream.from.size;
    window.slide = stream.from.slide;
    window.gap = stream.from.gap;
    window.pane = window.is_session() ? Micros(1) : stream.from.pane();
    window.offset = stream.from.window_offset;
    window.cumulates = stream.from.cumulates;
    SetEmission(index, stream, &window);

    ColumnList before;
    ColumnList after;
    for (const char* name : {"window_start", "window_end"}) {
      after.schema.fields.push_back({after.UniqueName(name), Type::kTimestamp, "", false});
    }
    window.event_time = AddEventTime(input, &before);
    for (const BoundKey& key : stream.query.keys) {
      const Field* like = FieldOf(input.schema, key.expr);
      window.keys.push_back(before.Add(key.expr, key.name, like));
      Field field = like != nullptr ? *like : Field();
      field.name = after.UniqueName(key.name);
      field.type = key.expr.type;
      after.schema.fields.push_back(std::move(field));
    }
    for (const BoundAggregate& aggregate : stream.query.aggregates) {
      window.aggregates.push_back(
          AddAggregate(aggregate, window.event_time, input.schema, &before));
      after.schema.fields.push_back(
          {after.UniqueName(aggregate.name), aggregate.result, aggregate.unit, aggregate.is_json});
    }

    std::optional<Expr> where = stream.query.where;
    if (stream.window_clock.has_value()) {
      SetClock(*stream.window_clock, std::exchange(where, std::nullopt), &window, &before);
    }

    PlanNode* node = AddKeyed(stream, where, ".window", std::move(before), std::move(window),
                              std::move(after.schema));
    node->event_time = 1;
    node->window_end = 1;
    window_of_stream_[size_t(index)] = node->id;
    const std::string& name = stream.spec->name;
    node = AddNode(name + ".output", name, node->id);
    node->kind = ProjectNode{stream.query.having, SelectList(stream)};
    if (!stream.query.top.has_value()) {
      Finish(index, stream, node);
    } else {
      AddTop(index, stream, node);
    }
  }

  // Rows that WHERE leaves out still move the clock of their key: they come along, and nothing that
  // may fail is computed for them.
  static void SetClock(const BoundClock& bound, const std::optional<Expr>& where,
                       WindowAggregateNode* window, ColumnList* before) {
    KeyClock clock;
    for (const int key : bound.keys) clock.keys.push_back(window->keys[size_t(key)]);
    clock.max_delay = bound.max_delay;
    clock.offline_for = bound.offline_for;
    if (where.has_value()) {
      for (size_t i = 0; i < before->columns.size(); ++i) {
        if (int(i) != window->event_time) {
          before->columns[i] = Guarded(before->columns[i], where);
        }
      }
      clock.passes = int(before->columns.size());
      const auto is = [](bool value) { return LiteralExpr(Literal(value), Type::kBoolean); };
      before->AddAlways(MakeExpr(Expr::Kind::kCase, Type::kBoolean, {*where, is(true), is(false)}),
                        {"passes", Type::kBoolean, "", false});
    }
    window->clock = std::move(clock);
  }

  // A window or an OVER, below what computes the columns that it reads.
  template <typename Keyed>
  PlanNode* AddKeyed(const BoundStream& stream, const std::optional<Expr>& where, const char* role,
                     ColumnList before, Keyed keyed, Schema output) {
    const std::string& name = stream.spec->name;
    PlanNode* node = AddNode(name + ".input", name, NodeOfInput(stream));
    node->kind = ProjectNode{where, std::move(before.columns)};
    node->output = std::move(before.schema);
    node->event_time = keyed.event_time;
    node = AddNode(name + role, name, node->id);
    node->kind = std::move(keyed);
    node->output = std::move(output);
    return node;
  }

  void AddOver(int index, const BoundStream& stream) {
    const BoundStream& input = InputOf(stream);
    const BoundOver& bound = stream.query.over;
    OverNode over;
    ColumnList before;
    ColumnList after;
    over.event_time = AddEventTime(input, &before);
    const auto add = [&](const Expr& expr) {
      return before.Add(expr, FormatExpr(expr, input.schema), FieldOf(input.schema, expr));
    };
    for (const Expr& key : bound.partition) over.keys.push_back(add(key));
    for (const BoundOverCall& call : bound.calls) {
      over.calls.push_back(MakeCall(call, over.event_time, input.schema, &before));
    }

    // Columns of the input that the select list names, by where they come out.
    std::vector<Expr> selected = SelectList(stream);
    const int base = int(input.schema.fields.size());
    std::vector<int> place(size_t(base), -1);
    const auto carry = [&](int column) {
      if (column < 0 || column >= base || place[size_t(column)] >= 0) return;
      const Field& field = input.schema.fields[size_t(column)];
      place[size_t(column)] = int(over.carried.size());
      over.carried.push_back(before.Add(ColumnOf(input.schema, column), field.name, &field));
      after.schema.fields.push_back(field);
      after.schema.fields.back().name = after.UniqueName(field.name);
    };
    for (Expr& expr : selected) {
      VisitColumns(&expr, [&](int* column) { carry(*column); });
    }
    for (Expr& expr : selected) {
      VisitColumns(&expr, [&](int* column) {
        *column =
            *column < base ? place[size_t(*column)] : int(over.carried.size()) + *column - base;
      });
    }
    for (const BoundOverCall& call : bound.calls) {
      after.schema.fields.push_back(
          {after.UniqueName(call.name), call.result, call.unit, call.is_json});
    }
    const auto placed = [&](int column) { return column < 0 ? -1 : place[size_t(column)]; };

    PlanNode* node = AddKeyed(stream, stream.query.where, ".over", std::move(before),
                              std::move(over), std::move(after.schema));
    node->event_time = placed(input.event_time);
    node->window_end = placed(input.window_end);
    const std::string& name = stream.spec->name;
    node = AddNode(name + ".output", name, node->id);
    node->kind = ProjectNode{std::nullopt, std::move(selected)};
    Finish(index, stream, node);
  }

  static OverCall MakeCall(const BoundOverCall& bound, int event_time, const Schema& input,
                           ColumnList* before) {
    OverCall call;
    call.function = bound.function;
    call.frame = bound.frame;
    call.rows = bound.rows;
    call.result = bound.result;
    if (bound.function == OverFunction::kAggregate) {
      call.aggregate = AddAggregate(bound.aggregate, event_time, input, before);
      return call;
    }
    const auto add = [&](const std::optional<Expr>& expr) {
      if (!expr.has_value()) return -1;
      return before->Add(*expr, FormatExpr(*expr, input), FieldOf(input, *expr));
    };
    call.argument = add(bound.argument);
    call.otherwise = add(bound.otherwise);
    return call;
  }

  void LinkPanes() {
    for (size_t i = 0; i < bound_.streams.size(); ++i) {
      const BoundStream& stream = bound_.streams[i];
      if (!stream.used || stream.panes_of < 0) continue;
      const NodeId giver = window_of_stream_[size_t(stream.panes_of)];
      WindowOf(window_of_stream_[i]).panes_of = giver;
      WindowOf(giver).gives_panes = true;
    }
  }
  WindowAggregateNode& WindowOf(NodeId id) {
    return std::get<WindowAggregateNode>(plan_.nodes[size_t(id.value())].kind);
  }

  void SetEmission(int index, const BoundStream& stream, WindowAggregateNode* window) const {
    const auto& spec = std::get<QueryStreamSpec>(stream.spec->kind);
    if (spec.allowed_lateness.has_value()) window->allowed_lateness = spec.allowed_lateness->value;
    window->allowed_lateness += stream.waits;
    window->gives_changes = std::ranges::any_of(bound_.sinks, [&](const BoundSink& sink) {
      return sink.stream == index && job_.sinks[size_t(sink.sink)].rows == SinkRows::kChanges;
    });
    if (window->gives_changes && spec.changes_every.has_value()) {
      window->changes_every = spec.changes_every->value;
    }
  }

  // Of all tasks' rows of a window the first ones: a window of a microsecond over window_end, of
  // which each row is a key. What each batch surely leaves out does not go there.
  void AddTop(int index, const BoundStream& stream, PlanNode* output) {
    ColumnList columns;
    auto& list = std::get<ProjectNode>(output->kind).columns;
    for (size_t i = 0; i < list.size(); ++i) {
      columns.AddAlways(list[i], stream.schema.fields[i]);
    }
    TopRows top;
    top.limit = stream.query.top->limit;
    for (const BoundSortKey& key : stream.query.top->order) {
      top.order.push_back(
          {columns.Add(key.expr, "order", nullptr), key.descending, key.nulls_first});
    }
    const Expr window_end = ColumnExpr(1, Type::kTimestamp);
    WindowAggregateNode window;
    window.keys.resize(columns.columns.size());
    std::iota(window.keys.begin(), window.keys.end(), 0);
    window.size = window.slide = window.pane = Micros(1);
    window.event_time = columns.Add(LastMomentBefore(window_end), "event_time", nullptr);
    list = std::move(columns.columns);
    output->output = columns.schema;
    output->event_time = window.event_time;

    const std::string& name = stream.spec->name;
    PlanNode* node = AddNode(name + ".limit", name, output->id);
    node->kind = LimitNode{top};
    node->output = columns.schema;
    node->event_time = window.event_time;
    for (SortKey& key : top.order) key.column += 2;
    window.top = std::move(top);
    Schema schema{{{"window_start#", Type::kTimestamp, "", false},
                   {"window_end#", Type::kTimestamp, "", false}}};
    std::vector<Expr> selected;
    for (const int key : window.keys) {
      schema.fields.push_back(columns.schema.fields[size_t(key)]);
      if (size_t(key) >= stream.query.columns.size()) continue;
      selected.push_back(ColumnExpr(key + 2, schema.fields.back().type));
    }
    node = AddNode(name + ".top", name, node->id);
    node->kind = std::move(window);
    node->output = std::move(schema);
    node->event_time = 1;
    node->window_end = 1;
    node = AddNode(name + ".first", name, node->id);
    node->kind = ProjectNode{std::nullopt, std::move(selected)};
    Finish(index, stream, node);
  }

  static const Field* FieldOf(const Schema& schema, const Expr& expr) {
    return expr.kind == Expr::Kind::kColumn ? &schema.fields[size_t(expr.column)] : nullptr;
  }

  static int AddEventTime(const BoundStream& input, ColumnList* before) {
    const Expr time = TimeOf(input);
    const Field* field = FieldOf(input.schema, time);
    return before->Add(time, field == nullptr ? "event_time" : field->name, field);
  }

  // Whether evaluating it may fail on a row.
  static bool MayFail(const Expr& expr) {
    if (expr.kind == Expr::Kind::kCall && FunctionCatalog()[size_t(expr.function)].fallible) {
      return true;
    }
    if (expr.kind == Expr::Kind::kCast && expr.type != Type::kText) {
      const Type from = expr.args[0].type;
      const bool widens = IsNumeric(from) && IsImplicitCast(from, expr.type);
      if (!widens) return true;
    }
    return std::ranges::any_of(expr.args, MayFail);
  }

  // FILTER guards the argument: it is not evaluated for rows that are filtered out.
  static Expr Guarded(const Expr& argument, const std::optional<Expr>& filter) {
    if (!filter.has_value() || !MayFail(argument)) return argument;
    return MakeExpr(Expr::Kind::kCase, argument.type,
                    {*filter, argument, LiteralExpr(Literal(), argument.type)});
  }

  static AggregateSpec AddAggregate(const BoundAggregate& aggregate, int event_time,
                                    const Schema& input, ColumnList* before) {
    AggregateSpec spec;
    spec.function = aggregate.function;
    spec.distinct = aggregate.distinct;
    spec.descending = aggregate.descending;
    spec.fraction = aggregate.fraction;
    spec.separator = aggregate.separator;
    spec.result = aggregate.result;
    const auto add = [&](const Expr& expr) {
      return before->Add(expr, FormatExpr(expr, input), FieldOf(input, expr));
    };
    if (aggregate.argument.has_value()) {
      spec.argument = add(Guarded(*aggregate.argument, aggregate.filter));
      spec.argument_type = aggregate.argument->type;
    }
    if (aggregate.second.has_value()) {
      spec.second = add(Guarded(*aggregate.second, aggregate.filter));
      spec.second_type = aggregate.second->type;
    }
    if (aggregate.by_event_time) {
      spec.second = event_time;
      spec.second_type = Type::kTimestamp;
    }
    if (aggregate.filter.has_value()) spec.filter = add(*aggregate.filter);
    return spec;
  }

  void AddAlerts(const BoundAlerts& alerts) {
    const BoundStream& stream = bound_.streams[size_t(alerts.stream)];
    const std::string& name = stream.spec->name;
    PlanNode* node = AddNode(name + ".alerts", name, node_of_stream_[size_t(alerts.stream)]);
    AlertNode alert;
    alert.rules = alerts.rules;
    alert.windowed = stream.windowed;
    alert.of_row = stream.known_by_row;
    alert.time_column = stream.time_column();
    for (const GroupingColumn& key : stream.grouping) {
      if (key.column >= 0) alert.keys.push_back(key.column);
    }
    node->output = AlertSchema();
    const int time = AlertSchema().IndexOf("event_time");
    node->event_time = alert.time_column >= 0 ? time : -1;
    node->window_end = alert.windowed ? time : -1;
    node->kind = std::move(alert);
    alert_nodes_.push_back(node->id);
  }

  void AddSinks(const BoundSink& sink) {
    const std::string name = "sink." + std::to_string(sink.sink);
    if (sink.stream >= 0) {
      const BoundStream& stream = bound_.streams[size_t(sink.stream)];
      SinkNode node;
      for (const GroupingColumn& key : stream.grouping) {
        if (key.column >= 0) node.keys.push_back(key.column);
      }
      if (node.keys.empty()) node.keys = stream.window_columns;
      // Rows of a window that change replace each other.
      if (job_.sinks[size_t(sink.sink)].rows == SinkRows::kChanges) {
        std::vector<int> window = stream.window_columns;
        if (stream.from.cumulates && std::ranges::find(window, stream.window_end) == window.end()) {
          window.push_back(stream.window_end);
        }
        if (stream.grouping.empty()) node.keys.clear();
        node.keys.insert(node.keys.begin(), window.begin(), window.end());
      }
      const auto* kafka = std::get_if<KafkaSinkSpec>(&job_.sinks[size_t(sink.sink)].target);
      if (kafka != nullptr && !kafka->key.empty()) {
        node.keys.clear();
        for (const PlacedText& key : kafka->key) {
          node.keys.push_back(stream.schema.IndexOf(key.text));
        }
      }
      node.time_column = stream.window_end >= 0 ? stream.window_end : stream.event_time;
      AddSink(name, sink.sink, node_of_stream_[size_t(sink.stream)], std::move(node));
      return;
    }
    for (const NodeId alerts : alert_nodes_) {
      SinkNode node;
      node.keys = {AlertSchema().IndexOf("key")};
      node.time_column = plan_.node(alerts).event_time;
      AddSink(name + "." + plan_.node(alerts).stream, sink.sink, alerts, std::move(node));
    }
  }

  void AddSink(std::string name, int sink, NodeId input, SinkNode kind) {
    const std::string stream = plan_.node(input).stream;
    PlanNode* node = AddNode(std::move(name), stream, input);
    const PlanNode& above = plan_.node(input);
    kind.spec = job_.sinks[size_t(sink)];
    kind.sink_index = sink;
    node->kind = std::move(kind);
    node->output = above.output;
    node->event_time = above.event_time;
    node->window_end = above.window_end;
  }

  // Leaves of sources, and of what stands between a query and its parts, the columns that their
  // children name, and the times.
  void Prune(PlanNode* node) {
    const bool is_project = std::holds_alternative<ProjectNode>(node->kind);
    const bool prunes = std::holds_alternative<SourceNode>(node->kind) ||
                        std::holds_alternative<LookupNode>(node->kind) ||
                        std::holds_alternative<UnionNode>(node->kind) ||
                        std::holds_alternative<JoinNode>(node->kind);
    if (!prunes && !(is_project && parts_.contains(node->id))) return;
    std::vector<bool> used(node->output.fields.size(), false);
    const auto use = [&](int* column) {
      if (*column >= 0 && size_t(*column) < used.size()) used[size_t(*column)] = true;
    };
    use(&node->event_time);
    use(&node->window_end);
    if (std::holds_alternative<LookupNode>(node->kind)) VisitInputColumns(node, use);
    const std::vector<NodeId> children = plan_.Children(node->id);
    for (const NodeId id : children) {
      PlanNode* child = &plan_.nodes[size_t(id.value())];
      const bool passes_on = std::holds_alternative<SinkNode>(child->kind) ||
                             std::holds_alternative<UnionNode>(child->kind) ||
                             std::holds_alternative<LookupNode>(child->kind);
      if (passes_on) used.assign(used.size(), true);
      VisitInputColumns(child, use);
    }
    // Which of several rows of one time is the last is for all columns to say, read or not.
    if (const auto* join = std::get_if<JoinNode>(&node->kind);
        join != nullptr && join->latest_only) {
      std::fill(used.begin() + int64_t(join->left.size()), used.end(), true);
    }
    // A batch needs a column to say how many rows it has.
    if (std::ranges::find(used, true) == used.end() && !used.empty()) used[0] = true;
    if (std::ranges::find(used, false) == used.end() &&
        !std::holds_alternative<SourceNode>(node->kind)) {
      return;
    }

    std::vector<int> moved(used.size(), -1);
    std::vector<int> kept;
    for (size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) continue;
      moved[i] = int(kept.size());
      kept.push_back(int(i));
    }
    Keep(kept, node);
    const auto move = [&](int* column) {
      const bool is_added = size_t(*column) >= moved.size();
      *column += is_added ? int(kept.size()) - int(moved.size()) : moved[size_t(*column)] - *column;
    };
    if (std::holds_alternative<LookupNode>(node->kind)) VisitInputColumns(node, move);
    for (const NodeId id : children) {
      PlanNode* child = &plan_.nodes[size_t(id.value())];
      VisitInputColumns(child, move);
      if (!std::holds_alternative<SinkNode>(child->kind)) continue;
      child->output = node->output;
      child->event_time = node->event_time;
      child->window_end = node->window_end;
    }
  }

  // Leaves the node's columns `kept`, and what it passes on as it is above it.
  void Keep(const std::vector<int>& kept, PlanNode* node) {
    const auto keep = [&](auto* list) {
      std::remove_reference_t<decltype(*list)> left;
      for (const int column : kept) left.push_back(std::move((*list)[size_t(column)]));
      *list = std::move(left);
    };
    if (auto* source = std::get_if<SourceNode>(&node->kind)) {
      keep(&source->used_columns);
    } else if (auto* project = std::get_if<ProjectNode>(&node->kind)) {
      keep(&project->columns);
    } else if (auto* join = std::get_if<JoinNode>(&node->kind)) {
      const size_t left_columns = join->left.size();
      std::vector<int> left, right;
      for (const int column : kept) {
        const bool is_right = size_t(column) >= left_columns;
        (is_right ? right : left)
            .push_back(is_right ? join->right[size_t(column) - left_columns]
                                : join->left[size_t(column)]);
      }
      join->left = std::move(left);
      join->right = std::move(right);
    } else if (auto* lookup = std::get_if<LookupNode>(&node->kind)) {
      PlanNode* input = &plan_.nodes[size_t(node->input().value())];
      const int input_columns = int(input->output.fields.size());
      std::vector<int> of_input, of_table;
      for (const int column : kept) {
        if (column < input_columns) of_input.push_back(column);
        if (column >= input_columns)
          of_table.push_back(lookup->columns[size_t(column - input_columns)]);
      }
      Keep(of_input, input);
      lookup->columns = std::move(of_table);
    } else {
      for (const NodeId input : node->inputs) Keep(kept, &plan_.nodes[size_t(input.value())]);
    }
    const auto place = [&](int* column) {
      const auto found = std::ranges::find(kept, *column);
      *column = *column < 0 || found == kept.end() ? -1 : int(found - kept.begin());
    };
    keep(&node->output.fields);
    place(&node->event_time);
    place(&node->window_end);
  }

  const JobSpec& job_;
  const BoundJob& bound_;
  JobPlan plan_;
  std::vector<NodeId> node_of_stream_;
  std::vector<NodeId> window_of_stream_;  // its window node, where it has one
  std::vector<NodeId> alert_nodes_;
  std::set<NodeId> parts_;  // that give the rows of parts of a query
};

}  // namespace

JobPlan LayOutPlan(const JobSpec& job, const BoundJob& bound) { return Layout(job, bound).Build(); }

}  // namespace millrace
