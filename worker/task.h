// A task: owns the key groups of one window node that fall to it, and their state. Takes frames of
// its inputs in barrier order, adds rows to windows, fires what the watermark has passed, and runs
// what follows the window. No actor, no clock: task_actor.h feeds it. docs/architecture.md,
// "Tasks".
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/checkpoint/aligner.h"
#include "engine/windows/window_aggregate.h"
#include "engine/wire/frame.h"
#include "worker/account.h"
#include "worker/row_pipeline.h"

namespace millrace {

// What a task, a reader or a publisher needs of what runs it.
class TaskHost {
 public:
  virtual ~TaskHost() = default;
  virtual Outlet* outlet() = 0;
  virtual bool HasCredit() = 0;
  virtual void SetFetched(MonotonicTime fetched) = 0;
  virtual void Broadcast(const FrameBody& body) = 0;
  virtual void ForwardWatermark(EventTime watermark, MonotonicTime fetched) = 0;
  virtual void ReturnCredit(size_t input, const Frame& frame) = 0;
  // The task has `epoch` on every input and has passed it on.
  virtual void AcknowledgeBarrier(Epoch epoch) = 0;
  // Every input has ended and so have the outputs.
  virtual void Done() = 0;
};

class Task {
 public:
  // `horizon`: windows that end at or before it were published by an earlier run.
  static Result<std::unique_ptr<Task>> Make(const JobPlan& plan, NodeId node, size_t inputs,
                                            EventTime horizon, JobAccount* account);

  void Push(size_t input, std::shared_ptr<const Frame> frame);

  // Works until nothing is left to do, credit is out, or `frames_max` frames were taken. Returns
  // whether there is more to do at once.
  Result<bool> Run(TaskHost* host, int frames_max);

  WindowAggregateStats stats() const { return window_->stats(); }
  size_t frames_held() const { return aligner_.held(); }
  bool aligning() const { return aligner_.aligning(); }

 private:
  using Item = std::shared_ptr<const Frame>;
  Task(const JobPlan& plan, NodeId node, size_t inputs, EventTime horizon, JobAccount* account);
  bool FoldWatermark(size_t input, const Frame& frame);
  Result<bool> RunFrames(TaskHost* host, int frames_max);
  Status Take(size_t input, const Frame& frame, TaskHost* host);
  Status EmitOne(TaskHost* host);
  void ReportCounts();

  const PlanNode& node_;
  EventTime horizon_;
  StreamAccount* account_;
  std::unique_ptr<WindowAggregate> window_;
  std::unique_ptr<RowPipeline> pipeline_;
  BarrierAligner<Item> aligner_;
  std::vector<EventTime> input_watermarks_;
  EventTime watermark_ = kEventTimeMin;
  MonotonicTime fetched_{0};
  bool forward_watermark_ = false;  // once what it made due has been emitted
  WindowAggregateStats reported_;
  bool done_ = false;
};

}  // namespace millrace
