#include "worker/task.h"

#include <arrow/array.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/connectors/source.h"
#include "engine/joins/join_operator.h"
#include "engine/over/over_operator.h"
#include "engine/windows/window_aggregate.h"
#include "worker/reading_place.h"

namespace millrace {
namespace {

constexpr int64_t kOutputRowsMax = 4096;
// Entries of a sealed epoch that are written between two frames: the more there are the more at a
// time, so that an epoch takes a bounded number of frames, and at most what takes a few
// milliseconds.
constexpr int64_t kSliceEntriesMin = 512;
constexpr int64_t kSliceEntriesMax = 4096;
constexpr int64_t kSlicesOfAll = 128;
// The first operator of a task; it has one.
constexpr uint16_t kKeyedOperator = 1;

// Those and who takes their panes, and so on: what waits for the one waits for all.
std::vector<NodeId> WithTheirTakers(const JobPlan& plan, std::vector<NodeId> takers) {
  for (size_t i = 0; i < takers.size(); ++i) {
    const std::vector<NodeId> next = plan.TakersOfPanes(takers[i]);
    takers.insert(takers.end(), next.begin(), next.end());
  }
  return takers;
}

}  // namespace

Result<std::unique_ptr<KeyedOperator>> MakeKeyedOperator(const JobPlan& plan,
                                                         const PlanNode& node) {
  const Schema& input = plan.node(node.input()).output;
  if (const auto* over = std::get_if<OverNode>(&node.kind)) {
    return OverOperator::Make(*over, input, node.output);
  }
  if (const auto* join = std::get_if<JoinNode>(&node.kind)) {
    return JoinOperator::Make(*join, input, node.output);
  }
  return WindowAggregate::Make(std::get<WindowAggregateNode>(node.kind), input, node.output);
}

std::string StateFingerprint(const JobPlan& plan, const PlanNode& node,
                             const KeyedOperator& keyed) {
  return keyed.Fingerprint() + "; " + FormatKeyedInput(plan, node);
}

Task::Task(const JobPlan& plan, const TaskOptions& options, JobAccount* account)
    : plan_(plan),
      node_(plan.node(options.node)),
      window_(std::get_if<WindowAggregateNode>(&node_.kind)),
      options_(options),
      job_account_(account),
      account_(&account->stream(node_.stream)),
      aligner_(options.inputs),
      input_watermarks_(options.inputs, options.watermark),
      watermark_(options.watermark) {}

Result<std::unique_ptr<Task>> Task::Make(const JobPlan& plan, const TaskOptions& options,
                                         StateStore* store, JobAccount* account,
                                         const LookupTables& lookups) {
  auto task = std::unique_ptr<Task>(new Task(plan, options, account));
  ARROW_ASSIGN_OR_RAISE(task->operator_, MakeKeyedOperator(plan, task->node_));
  task->takers_ = plan.TakersOfPanes(options.node);
  ARROW_RETURN_NOT_OK(task->operator_->Open(store, kKeyedOperator));
  task->reported_ = task->operator_->stats();
  task->operator_->AdvanceTo(options.watermark);
  ARROW_ASSIGN_OR_RAISE(task->pipeline_, RowPipeline::Make(plan, options.node, account, lookups));
  return task;
}

void Task::Push(size_t input, std::shared_ptr<const Frame> frame) {
  if (!FoldWatermark(input, *frame)) aligner_.Push(input, std::move(frame));
}

// Watermarks cost no credit. One that follows another that waits takes its place, so that a task
// which waits for credit holds at most one between rows or barriers.
bool Task::FoldWatermark(size_t input, const Frame& frame) {
  const auto* moved = std::get_if<WatermarkFrame>(&frame.body);
  std::shared_ptr<const Frame>* const last = aligner_.LastHeld(input);
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
  bool idle = false;  // no frame was there
  while (!done_ || checkpoint_.writing()) {
    // The epoch that is written does not wait for those who take the output; but rows do not wait
    // for the disk: while the store is behind, a slice is written only where nothing else is to do.
    const bool blocked = done_ || !host->HasCredit();
    if (checkpoint_.writing() && (idle || blocked || !operator_->StoreIsBehind())) {
      ARROW_RETURN_NOT_OK(WriteSlice(host));
    }
    if (blocked) {
      if (!checkpoint_.writing()) return false;  // resumes when credit comes back
      if (taken++ >= frames_max) return true;
      continue;
    }
    if (taken >= frames_max) return true;
    ++taken;
    if (operator_->HasOutput()) {
      ARROW_RETURN_NOT_OK(EmitOne(host));
      if (operator_->MayEvictWhileDue()) ARROW_RETURN_NOT_OK(EvictIfTooLarge(host).status());
      continue;
    }
    if (barrier_.has_value()) {
      ARROW_RETURN_NOT_OK(ReachBarrier(*std::exchange(barrier_, std::nullopt), host));
      continue;
    }
    if (forward_watermark_) {
      forward_watermark_ = false;
      host->ForwardWatermark(operator_->OutputWatermark(), fetched_);
      ReportCounts();
    }
    if (ShowRunning(host)) continue;
    if (grown_) {
      ARROW_ASSIGN_OR_RAISE(const bool fits, EvictIfTooLarge(host));
      if (!fits) continue;
      grown_ = false;
    }
    ARROW_ASSIGN_OR_RAISE(auto ready, aligner_.Next());
    idle = !ready.has_value();
    if (idle) {
      if (checkpoint_.writing()) continue;
      return false;
    }
    switch (ready->kind) {
      case FrameAligner::Ready::Kind::kItem:
        ARROW_RETURN_NOT_OK(Take(ready->input, **ready->item, host));
        host->ReturnCredit(ready->input, **ready->item);
        grown_ = true;
        break;
      case FrameAligner::Ready::Kind::kBarrier:
        // What corrects windows is of this epoch: only memory knows of it.
        operator_->ShowChanges(WindowChanges::kCorrections);
        if (operator_->HasOutput()) {
          barrier_ = ready->epoch;
        } else {
          ARROW_RETURN_NOT_OK(ReachBarrier(ready->epoch, host));
        }
        break;
      case FrameAligner::Ready::Kind::kAllEnded:
        done_ = true;
        ReportCounts();
        host->Broadcast(EndFrame{});
        host->Done();
        break;
    }
  }
  return false;
}

Status Task::ReachBarrier(Epoch epoch, TaskHost* host) {
  // The one before was given up by the coordinator, or is only slow: its state goes first.
  while (checkpoint_.writing()) ARROW_RETURN_NOT_OK(WriteSlice(host));
  ReportCounts();
  ARROW_RETURN_NOT_OK(checkpoint_.OnBarrier(epoch));
  const MonotonicTime start = host->Now();
  ARROW_RETURN_NOT_OK(operator_->Seal());
  host->OnCheckpointStall(host->Now() - start);
  sealed_.Clear();
  *sealed_.mutable_account() = job_account_->Counts();
  host->Broadcast(BarrierFrame{epoch});
  host->OnBarrier(epoch);
  return Status::OK();
}

Status Task::WriteSlice(TaskHost* host) {
  const MonotonicTime start = host->Now();
  ARROW_ASSIGN_OR_RAISE(const bool more, operator_->WriteSealed(SliceEntries()));
  host->OnCheckpointStall(host->Now() - start);
  if (more) return Status::OK();
  checkpoint_.OnWritten();
  host->GatherState(checkpoint_.epoch());
  // Nearly everything has just been written: forgetting it now costs least.
  if (operator_->HasOutput() || operator_->HasChanges(WindowChanges::kAll) ||
      EvictableBytes() <= options_.state_bytes_max / 2) {
    return Status::OK();
  }
  return operator_->Evict();
}

int64_t Task::EvictableBytes() const {
  const KeyedOperatorStats stats = operator_->stats();
  return stats.state_bytes - stats.index_bytes;
}

int64_t Task::SliceEntries() const {
  return std::clamp(operator_->stats().open_panes / kSlicesOfAll, kSliceEntriesMin,
                    kSliceEntriesMax);
}

Status Task::OnGathered(Epoch epoch, const Result<proto::TaskState>& state, TaskHost* host) {
  ARROW_RETURN_NOT_OK(state.status());
  if (checkpoint_.OnGathered(epoch) == TaskCheckpoint::Gathered::kStale) return Status::OK();
  *sealed_.mutable_task() = *state;
  host->Acknowledge(epoch, std::move(sealed_));
  sealed_.Clear();
  return Status::OK();
}

// While an epoch is written its state may not be pushed out: it would mix with what came after. So
// all of it is written first, and rows wait. Rows that are due, or that have changed and are to be
// shown, are given out before; then there is nothing to evict yet, and this returns false.
Result<bool> Task::EvictIfTooLarge(TaskHost* host) {
  if (EvictableBytes() <= options_.state_bytes_max) return true;
  operator_->ShowChanges(WindowChanges::kAll);
  if (operator_->HasOutput() && !operator_->MayEvictWhileDue()) return false;
  while (checkpoint_.writing()) ARROW_RETURN_NOT_OK(WriteSlice(host));
  if (EvictableBytes() > options_.state_bytes_max) ARROW_RETURN_NOT_OK(operator_->Evict());
  return true;
}

// Running rows come at most so often, and only where something has changed.
bool Task::ShowRunning(TaskHost* host) {
  if (window_ == nullptr || window_->changes_every == Micros(0) ||
      !operator_->HasChanges(WindowChanges::kAll))
    return false;
  const MonotonicTime now = host->Now();
  if (!changes_due_.has_value()) changes_due_ = now + window_->changes_every;
  if (now < *changes_due_) {
    host->RunAfter(*changes_due_ - now);
    return false;
  }
  changes_due_.reset();
  operator_->ShowChanges(WindowChanges::kAll);
  return operator_->HasOutput();
}

Status Task::Take(size_t input, const Frame& frame, TaskHost* host) {
  if (const auto* data = std::get_if<DataFrame>(&frame.body)) {
    if (data->rows.are_panes) {
      return operator_->AddPanes(*data->rows.batch, *data->hashes, data->selection);
    }
    return TakeRows(*data, host);
  }
  if (const auto* moved = std::get_if<WatermarkFrame>(&frame.body)) {
    input_watermarks_[input] = std::max(input_watermarks_[input], moved->watermark);
    const EventTime least = *std::min_element(input_watermarks_.begin(), input_watermarks_.end());
    if (least <= watermark_) return Status::OK();
    watermark_ = least;
    fetched_ = moved->fetched;
    forward_watermark_ = true;
    operator_->AdvanceTo(watermark_);
    return Status::OK();
  }
  return InternalError("unexpected_frame", "a task received a frame meant for a sink");
}

Status Task::TakeRows(const DataFrame& data, TaskHost* host) {
  if (data.rows.origins != nullptr) operator_->SetSource(data.rows.origins->source);
  taking_ = data.rows.origins;
  ARROW_RETURN_NOT_OK(operator_->Add(*data.rows.batch, *data.hashes, data.selection));
  taking_.reset();
  if (!operator_->late_rows().empty()) RefuseLate(data.rows, host->outlet());
  // Rows themselves make windows due where keys have clocks.
  if (operator_->HasOutput()) fetched_ = data.fetched;
  return Status::OK();
}

std::string Task::Place() const { return taking_ == nullptr ? "" : PlaceOf(*taking_); }

void Task::RefuseLate(const Rows& rows, Outlet* outlet) {
  const std::span<const LateRow> late = operator_->late_rows();
  account_->late += int64_t(late.size());
  job_account_->AddDeadLetters(node_.stream, "late", int64_t(late.size()));
  if (rows.originals == nullptr) return;
  const int event_time = KeyedInputOf(node_).event_time;
  const auto& times = static_cast<const arrow::TimestampArray&>(*rows.batch->column(event_time));
  std::vector<DeadLetter> letters;
  int64_t letter_row = -1;
  for (const LateRow& each : late) {
    // The items of a reading that are late have one letter, which is all of it.
    const int64_t row =
        rows.original_rows == nullptr ? each.row : (*rows.original_rows)[size_t(each.row)];
    if (row == letter_row) continue;
    letter_row = row;
    DeadLetter letter;
    letter.value = std::string(rows.originals->ValueOfRow(row));
    letter.key = std::string(rows.originals->KeyOfRow(row));
    letter.source = rows.origins->source;
    letter.offset = rows.origins->offsets[each.row];
    letter.index = rows.origins->IndexOf(each.row);
    letter.reason = "late";
    letter.stream = node_.stream;
    letter.message = "event time " + FormatTimestamp(EventTime(Micros(times.Value(each.row)))) +
                     " is behind the watermark of its key, " + FormatTimestamp(each.watermark);
    letters.push_back(std::move(letter));
  }
  outlet->ToDeadLetters(std::move(letters));
}

Status Task::EmitOne(TaskHost* host) {
  ARROW_ASSIGN_OR_RAISE(KeyedOutput output, operator_->NextOutput(kOutputRowsMax));
  if (output.batch == nullptr || output.batch->num_rows() == 0) return Status::OK();
  host->SetFetched(fetched_);
  if (output.audience == RowAudience::kPanes) {
    HandOnPanes(std::move(output.batch), host->outlet());
    return Status::OK();
  }
  const int64_t rows = output.batch->num_rows();
  if (is_top()) {
    top_given_ += rows;
  } else if (window_ != nullptr && output.audience != RowAudience::kChanges) {
    account_->windows_fired += rows;
  }
  PipelineContext context;
  context.audience = output.audience;
  return pipeline_->Push(Rows{std::move(output.batch), nullptr, output.kind}, context,
                         host->outlet());
}

void Task::HandOnPanes(std::shared_ptr<arrow::RecordBatch> batch, Outlet* outlet) {
  const auto& column = static_cast<const arrow::UInt64Array&>(*batch->GetColumnByName("hash"));
  const auto hashes = std::make_shared<const std::vector<uint64_t>>(
      column.raw_values(), column.raw_values() + column.length());
  std::vector<uint32_t> selection(hashes->size());
  std::iota(selection.begin(), selection.end(), 0u);
  Rows panes;
  panes.batch = std::move(batch);
  panes.are_panes = true;
  for (const NodeId taker : takers_) outlet->ToWindow(taker, panes, hashes, selection);
}

// Adds what changed since the last call: several tasks share the stream's account.
void Task::ReportCounts() {
  const KeyedOperatorStats now = operator_->stats();
  // Below the stream's own window: rows that it had given out.
  if (is_top()) {
    account_->output_filtered += now.rows_counted - reported_.rows_counted - top_given_;
    top_given_ = 0;
    reported_ = now;
    return;
  }
  account_->counted += now.rows_counted - reported_.rows_counted;
  account_->open += now.rows_open() - reported_.rows_open();
  // Rows of those who take panes are here until their pane has ended.
  const auto waiting = [](const KeyedOperatorStats& stats) {
    return stats.rows_added - stats.rows_too_late - stats.rows_handed_on;
  };
  for (const NodeId taker : WithTheirTakers(plan_, takers_)) {
    job_account_->stream(plan_.node(taker).stream).open += waiting(now) - waiting(reported_);
  }
  reported_ = now;
}

}  // namespace millrace
