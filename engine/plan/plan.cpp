#include "engine/plan/plan.h"

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

std::vector<NodeId> JobPlan::Children(NodeId id) const {
  std::vector<NodeId> children;
  for (const PlanNode& candidate : nodes) {
    if (candidate.input == id) children.push_back(candidate.id);
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

NodeId JobPlan::OwnerOf(NodeId id) const {
  while (!std::holds_alternative<SourceNode>(node(id).kind) &&
         !std::holds_alternative<WindowAggregateNode>(node(id).kind)) {
    id = node(id).input;
  }
  return id;
}

NodeId JobPlan::SourceOf(NodeId id) const {
  while (!std::holds_alternative<SourceNode>(node(id).kind)) id = node(id).input;
  return id;
}

Micros JobPlan::WatermarkDelayOf(NodeId id) const {
  Micros delay(0);
  while (!std::holds_alternative<SourceNode>(node(id).kind)) {
    id = node(id).input;
    if (const auto* window = std::get_if<WindowAggregateNode>(&node(id).kind)) {
      delay += window->allowed_lateness;
    }
  }
  return delay;
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
