#include "engine/plan/key_placement.h"

namespace millrace {
namespace {

class KeyPlacer {
 public:
  explicit KeyPlacer(JobPlan* plan) : plan_(*plan) {}

  void Place() {
    for (PlanNode& node : plan_.nodes) {
      if (IsKeyed(node)) node.placement = PlacementOf(node);
    }
    for (PlanNode& node : plan_.nodes) {
      const auto* window = std::get_if<WindowAggregateNode>(&node.kind);
      if (window != nullptr && window->panes_of.value() >= 0) Reconcile(&node, window->panes_of);
    }
  }

 private:
  std::optional<KeyPlacement> PlacementOf(const PlanNode& node) const {
    const KeyedInput keyed = KeyedInputOf(node);
    const auto* window = std::get_if<WindowAggregateNode>(&node.kind);
    if (window != nullptr && window->top.has_value()) return std::nullopt;
    if (keyed.clock.has_value() && keyed.clock->keys.size() < keyed.keys.size()) {
      return std::nullopt;
    }
    for (const int key : keyed.keys) {
      const KeyedBySpec* const origin = OriginOf(node.input(), key);
      if (origin != nullptr) return KeyPlacement{key, origin->partitioner, origin->partitions};
    }
    return std::nullopt;
  }

  // Panes come with the groups that they have in the node that gives them.
  void Reconcile(PlanNode* taker, NodeId giver_id) {
    PlanNode& giver = plan_.nodes[size_t(giver_id.value())];
    if (taker->placement.has_value() && giver.placement.has_value() &&
        NameOf(*taker) == NameOf(giver) &&
        taker->placement->partitioner == giver.placement->partitioner &&
        taker->placement->partitions == giver.placement->partitions) {
      return;
    }
    taker->placement.reset();
    giver.placement.reset();
  }
  const std::string& NameOf(const PlanNode& node) const {
    return plan_.node(node.input()).output.fields[size_t(node.placement->column)].name;
  }

  // How the topics are keyed that a column of a node's output comes from, unchanged; null where
  // they are not keyed by it.
  const KeyedBySpec* OriginOf(NodeId id, int column) const {
    const PlanNode& node = plan_.node(id);
    if (const auto* source = std::get_if<SourceNode>(&node.kind)) {
      const auto* kafka = std::get_if<KafkaSourceSpec>(&source->spec.input);
      if (kafka == nullptr || !kafka->keyed_by.has_value() ||
          node.output.fields[size_t(column)].name != kafka->keyed_by->column.text) {
        return nullptr;
      }
      return &*kafka->keyed_by;
    }
    if (std::holds_alternative<UnionNode>(node.kind)) return OriginOfAll(node.inputs, column);
    if (const auto* project = std::get_if<ProjectNode>(&node.kind)) {
      const Expr& expr = project->columns[size_t(column)];
      const size_t above = plan_.node(node.input()).output.fields.size();
      if (expr.kind != Expr::Kind::kColumn || size_t(expr.column) >= above) return nullptr;
      return OriginOf(node.input(), expr.column);
    }
    if (std::holds_alternative<LookupNode>(node.kind)) {
      const size_t above = plan_.node(node.input()).output.fields.size();
      return size_t(column) < above ? OriginOf(node.input(), column) : nullptr;
    }
    if (std::holds_alternative<LimitNode>(node.kind)) return OriginOf(node.input(), column);
    if (const auto* over = std::get_if<OverNode>(&node.kind)) {
      if (size_t(column) >= over->carried.size()) return nullptr;
      return OriginOf(node.input(), over->carried[size_t(column)]);
    }
    if (const auto* window = std::get_if<WindowAggregateNode>(&node.kind)) {
      const int key = column - 2;  // after window_start and window_end
      if (window->top.has_value() || key < 0 || size_t(key) >= window->keys.size()) return nullptr;
      return OriginOf(node.input(), window->keys[size_t(key)]);
    }
    return nullptr;
  }

  const KeyedBySpec* OriginOfAll(const std::vector<NodeId>& inputs, int column) const {
    const KeyedBySpec* common = nullptr;
    for (const NodeId input : inputs) {
      const KeyedBySpec* const origin = OriginOf(input, column);
      if (origin == nullptr) return nullptr;
      if (common != nullptr && (origin->partitioner != common->partitioner ||
                                origin->partitions != common->partitions)) {
        return nullptr;
      }
      common = origin;
    }
    return common;
  }

  JobPlan& plan_;
};

}  // namespace

void PlaceKeys(JobPlan* plan) { KeyPlacer(plan).Place(); }

}  // namespace millrace
