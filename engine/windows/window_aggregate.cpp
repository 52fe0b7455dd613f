#include "engine/windows/window_aggregate.h"

#include <algorithm>
#include <numeric>

#include "engine/windows/clocked_panes.h"
#include "engine/windows/pane_aggregate.h"
#include "engine/windows/session_aggregate.h"

namespace millrace {
namespace {

Status CheckGeometry(const WindowAggregateNode& node) {
  if (node.is_session()) return Status::OK();
  const bool positive = node.size > Micros(0) && node.slide > Micros(0) && node.pane > Micros(0);
  if (positive && node.pane.count() == std::gcd(node.size.count(), node.slide.count())) {
    return Status::OK();
  }
  return InternalError("bad_window", "a window of size " + FormatDuration(node.size) + ", slide " +
                                         FormatDuration(node.slide) + " with panes of " +
                                         FormatDuration(node.pane));
}

Status CheckColumns(const WindowAggregateNode& node, const Schema& input, const Schema& output) {
  const auto is_there = [&](int column) {
    return column >= 0 && size_t(column) < input.fields.size();
  };
  bool all_there = is_there(node.event_time);
  for (const int key : node.keys) all_there = all_there && is_there(key);
  for (const AggregateSpec& spec : node.aggregates) {
    all_there = all_there && (spec.argument == -1 || is_there(spec.argument)) &&
                (spec.second == -1 || is_there(spec.second)) &&
                (spec.filter == -1 || is_there(spec.filter));
  }
  if (!all_there) return InternalError("bad_window", "a window over columns that are not there");
  const size_t first = 2 + node.keys.size();
  if (output.fields.size() != first + node.aggregates.size()) {
    return InternalError("bad_window", "a window's output has not one column an aggregate");
  }
  for (size_t i = 0; i < node.aggregates.size(); ++i) {
    if (output.fields[first + i].type != node.aggregates[i].result) {
      return InternalError("bad_window", "output column " + output.fields[first + i].name +
                                             " is not of type " +
                                             std::string(TypeName(node.aggregates[i].result)));
    }
  }
  return Status::OK();
}

// What a clock does not go with is refused where the plan is made.
Status CheckClock(const WindowAggregateNode& node, const Schema& input) {
  if (!node.clock.has_value()) return Status::OK();
  const KeyClock& clock = *node.clock;
  const bool are_keys = std::ranges::all_of(
      clock.keys, [&](int key) { return std::ranges::find(node.keys, key) != node.keys.end(); });
  const bool passes_is_there =
      clock.passes < 0 || (size_t(clock.passes) < input.fields.size() &&
                           input.fields[size_t(clock.passes)].type == Type::kBoolean);
  const bool is_plain = !node.top.has_value() && !node.gives_changes && !node.gives_panes &&
                        node.panes_of.value() < 0;
  if (are_keys && passes_is_there && is_plain) return Status::OK();
  return InternalError("bad_window", "a window with a clock of what is not its keys");
}

// What AppendResult relies on.
Status CheckResult(const AggregateSpec& spec) {
  Type expected = Type::kDouble;
  switch (spec.function) {
    case AggregateFunction::kCount:
    case AggregateFunction::kRegrCount:
    case AggregateFunction::kApproxCountDistinct:
      expected = Type::kBigint;
      break;
    case AggregateFunction::kSum:
      if (spec.argument_type == Type::kInteger && spec.result == Type::kBigint) return Status::OK();
      break;
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kPercentileDisc:
    case AggregateFunction::kMode:
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      expected = spec.argument_type;
      break;
    case AggregateFunction::kStringAgg:
    case AggregateFunction::kArrayAgg:
      expected = Type::kText;
      break;
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
      expected = Type::kBoolean;
      break;
    default:
      break;
  }
  // Over a bare null every result is null, whatever its type.
  if (spec.result == expected || spec.argument_type == Type::kNull) return Status::OK();
  return InternalError("bad_aggregate", "an aggregate of type " +
                                            std::string(TypeName(spec.result)) + " that gives " +
                                            std::string(TypeName(expected)));
}

}  // namespace

Status KeyedOperator::AddPanes(const arrow::RecordBatch&, std::span<const uint64_t>,
                               std::span<const uint32_t>) {
  return InternalError("bad_window", "panes were handed to what has none");
}

Result<std::unique_ptr<WindowAggregate>> WindowAggregate::Make(const WindowAggregateNode& node,
                                                               const Schema& input,
                                                               const Schema& output) {
  ARROW_RETURN_NOT_OK(CheckGeometry(node));
  ARROW_RETURN_NOT_OK(CheckColumns(node, input, output));
  ARROW_RETURN_NOT_OK(CheckClock(node, input));
  for (const AggregateSpec& spec : node.aggregates) ARROW_RETURN_NOT_OK(CheckResult(spec));
  if (node.is_session()) return SessionAggregate::Make(node, output.ToArrow());
  ARROW_ASSIGN_OR_RAISE(AccumulatorLayout layout, AccumulatorLayout::Make(node.aggregates));
  if (node.clock.has_value()) {
    return std::make_unique<ClockedPanes>(node, output.ToArrow(), std::move(layout));
  }
  return std::make_unique<PaneAggregate>(node, output.ToArrow(), std::move(layout));
}

}  // namespace millrace
