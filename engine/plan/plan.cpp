#include "engine/plan/plan.h"

#include <algorithm>

namespace millrace {

namespace {

// By how much what comes out of a node may be behind the watermark that brought it.
Micros DelayOf(const PlanNode& node) {
  if (const auto* join = std::get_if<JoinNode>(&node.kind)) return join->delay();
  const auto* window = std::get_if<WindowAggregateNode>(&node.kind);
  if (window == nullptr) return Micros(0);
  return window->allowed_lateness +
         (window->clock.has_value() ? window->clock->offline_for : Micros(0));
}

}  // namespace

Schema UnnestedSchema(const Unnest& unnest, const Schema& input) {
  Schema schema = input;
  schema.fields.push_back(unnest.element);
  if (!unnest.ordinality.empty()) {
    schema.fields.push_back({unnest.ordinality, Type::kBigint, "", false});
  }
  return schema;
}

bool HasFixedState(const AggregateSpec& aggregate) {
  if (aggregate.distinct) return false;
  if (aggregate.argument_type == Type::kText || aggregate.second_type == Type::kText) {
    return aggregate.function == AggregateFunction::kCount;
  }
  switch (aggregate.function) {
    case AggregateFunction::kPercentileCont:
    case AggregateFunction::kPercentileDisc:
    case AggregateFunction::kApproxPercentile:
    case AggregateFunction::kMode:
    case AggregateFunction::kApproxCountDistinct:
    case AggregateFunction::kTimeWeightedAvg:
    case AggregateFunction::kIncrease:
    case AggregateFunction::kRate:
    case AggregateFunction::kStringAgg:
    case AggregateFunction::kArrayAgg:
      return false;
    default:
      return true;
  }
}

bool OverNode::looks_ahead() const {
  return std::ranges::any_of(calls, [](const OverCall& call) {
    if (call.function == OverFunction::kLead) return call.rows > 0;
    return LooksAtFrame(call.function) && call.frame.last > 0;
  });
}

bool IsKeyed(const PlanNode& node) {
  return std::holds_alternative<WindowAggregateNode>(node.kind) ||
         std::holds_alternative<OverNode>(node.kind) || std::holds_alternative<JoinNode>(node.kind);
}

KeyedInput KeyedInputOf(const PlanNode& node) {
  KeyedInput input;
  if (const auto* over = std::get_if<OverNode>(&node.kind)) {
    input.keys = over->keys;
    input.event_time = over->event_time;
    return input;
  }
  if (const auto* join = std::get_if<JoinNode>(&node.kind)) {
    input.keys = join->keys;
    input.event_time = join->event_time;
    return input;
  }
  const auto& window = std::get<WindowAggregateNode>(node.kind);
  input.keys = window.keys;
  input.event_time = window.event_time;
  input.pane = window.pane;
  input.offset = window.offset;
  input.allowed_lateness = window.allowed_lateness;
  input.clock = window.clock;
  return input;
}

std::vector<NodeId> JobPlan::Children(NodeId id) const {
  std::vector<NodeId> children;
  for (const PlanNode& candidate : nodes) {
    if (std::ranges::find(candidate.inputs, id) != candidate.inputs.end())
      children.push_back(candidate.id);
  }
  return children;
}

std::vector<NodeId> JobPlan::TakersOfPanes(NodeId id) const {
  std::vector<NodeId> takers;
  for (const PlanNode& node : nodes) {
    const auto* window = std::get_if<WindowAggregateNode>(&node.kind);
    if (window != nullptr && window->panes_of == id) takers.push_back(node.id);
  }
  return takers;
}

std::vector<NodeId> JobPlan::OwnersOf(NodeId id) const {
  std::vector<NodeId> owners;
  std::vector<bool> seen(nodes.size(), false);
  std::vector<NodeId> next = {id};
  while (!next.empty()) {
    const PlanNode& at = node(next.back());
    next.pop_back();
    if (seen[size_t(at.id.value())]) continue;
    seen[size_t(at.id.value())] = true;
    if (std::holds_alternative<SourceNode>(at.kind) || IsKeyed(at)) {
      owners.push_back(at.id);
    } else {
      next.insert(next.end(), at.inputs.rbegin(), at.inputs.rend());
    }
  }
  return owners;
}

std::vector<JobPlan::Upstream> JobPlan::UpstreamsOf(NodeId id) const {
  // Of each node above it, by how much its own watermark is ahead. Inputs have lower ids.
  std::vector<std::optional<Micros>> ahead(nodes.size());
  ahead[size_t(id.value())] = Micros(0);
  std::vector<Upstream> upstreams;
  for (size_t i = size_t(id.value()) + 1; i > 0; --i) {
    const PlanNode& at = nodes[i - 1];
    if (!ahead[i - 1].has_value()) continue;
    if (std::holds_alternative<SourceNode>(at.kind)) upstreams.push_back({at.id, *ahead[i - 1]});
    for (const NodeId input : at.inputs) {
      const Micros through = *ahead[i - 1] + DelayOf(node(input));
      std::optional<Micros>& known = ahead[size_t(input.value())];
      known = std::max(known.value_or(through), through);
    }
  }
  return upstreams;
}

bool JobPlan::WaitsForRowsAhead(NodeId id) const {
  std::vector<bool> above(nodes.size(), false);
  above[size_t(id.value())] = true;
  for (size_t i = size_t(id.value()) + 1; i > 0; --i) {
    if (!above[i - 1]) continue;
    for (const NodeId input : nodes[i - 1].inputs) {
      const auto* over = std::get_if<OverNode>(&node(input).kind);
      if (over != nullptr && over->looks_ahead()) return true;
      above[size_t(input.value())] = true;
    }
  }
  return false;
}

const Schema& AlertSchema() {
  static const Schema schema = {{
      {"id", Type::kText, "", false},
      {"alert", Type::kText, "", false},
      {"stream", Type::kText, "", false},
      {"key", Type::kText, "", true},
      {"labels", Type::kText, "", true},
      {"annotations", Type::kText, "", true},
      {"event_time", Type::kTimestamp, "", false},
  }};
  return schema;
}

}  // namespace millrace
