// A task: owns the key groups of one keyed node (a window aggregate, an OVER, a join) that fall to
// it, and their state. Takes frames of its inputs in barrier order, adds rows, gives out what the
// watermark makes due, and runs what follows the node. At a barrier it seals its state and goes on;
// what is sealed is written in slices between frames. No actor, no clock: task_actor.cpp feeds it.
// docs/exactly-once.md, "The task".
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/checkpoint/task_checkpoint.h"
#include "engine/windows/keyed_operator.h"
#include "engine/wire/frame.h"
#include "worker/account.h"
#include "worker/frame_aligner.h"
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
  // The barrier is on every input and has been passed on.
  virtual void OnBarrier(Epoch epoch) {}
  // How long work for a checkpoint (sealing, a slice of writing) kept rows waiting, by Now.
  virtual void OnCheckpointStall(MonotonicTime took) {}
  virtual MonotonicTime Now() { return MonotonicTime(0); }
  // Calls Run again after `wait`, though nothing arrives until then.
  virtual void RunAfter(MonotonicTime wait) {}
  // Everything sealed for `epoch` is with the store: gather it, bring its files to safety, and tell
  // Task::OnGathered. Does not block.
  virtual void GatherState(Epoch epoch) = 0;
  // What the participant holds at the barrier is safe.
  virtual void Acknowledge(Epoch epoch, proto::Acknowledgement what) = 0;
  // Every input has ended and so have the outputs.
  virtual void Done() = 0;
};

struct TaskOptions {
  NodeId node;
  size_t inputs = 1;
  // What its inputs had told before the checkpoint that the job goes on from.
  EventTime watermark = kEventTimeMin;
  // Open windows, or rows that are kept, beyond this are written out and left in the store.
  int64_t state_bytes_max = INT64_MAX;
};

// The operator of a keyed node, without state.
Result<std::unique_ptr<KeyedOperator>> MakeKeyedOperator(const JobPlan& plan, const PlanNode& node);

// What a keyed node's state is of: its windows, keys and aggregates, and what reaches it.
std::string StateFingerprint(const JobPlan& plan, const PlanNode& node, const KeyedOperator& keyed);

class Task {
 public:
  // `store` is fresh or holds what was restored; it, `plan` and `account` outlive the task.
  // `lookups` has those of the plan.
  static Result<std::unique_ptr<Task>> Make(const JobPlan& plan, const TaskOptions& options,
                                            StateStore* store, JobAccount* account,
                                            const LookupTables& lookups = {});

  void Push(size_t input, std::shared_ptr<const Frame> frame);

  // Works until nothing is left to do, credit is out, or `frames_max` frames were taken. Returns
  // whether there is more to do at once.
  Result<bool> Run(TaskHost* host, int frames_max);

  // The files of `epoch` are in the storage, or why not.
  Status OnGathered(Epoch epoch, const Result<proto::TaskState>& state, TaskHost* host);

  // Of the rows that it takes in just now, if they are a source's; for a failure. "": of none.
  std::string Place() const;

  // What its state is of: another query's is refused.
  std::string Fingerprint() const { return StateFingerprint(plan_, node_, *operator_); }
  KeyedOperatorStats stats() const { return operator_->stats(); }
  const std::string& stream() const { return node_.stream; }
  // Whether keys of the stream's source have watermarks that this task keeps, beside the fleet's.
  bool counts_keys() const {
    return window_ != nullptr && window_->clock.has_value() &&
           window_->clock->offline_for > Micros(0);
  }
  // Looks at every key.
  KeyCensus Census() const { return operator_->Census(); }
  size_t frames_held() const { return aligner_.held(); }
  bool aligning() const { return aligner_.aligning(); }

 private:
  Task(const JobPlan& plan, const TaskOptions& options, JobAccount* account);
  bool FoldWatermark(size_t input, const Frame& frame);
  Result<bool> RunFrames(TaskHost* host, int frames_max);
  Status Take(size_t input, const Frame& frame, TaskHost* host);
  Status TakeRows(const DataFrame& data, TaskHost* host);
  void RefuseLate(const Rows& rows, Outlet* outlet);
  Status EmitOne(TaskHost* host);
  void HandOnPanes(std::shared_ptr<arrow::RecordBatch> batch, Outlet* outlet);
  Status ReachBarrier(Epoch epoch, TaskHost* host);
  Status WriteSlice(TaskHost* host);
  int64_t SliceEntries() const;
  int64_t EvictableBytes() const;
  Result<bool> EvictIfTooLarge(TaskHost* host);
  bool ShowRunning(TaskHost* host);
  bool is_top() const { return window_ != nullptr && window_->top.has_value(); }
  void ReportCounts();

  const JobPlan& plan_;
  const PlanNode& node_;
  const WindowAggregateNode* const window_;  // null: the node is none
  const TaskOptions options_;
  JobAccount* job_account_;
  StreamAccount* account_;
  std::unique_ptr<KeyedOperator> operator_;
  std::unique_ptr<RowPipeline> pipeline_;
  std::vector<NodeId> takers_;  // of its panes
  std::shared_ptr<const Origins> taking_;
  FrameAligner aligner_;
  std::vector<EventTime> input_watermarks_;
  EventTime watermark_ = kEventTimeMin;
  MonotonicTime fetched_{0};
  bool forward_watermark_ = false;  // once what it made due has been emitted
  KeyedOperatorStats reported_;
  int64_t top_given_ = 0;         // rows since the last report, where the node has `top`
  bool grown_ = false;            // since it was last seen whether memory is enough
  std::optional<Epoch> barrier_;  // on every input, and waits for what is due
  std::optional<MonotonicTime> changes_due_;  // when running rows come next
  TaskCheckpoint checkpoint_;
  proto::Acknowledgement sealed_;  // of checkpoint_.epoch(), but for its files
  bool done_ = false;
};

}  // namespace millrace
