#include "engine/plan/plan.h"

#include <algorithm>

namespace millrace {

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
  if (std::holds_alternative<SourceNode>(node(id).kind) || IsKeyed(node(id))) return {id};
  std::vector<NodeId> owners;
  for (const NodeId input : node(id).inputs) {
    for (const NodeId owner : OwnersOf(input)) {
      if (std::ranges::find(owners, owner) == owners.end()) owners.push_back(owner);
    }
  }
  return owners;
}

std::vector<JobPlan::Upstream> JobPlan::UpstreamsOf(NodeId id) const {
  if (std::holds_alternative<SourceNode>(node(id).kind)) return {{id, Micros(0)}};
  std::vector<Upstream> upstreams;
  for (const NodeId input : node(id).inputs) {
    Micros delay(0);
    if (const auto* window = std::get_if<WindowAggregateNode>(&node(input).kind)) {
      delay = window->allowed_lateness;
      if (window->clock.has_value()) delay += window->clock->offline_for;
    } else if (const auto* join = std::get_if<JoinNode>(&node(input).kind)) {
      delay = join->delay();
    }
    for (Upstream upstream : UpstreamsOf(input)) {
      upstream.delay += delay;
      upstreams.push_back(upstream);
    }
  }
  return upstreams;
}

bool JobPlan::WaitsForRowsAhead(NodeId id) const {
  return std::ranges::any_of(node(id).inputs, [&](NodeId input) {
    const auto* over = std::get_if<OverNode>(&node(input).kind);
    return (over != nullptr && over->looks_ahead()) || WaitsForRowsAhead(input);
  });
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
