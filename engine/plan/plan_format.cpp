// A plan as text for `millrace plan`: a tree, each node below its input.
#include <numeric>
#include <string>

#include "engine/model/kafka_fields.h"
#include "engine/plan/plan.h"
#include "engine/plan/shared_expressions.h"

namespace millrace {
namespace {

std::string Names(const Schema& schema, const std::vector<int>& columns) {
  std::string text;
  for (const int column : columns) {
    text += (text.empty() ? "" : ", ") + schema.fields[size_t(column)].name;
  }
  return text;
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

std::string_view FormatName(Format format) {
  switch (format) {
    case Format::kJson:
      return "json";
    case Format::kCsv:
      return "csv";
    case Format::kSenml:
      return "senml";
    case Format::kParquet:
      return "parquet";
  }
  return "";
}

// "{{ avg_temperature }} on {{ device_id }}"
std::string Shown(const Template& text, const Schema& input) {
  std::string shown = text.literals[0];
  for (size_t i = 0; i < text.columns.size(); ++i) {
    shown += "{{ " + input.fields[size_t(text.columns[i])].name + " }}" + text.literals[i + 1];
  }
  return shown;
}

// "the first 3 by avg_temperature desc nulls first, device_id"
std::string Shown(const TopRows& top, const Schema& schema) {
  std::vector<std::string> keys;
  for (const SortKey& key : top.order) {
    keys.push_back(schema.fields[size_t(key.column)].name + (key.descending ? " desc" : ""));
    if (key.nulls_first != key.descending) {
      keys.back() += key.nulls_first ? " nulls first" : " nulls last";
    }
  }
  return "the first " + std::to_string(top.limit) + " by " + Joined(keys);
}

std::string Shown(const KeyPlacement& placement, const Schema& input) {
  return "placed by the partition of " + input.fields[size_t(placement.column)].name + " (" +
         PartitionerNames()[size_t(placement.partitioner)] + " of " +
         std::to_string(placement.partitions) + ")";
}

std::string Shown(const std::vector<Expr>& exprs, const Schema& input) {
  std::string text;
  for (const Expr& expr : exprs) text += (text.empty() ? "" : ", ") + FormatExpr(expr, input);
  return text;
}

// What a row was joined with, as it is part of what reaches a keyed node.
std::string ShownJoin(const JobPlan& plan, const PlanNode& node, const LookupNode& lookup) {
  const Schema& input = plan.node(node.input()).output;
  std::string text = lookup.lookup + " by " + Shown(lookup.keys, input);
  if (lookup.time.has_value()) text += " at " + FormatExpr(*lookup.time, input);
  return text + (lookup.keeps_unmatched ? " or nulls" : "");
}

class PlanFormatter {
 public:
  explicit PlanFormatter(const JobPlan& plan) : plan_(plan) {}

  std::string Format() {
    text_ = "job " + plan_.job + "\n";
    for (const PlanNode& node : plan_.nodes) {
      if (std::holds_alternative<SourceNode>(node.kind)) Add(node, 0);
    }
    return std::move(text_);
  }

 private:
  void Line(int depth, const std::string& line) {
    text_ += std::string(size_t(depth) * 2, ' ') + line + "\n";
  }
  void Detail(int depth, const std::string& name, const std::string& value) {
    if (!value.empty()) Line(depth + 2, name + ": " + value);
  }

  void Add(const PlanNode& node, int depth) {
    if (const auto* source = std::get_if<SourceNode>(&node.kind)) {
      AddSource(node, *source, depth);
    } else {
      const Schema& input = plan_.node(node.input()).output;
      if (const auto* project = std::get_if<ProjectNode>(&node.kind)) {
        AddProject(node, *project, input, depth);
      } else if (const auto* lookup = std::get_if<LookupNode>(&node.kind)) {
        AddLookup(node, *lookup, input, depth);
      } else if (const auto* limit = std::get_if<LimitNode>(&node.kind)) {
        Line(depth, "limit " + node.name + ": of each batch " + Shown(limit->top, input));
      } else if (const auto* window = std::get_if<WindowAggregateNode>(&node.kind)) {
        AddWindow(node, *window, input, depth);
      } else if (const auto* over = std::get_if<OverNode>(&node.kind)) {
        AddOver(node, *over, input, depth);
      } else if (const auto* join = std::get_if<JoinNode>(&node.kind)) {
        AddJoin(node, *join, input, depth);
      } else if (std::holds_alternative<UnionNode>(node.kind)) {
        AddUnion(node, depth);
      } else if (const auto* alert = std::get_if<AlertNode>(&node.kind)) {
        AddAlert(node, *alert, input, depth);
      } else if (const auto* sink = std::get_if<SinkNode>(&node.kind)) {
        AddSink(node, *sink, depth);
      }
    }
    for (const NodeId id : plan_.Children(node.id)) {
      const PlanNode& child = plan_.node(id);
      // What several nodes lead to stands below the last of them.
      if (child.inputs.back() == node.id) {
        Add(child, depth + 1);
      } else {
        Line(depth + 1, "to " + child.name);
      }
    }
  }

  void AddUnion(const PlanNode& node, int depth) {
    std::vector<std::string> inputs;
    inputs.reserve(node.inputs.size());
    for (const NodeId input : node.inputs) inputs.push_back(plan_.node(input).name);
    Line(depth, "union " + node.name + ": " + Joined(inputs));
  }

  void AddExchange(const PlanNode& node, const Schema& input, const std::string& keys, int depth) {
    std::string exchange =
        keys.empty() ? "exchange to one task (no keys)" : "exchange by hash(" + keys + ")";
    if (node.placement.has_value()) exchange += ", " + Shown(*node.placement, input);
    Line(depth, exchange);
  }

  // "-1s" to "0s".
  static std::string Bound(Micros bound) {
    return bound < Micros(0) ? "-" + FormatDuration(-bound) : FormatDuration(bound);
  }

  void AddJoin(const PlanNode& node, const JoinNode& join, const Schema& input, int depth) {
    const std::string keys = Names(input, join.keys);
    AddExchange(node, input, keys, depth);
    const bool full = join.keeps_left && join.keeps_right;
    const std::string type = full               ? "full "
                             : join.keeps_left  ? "left "
                             : join.keeps_right ? "right "
                                                : "";
    Line(depth, type + (join.latest_only ? "as-of join " : "join ") + node.name);
    Detail(depth, "right less left",
           join.lower == join.upper ? Bound(join.lower)
                                    : Bound(join.lower) + " to " + Bound(join.upper));
    Detail(depth, "keys", keys);
    Detail(depth, "left", Names(input, join.left));
    Detail(depth, "right", Names(input, join.right));
  }

  void AddSource(const PlanNode& node, const SourceNode& source, int depth) {
    std::string input;
    if (const auto* kafka = std::get_if<KafkaSourceSpec>(&source.spec.input)) {
      input = "kafka " + Joined(kafka->topics);
    } else {
      input = "files " + Joined(std::get<FilesSourceSpec>(source.spec.input).paths);
    }
    Line(depth,
         "source " + node.name + ": " + input + ", " + std::string(FormatName(source.spec.format)));
    std::string columns;
    for (const Field& field : node.output.fields) {
      columns +=
          (columns.empty() ? "" : ", ") + field.name + " " + std::string(TypeName(field.type));
    }
    Detail(depth, "reads",
           columns + " (" + std::to_string(source.used_columns.size()) + " of " +
               std::to_string(source.spec.columns.size()) + " columns)");
    if (source.spec.event_time.has_value()) {
      Detail(depth, "event time",
             source.spec.event_time->column + ", at most " +
                 FormatDuration(source.spec.event_time->max_delay) + " late, idle after " +
                 FormatDuration(source.spec.event_time->idle_after));
      if (const auto& per_key = source.spec.event_time->per_key; per_key.has_value()) {
        std::string key;
        for (const PlacedText& column : per_key->key) {
          key += (key.empty() ? "" : ", ") + column.text;
        }
        Detail(depth, "watermark",
               "one a " + key + ", offline after " + FormatDuration(per_key->offline_for));
      }
    }
  }

  void AddProject(const PlanNode& node, const ProjectNode& project, const Schema& above,
                  int depth) {
    Line(depth, "project " + node.name);
    const Schema input =
        project.unnest.has_value() ? UnnestedSchema(*project.unnest, above) : above;
    if (project.unnest.has_value()) AddUnnest(*project.unnest, above, depth);
    if (project.filter.has_value()) Detail(depth, "filter", FormatExpr(*project.filter, input));
    std::string columns;
    for (size_t i = 0; i < project.columns.size(); ++i) {
      const std::string value = FormatExpr(project.columns[i], input);
      const std::string& name = node.output.fields[i].name;
      columns += (i == 0 ? "" : ", ") + (value == name ? value : value + " AS " + name);
    }
    Detail(depth, "columns", columns);
    Schema known = input;
    std::vector<std::string> once;
    for (const Expr& expr : ShareExpressions(project.columns, int(input.fields.size())).shared) {
      once.push_back(FormatExpr(expr, known));
      Field field;
      field.name = FormatOperand(expr, known);
      known.fields.push_back(std::move(field));
    }
    Detail(depth, "computed once", Joined(once));
  }

  void AddLookup(const PlanNode& node, const LookupNode& lookup, const Schema& input, int depth) {
    Line(depth, "lookup " + node.name + ": " + lookup.lookup);
    Detail(depth, "keys", Shown(lookup.keys, input));
    if (lookup.time.has_value()) Detail(depth, "valid at", FormatExpr(*lookup.time, input));
    std::vector<int> taken(lookup.columns.size());
    std::iota(taken.begin(), taken.end(), int(input.fields.size()));
    Detail(depth, "columns", Names(node.output, taken));
    Detail(depth, "without a row", lookup.keeps_unmatched ? "kept, with nulls" : "left out");
  }

  void AddUnnest(const Unnest& unnest, const Schema& input, int depth) {
    if (unnest.filter.has_value()) {
      Detail(depth, "filter before", FormatExpr(*unnest.filter, input));
    }
    std::string columns = unnest.element.name + " " + std::string(TypeName(unnest.element.type));
    if (!unnest.ordinality.empty()) columns += ", " + unnest.ordinality + " bigint";
    Detail(depth, "unnest",
           FormatExpr(unnest.array, input) + " AS " + columns +
               (unnest.keeps_empty ? ", rows without elements kept" : ""));
  }

  void AddWindow(const PlanNode& node, const WindowAggregateNode& window, const Schema& input,
                 int depth) {
    if (window.top.has_value()) {
      Line(depth, "exchange by window_end");
      Line(depth, "top " + node.name + ": of each window " + Shown(*window.top, node.output));
      return;
    }
    const std::string keys = Names(input, window.keys);
    AddExchange(node, input, keys, depth);
    std::string kind = "tumble " + FormatDuration(window.size);
    if (window.is_session()) {
      kind = "session, gap " + FormatDuration(window.gap);
    } else if (window.cumulates) {
      kind = "cumulate " + FormatDuration(window.size) + " by " + FormatDuration(window.slide);
    } else if (window.slide != window.size) {
      kind = "hop " + FormatDuration(window.size) + " by " + FormatDuration(window.slide) +
             ", panes of " + FormatDuration(window.pane);
    }
    if (window.offset != Micros(0)) kind += ", offset " + FormatDuration(window.offset);
    Line(depth, "window " + node.name + ": " + kind);
    Detail(depth, "event time", input.fields[size_t(window.event_time)].name);
    if (window.panes_of.value() >= 0) {
      Detail(depth, "panes of", plan_.node(window.panes_of).name);
    }
    if (window.allowed_lateness > Micros(0)) {
      Detail(depth, "final", FormatDuration(window.allowed_lateness) + " after the window's end");
    }
    if (window.clock.has_value()) {
      std::string closes = "by the watermark of each " + Names(input, window.clock->keys);
      if (window.clock->offline_for > Micros(0)) {
        closes += ", or the fleet's less " + FormatDuration(window.clock->offline_for);
      }
      if (window.clock->passes >= 0) {
        closes += "; rows without " + Names(input, {window.clock->passes}) + " only move it";
      }
      Detail(depth, "closes", closes);
    }
    if (window.gives_changes) {
      std::string changes = "rows at the window's end";
      if (window.allowed_lateness > Micros(0)) changes += ", corrections";
      if (window.changes_every > Micros(0)) {
        changes += ", running rows every " + FormatDuration(window.changes_every);
      }
      Detail(depth, "changes", changes);
    }
    Detail(depth, "keys", keys);
    std::string aggregates;
    for (size_t i = 2 + window.keys.size(); i < node.output.fields.size(); ++i) {
      aggregates += (aggregates.empty() ? "" : ", ") + node.output.fields[i].name;
    }
    Detail(depth, "aggregates", aggregates);
  }

  void AddOver(const PlanNode& node, const OverNode& over, const Schema& input, int depth) {
    const std::string keys = Names(input, over.keys);
    AddExchange(node, input, keys, depth);
    Line(depth, "over " + node.name + ": rows in the order of event time");
    Detail(depth, "event time", input.fields[size_t(over.event_time)].name);
    Detail(depth, "keys", keys);
    std::vector<int> calls(over.calls.size());
    std::iota(calls.begin(), calls.end(), int(over.carried.size()));
    Detail(depth, "functions", Names(node.output, calls));
    if (over.looks_ahead()) Detail(depth, "waits", "for rows that follow");
  }

  void AddAlert(const PlanNode& node, const AlertNode& alert, const Schema& input, int depth) {
    Line(depth, "alerts " + node.name);
    for (const AlertRule& rule : alert.rules) {
      Detail(depth, rule.alert, FormatExpr(rule.condition, input));
      for (const auto& [name, text] : rule.labels) Detail(depth + 1, name, Shown(text, input));
      for (const auto& [name, text] : rule.annotations) Detail(depth + 1, name, Shown(text, input));
    }
    Detail(depth, "about", Names(input, alert.keys));
  }

  void AddSink(const PlanNode& node, const SinkNode& sink, int depth) {
    std::string target = "console";
    std::string partitions;
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec.target)) {
      target = "kafka " + kafka->topic;
    } else if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec.target)) {
      target = "parquet " + parquet->path;
      partitions = Joined(parquet->partition_by);
    } else if (const auto* files = std::get_if<FilesSinkSpec>(&sink.spec.target)) {
      target = std::string(FormatName(files->format)) + " files " + files->path;
    }
    Line(depth, "sink " + node.name + ": " + target);
    Detail(depth, "keys", Names(node.output, sink.keys));
    Detail(depth, "partitions", partitions);
    if (sink.takes_changes()) Detail(depth, "rows", "changes");
    if (sink.time_column >= 0) Detail(depth, "time", Names(node.output, {sink.time_column}));
  }

  const JobPlan& plan_;
  std::string text_;
};

std::string FormatProjected(const JobPlan& plan, const PlanNode& node) {
  const auto* project = std::get_if<ProjectNode>(&node.kind);
  if (project == nullptr) return node.name;
  const PlanNode& above = plan.node(node.input());
  std::string text;
  for (const Expr& column : project->columns) {
    text += (text.empty() ? "" : ", ") + FormatExpr(column, above.output);
  }
  if (project->filter.has_value()) text += " where " + FormatExpr(*project->filter, above.output);
  text += " of " + above.stream;
  for (const PlanNode* joined = &above; std::holds_alternative<LookupNode>(joined->kind);
       joined = &plan.node(joined->input())) {
    text += " with " + ShownJoin(plan, *joined, std::get<LookupNode>(joined->kind));
  }
  return text;
}

}  // namespace

std::string FormatKeyedInput(const JobPlan& plan, const PlanNode& keyed) {
  const PlanNode& node = plan.node(keyed.input());
  // State lies in the groups of its keys.
  const std::string placed =
      keyed.placement.has_value() ? " " + Shown(*keyed.placement, node.output) : "";
  if (std::holds_alternative<UnionNode>(node.kind)) {
    std::string text;
    for (const NodeId input : node.inputs) {
      text += (text.empty() ? "" : " and ") + FormatProjected(plan, plan.node(input));
    }
    return text + placed;
  }
  const std::string text = FormatProjected(plan, node) + placed;
  // What is in a pane that has not ended is in the other one's state.
  const auto* window = std::get_if<WindowAggregateNode>(&keyed.kind);
  const NodeId giver = window == nullptr ? NodeId(-1) : window->panes_of;
  return giver.value() < 0 ? text : text + " by panes of " + plan.node(giver).name;
}

std::string FormatPlan(const JobPlan& plan) { return PlanFormatter(plan).Format(); }

}  // namespace millrace
