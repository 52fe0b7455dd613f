#include "worker/planned_frames.h"

#include "engine/layout/sink_routes.h"

namespace millrace {
namespace {

constexpr int32_t kNoSink = -1;

Status Unexpected(const std::string& what) { return InternalError("unexpected_frame", what); }

Status CompareColumns(const arrow::Schema& came, const arrow::Schema& planned,
                      const std::string& of) {
  if (came.num_fields() != planned.num_fields()) {
    return Unexpected("rows of " + std::to_string(came.num_fields()) + " columns came for " + of +
                      ", which takes " + std::to_string(planned.num_fields()));
  }
  for (int i = 0; i < planned.num_fields(); ++i) {
    if (came.field(i)->type()->Equals(planned.field(i)->type())) continue;
    return Unexpected("rows came for " + of + " whose column " + std::to_string(i + 1) + " ('" +
                      planned.field(i)->name() + "') is " + came.field(i)->type()->ToString() +
                      "; it takes " + planned.field(i)->type()->ToString());
  }
  return Status::OK();
}

}  // namespace

PlannedFrames PlannedFrames::OfTask(const JobPlan& plan, NodeId node, size_t inputs) {
  PlannedFrames frames;
  frames.inputs_ = inputs;
  frames.node_ = node;
  const PlanNode& of = plan.node(node);
  frames.of_[kNoSink] = {"'" + of.name + "'", plan.node(of.input()).output.ToArrow(), nullptr};
  return frames;
}

PlannedFrames PlannedFrames::OfSinks(const JobPlan& plan, const std::set<int32_t>& sinks,
                                     size_t inputs) {
  PlannedFrames frames;
  frames.inputs_ = inputs;
  for (const PlanNode& node : plan.nodes) {
    const auto* const sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr || !sinks.contains(sink->sink_index)) continue;
    frames.of_[sink->sink_index] = {SinkName(sink->sink_index), node.output.ToArrow(), nullptr};
  }
  return frames;
}

Status PlannedFrames::Check(const ChannelFrame& frame) {
  if (frame.input < 0 || size_t(frame.input) >= inputs_) {
    return Unexpected("a frame came on input " + std::to_string(frame.input) + " of " +
                      std::to_string(inputs_));
  }
  const auto* const data = std::get_if<DataFrame>(&frame.frame->body);
  return data == nullptr ? Status::OK() : CheckRows(*data);
}

Status PlannedFrames::CheckRows(const DataFrame& data) {
  const auto found = of_.find(data.sink);
  if (found == of_.end()) {
    return Unexpected("rows came for sink " + std::to_string(data.sink) + ", which is not here");
  }
  Columns& columns = found->second;
  if (data.sink == kNoSink) {
    if (data.node != node_) {
      return Unexpected("rows of node " + std::to_string(data.node.value()) + " came for " +
                        columns.of);
    }
    if (data.rows.are_panes) return Status::OK();
  }
  const std::shared_ptr<arrow::Schema>& came = data.rows.batch->schema();
  if (came == columns.fits) return Status::OK();
  ARROW_RETURN_NOT_OK(CompareColumns(*came, *columns.planned, columns.of));
  columns.fits = came;
  return Status::OK();
}

}  // namespace millrace
