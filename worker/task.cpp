#include "worker/task.h"

#include <arrow/array.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr int64_t kOutputRowsMax = 4096;
constexpr int kWindowEndColumn = 1;

}  // namespace

Task::Task(const JobPlan& plan, NodeId node, size_t inputs, EventTime horizon, JobAccount* account)
    : node_(plan.node(node)),
      horizon_(horizon),
      account_(&account->stream(node_.stream)),
      aligner_(inputs),
      input_watermarks_(inputs, kEventTimeMin) {}

Result<std::unique_ptr<Task>> Task::Make(const JobPlan& plan, NodeId node, size_t inputs,
                                         EventTime horizon, JobAccount* account) {
  auto task = std::unique_ptr<Task>(new Task(plan, node, inputs, horizon, account));
  const PlanNode& spec = task->node_;
  ARROW_ASSIGN_OR_RAISE(task->window_,
                        WindowAggregate::Make(std::get<WindowAggregateNode>(spec.kind),
                                              plan.node(spec.input).output, spec.output));
  ARROW_ASSIGN_OR_RAISE(task->pipeline_, RowPipeline::Make(plan, node, account));
  return task;
}

void Task::Push(size_t input, std::shared_ptr<const Frame> frame) {
  if (const auto* barrier = std::get_if<BarrierFrame>(&frame->body)) {
    aligner_.PushBarrier(input, barrier->epoch);
  } else if (std::holds_alternative<EndFrame>(frame->body)) {
    aligner_.PushEnd(input);
  } else if (!FoldWatermark(input, *frame)) {
    aligner_.PushItem(input, std::move(frame));
  }
}

// Watermarks cost no credit. One that follows another that waits takes its place, so that a task
// which waits for credit holds at most one between rows or barriers.
bool Task::FoldWatermark(size_t input, const Frame& frame) {
  const auto* moved = std::get_if<WatermarkFrame>(&frame.body);
  Item* const last = aligner_.LastHeld(input);
  if (moved == nullptr || last == nullptr) return false;
  const auto* waiting = std::get_if<WatermarkFrame>(&(*last)->body);
  if (waiting == nullptr) return false;
  auto folded = std::make_shared<Frame>();
  // The earlier fetch: how long the first of them has waited counts as latency.
  folded->body = WatermarkFrame{std::max(waiting->watermark, moved->watermark), waiting->fetched};
  *last = std::move(folded);
  return true;
}

Result<bool> Task::Run(TaskHost* host, int frames_max) {
  Result<bool> more = RunFrames(host, frames_max);
  // A task that fails has not counted since its last watermark or barrier.
  if (!more.ok()) ReportCounts();
  return more;
}

Result<bool> Task::RunFrames(TaskHost* host, int frames_max) {
  int taken = 0;
  while (!done_) {
    if (!host->HasCredit()) return false;  // resumes when credit comes back
    if (taken >= frames_max) return true;
    ++taken;
    if (window_->HasOutput()) {
      ARROW_RETURN_NOT_OK(EmitOne(host));
      continue;
    }
    if (forward_watermark_) {
      forward_watermark_ = false;
      host->ForwardWatermark(watermark_, fetched_);
      ReportCounts();
    }
    ARROW_ASSIGN_OR_RAISE(auto ready, aligner_.Next());
    if (!ready.has_value()) return false;
    switch (ready->kind) {
      case BarrierAligner<Item>::Ready::Kind::kItem:
        ARROW_RETURN_NOT_OK(Take(ready->input, **ready->item, host));
        host->ReturnCredit(ready->input, **ready->item);
        break;
      case BarrierAligner<Item>::Ready::Kind::kBarrier:
        ReportCounts();
        host->Broadcast(BarrierFrame{ready->epoch});
        host->AcknowledgeBarrier(ready->epoch);
        break;
      case BarrierAligner<Item>::Ready::Kind::kAllEnded:
        done_ = true;
        ReportCounts();
        host->Broadcast(EndFrame{});
        host->Done();
        break;
    }
  }
  return false;
}

Status Task::Take(size_t input, const Frame& frame, TaskHost* host) {
  if (const auto* data = std::get_if<DataFrame>(&frame.body)) {
    return window_->Add(*data->rows.batch, *data->hashes, data->selection);
  }
  if (const auto* moved = std::get_if<WatermarkFrame>(&frame.body)) {
    input_watermarks_[input] = std::max(input_watermarks_[input], moved->watermark);
    const EventTime least = *std::min_element(input_watermarks_.begin(), input_watermarks_.end());
    if (least <= watermark_) return Status::OK();
    watermark_ = least;
    fetched_ = moved->fetched;
    forward_watermark_ = true;
    window_->AdvanceTo(watermark_);
    return Status::OK();
  }
  return InternalError("unexpected_frame", "a task received a frame meant for a sink");
}

Status Task::EmitOne(TaskHost* host) {
  ARROW_ASSIGN_OR_RAISE(auto batch, window_->NextOutput(kOutputRowsMax));
  if (batch == nullptr || batch->num_rows() == 0) return Status::OK();
  account_->windows_fired += batch->num_rows();
  const auto& ends = static_cast<const arrow::TimestampArray&>(*batch->column(kWindowEndColumn));
  PipelineContext context;
  context.windows_only = EventTime(Micros(ends.Value(0))) <= horizon_;
  host->SetFetched(fetched_);
  return pipeline_->Push(Rows{std::move(batch), nullptr}, context, host->outlet());
}

// Adds what changed since the last call: several tasks share the stream's account.
void Task::ReportCounts() {
  const WindowAggregateStats now = window_->stats();
  const auto open = [](const WindowAggregateStats& stats) {
    return stats.rows_added - stats.rows_counted - stats.rows_too_late;
  };
  account_->counted += now.rows_counted - reported_.rows_counted;
  account_->open += open(now) - open(reported_);
  reported_ = now;
}

}  // namespace millrace
