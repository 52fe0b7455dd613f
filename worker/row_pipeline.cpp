#include "worker/row_pipeline.h"

#include <arrow/array.h>

#include <algorithm>
#include <numeric>

#include "engine/connectors/json/row_encoder.h"
#include "engine/connectors/kafka/record_partitioner.h"
#include "engine/event_time/partition_clock.h"
#include "engine/windows/column_reader.h"
#include "engine/windows/key_hash.h"
#include "engine/windows/top_rows.h"

namespace millrace {
namespace {

int64_t SourceRow(const std::vector<int32_t>& source_rows, int64_t row) {
  return source_rows.empty() ? row : source_rows[size_t(row)];
}

DeadLetter LetterOf(const SourceBatch& batch, int64_t row) {
  DeadLetter letter;
  letter.value = std::string(batch.originals->ValueOfRow(row));
  letter.key = std::string(batch.originals->KeyOfRow(row));
  letter.source = batch.partition;
  letter.offset = batch.rows.origins->offsets[size_t(row)];
  letter.index = batch.rows.origins->IndexOf(row);
  return letter;
}

// A hash like it, in another group.
constexpr uint64_t MovedTo(KeyGroup group, uint64_t hash) {
  return (hash >> 10) * uint64_t(kKeyGroupCount) + uint64_t(group.value());
}

// Hashes of rows, moved into the key group of what is in `columns`: one task has all rows that are
// equal there.
Status GatherBy(const arrow::RecordBatch& batch, const std::vector<int>& columns,
                std::vector<uint64_t>* hashes) {
  std::vector<uint64_t> gathered;
  ARROW_RETURN_NOT_OK(HashKeys(batch, columns, &gathered));
  for (size_t i = 0; i < gathered.size(); ++i) {
    (*hashes)[i] = MovedTo(KeyGroupOf(gathered[i]), (*hashes)[i]);
  }
  return Status::OK();
}

// The same, into the group of the partition that records of the key are in. Rows without it stay in
// the group of their keys.
Status PlaceByPartition(const arrow::RecordBatch& batch, const KeyPlacement& placement,
                        std::vector<uint64_t>* hashes) {
  ARROW_ASSIGN_OR_RAISE(const ColumnReader column,
                        ColumnReader::Make(*batch.column(placement.column)));
  for (size_t row = 0; row < hashes->size(); ++row) {
    if (column.IsNull(int64_t(row))) continue;
    const int32_t partition =
        PartitionOf(placement.partitioner, column.Text(int64_t(row)), placement.partitions);
    const KeyGroup group = GroupOfPartition(partition, placement.partitions);
    (*hashes)[row] = MovedTo(group, (*hashes)[row]);
  }
  return Status::OK();
}

// Records that are kept beyond the reader, and what they take there.
class SharedOriginals final : public OriginalRecords {
 public:
  explicit SharedOriginals(const SourceBatch& batch)
      : originals_(batch.originals), bytes_(batch.bytes) {}
  std::string_view ValueOfRow(int64_t row) const override { return originals_->ValueOfRow(row); }
  std::string_view KeyOfRow(int64_t row) const override { return originals_->KeyOfRow(row); }
  int64_t bytes() const override { return bytes_; }

 private:
  const std::shared_ptr<const OriginalRecords> originals_;
  const int64_t bytes_;
};

// Nulls are not true.
int64_t FalseRows(const arrow::Array& column) {
  if (column.type_id() != arrow::Type::BOOL) return column.length();
  return column.length() - static_cast<const arrow::BooleanArray&>(column).true_count();
}

}  // namespace

Result<std::unique_ptr<RowPipeline>> RowPipeline::Make(const JobPlan& plan, NodeId root,
                                                       JobAccount* account,
                                                       const LookupTables& lookups) {
  auto pipeline = std::unique_ptr<RowPipeline>(new RowPipeline(plan, account, lookups));
  const PlanNode& node = plan.node(root);
  const bool below_window = IsKeyed(node);
  for (NodeId child : plan.Children(root)) {
    ARROW_ASSIGN_OR_RAISE(size_t step, pipeline->AddStep(child, node, below_window));
    pipeline->roots_.push_back(step);
  }
  return pipeline;
}

Result<size_t> RowPipeline::AddStep(NodeId id, const PlanNode& parent, bool below_window) {
  const PlanNode& node = plan_.node(id);
  Step step;
  step.node = &node;
  step.account = &account_->stream(node.stream);
  step.enters_stream = node.stream != parent.stream;
  step.below_window = below_window && !step.enters_stream;
  if (const auto* project = std::get_if<ProjectNode>(&node.kind)) {
    if (project->unnest.has_value()) {
      ARROW_ASSIGN_OR_RAISE(step.unnest,
                            UnnestOperator::Make(*project, parent.output, node.output));
    } else {
      ARROW_ASSIGN_OR_RAISE(step.project,
                            ProjectOperator::Make(*project, parent.output, node.output));
    }
  } else if (std::holds_alternative<UnionNode>(node.kind)) {
    step.united = node.output.ToArrow();
  } else if (const auto* lookup = std::get_if<LookupNode>(&node.kind)) {
    const auto table = lookups_.find(lookup->lookup);
    if (table == lookups_.end()) {
      return InternalError("no_lookup", "lookup " + lookup->lookup + " was not opened");
    }
    ARROW_ASSIGN_OR_RAISE(step.lookup,
                          LookupOperator::Make(*lookup, parent.output, node.output, table->second));
  } else if (const auto* alert = std::get_if<AlertNode>(&node.kind)) {
    ARROW_ASSIGN_OR_RAISE(step.alert,
                          AlertOperator::Make(*alert, plan_.job, node.stream, parent.output));
  }
  // Alerts and sinks are of the stream, but do not make it.
  step.ends_stream = step.project != nullptr || step.unnest != nullptr || step.united != nullptr ||
                     step.lookup != nullptr;
  for (NodeId child : plan_.Children(id)) {
    const PlanNode& below = plan_.node(child);
    const bool is_end = std::holds_alternative<AlertNode>(below.kind) ||
                        std::holds_alternative<SinkNode>(below.kind);
    if (below.stream == node.stream && !is_end) step.ends_stream = false;
  }
  if (IsKeyed(node)) {
    step.keyed = KeyedInputOf(node);
  } else {
    for (NodeId child : plan_.Children(id)) {
      ARROW_ASSIGN_OR_RAISE(size_t index, AddStep(child, node, step.below_window));
      step.children.push_back(index);
    }
  }
  steps_.push_back(std::move(step));
  return steps_.size() - 1;
}

bool RowPipeline::unfolds() const {
  return std::ranges::any_of(steps_, [](const Step& step) { return step.unnest != nullptr; });
}

Status RowPipeline::Push(const Rows& rows, const PipelineContext& context, Outlet* outlet) {
  if (rows.size() == 0) return Status::OK();
  const Flow flow{rows, {}};
  for (size_t root : roots_) ARROW_RETURN_NOT_OK(Visit(steps_[root], flow, context, outlet));
  return Status::OK();
}

Status RowPipeline::Visit(const Step& step, const Flow& flow, const PipelineContext& context,
                          Outlet* outlet) {
  if (flow.rows.size() == 0) return Status::OK();
  if (context.audience != RowAudience::kAll && !IsFor(step, context.audience)) return Status::OK();
  if (step.project != nullptr) return VisitProject(step, flow, context, outlet);
  if (step.lookup != nullptr) return VisitLookup(step, flow, context, outlet);
  if (step.unnest != nullptr) return VisitUnnest(step, flow, context, outlet);
  if (step.united != nullptr) return VisitUnion(step, flow, context, outlet);
  if (step.alert != nullptr) return VisitAlert(step, flow, context, outlet);
  if (std::holds_alternative<LimitNode>(step.node->kind)) {
    return VisitLimit(step, flow, context, outlet);
  }
  if (step.keyed.has_value()) return VisitKeyed(step, flow, context, outlet);
  outlet->ToSink(step.node->id, std::get<SinkNode>(step.node->kind).sink_index, flow.rows);
  return Status::OK();
}

bool RowPipeline::IsFor(const Step& step, RowAudience audience) {
  if (const auto* sink = std::get_if<SinkNode>(&step.node->kind)) {
    return sink->takes_changes() == (audience == RowAudience::kChanges);
  }
  // What computes the window's stream itself leads to both.
  const bool computes = step.project != nullptr || step.lookup != nullptr;
  return audience == RowAudience::kFinal || (computes && !step.enters_stream);
}

Status RowPipeline::VisitProject(const Step& step, const Flow& flow, const PipelineContext& context,
                                 Outlet* outlet) {
  if (step.enters_stream) step.account->rows_in += flow.rows.size();
  ARROW_ASSIGN_OR_RAISE(Projected projected, step.project->Apply(flow.rows));
  return VisitComputed(step, flow, std::move(projected), context, outlet);
}

Status RowPipeline::VisitLookup(const Step& step, const Flow& flow, const PipelineContext& context,
                                Outlet* outlet) {
  if (step.enters_stream) step.account->rows_in += flow.rows.size();
  ARROW_ASSIGN_OR_RAISE(Projected joined, step.lookup->Apply(flow.rows));
  return VisitComputed(step, flow, std::move(joined), context, outlet);
}

Status RowPipeline::VisitComputed(const Step& step, const Flow& flow, Projected projected,
                                  const PipelineContext& context, Outlet* outlet) {
  // A dead letter is all of a reading, so that it may be read again.
  if (flow.is_unfolded() && context.source != nullptr) {
    ARROW_RETURN_NOT_OK(FailWholeReadings(flow.source_rows, &projected));
  }
  // What becomes of a window is told once, of its final row.
  const bool is_final = context.audience != RowAudience::kChanges;
  if (is_final) {
    (step.below_window ? step.account->output_filtered : step.account->filtered) +=
        projected.filtered_out;
  }
  if (is_final && !projected.errors.empty()) {
    ARROW_RETURN_NOT_OK(DropFailed(step, flow, projected.errors, context, outlet));
  }
  if (step.ends_stream && is_final) {
    step.account->rows_out += projected.rows.size();
    if (!step.below_window) step.account->counted += projected.rows.size();
  }
  return VisitChildren(step, flow, std::move(projected), context, outlet);
}

// The account is of what is unfolded: a row is counted when any of its items comes out.
Status RowPipeline::VisitUnnest(const Step& step, const Flow& flow, const PipelineContext& context,
                                Outlet* outlet) {
  step.account->rows_in += flow.rows.size();
  // A dead letter is all of a reading, also where that was unfolded before.
  const bool is_whole = flow.is_unfolded() && context.source != nullptr;
  ARROW_RETURN_NOT_OK(step.unnest->Begin(flow.rows, is_whole
                                                        ? std::span<const int32_t>(flow.source_rows)
                                                        : std::span<const int32_t>()));
  int64_t counted = flow.rows.size();
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(std::optional<Projected> piece, step.unnest->Next());
    if (!piece.has_value()) break;
    step.account->filtered += piece->filtered_out;
    step.account->rows_out += piece->rows.size();
    counted -= piece->filtered_out + int64_t(piece->errors.size());
    if (!piece->errors.empty()) {
      ARROW_RETURN_NOT_OK(DropFailed(step, flow, piece->errors, context, outlet));
    }
    ARROW_RETURN_NOT_OK(VisitChildren(step, flow, std::move(*piece), context, outlet));
  }
  step.account->counted += counted;
  return Status::OK();
}

// Columns have the names of the union; nothing is copied.
Status RowPipeline::VisitUnion(const Step& step, const Flow& flow, const PipelineContext& context,
                               Outlet* outlet) {
  const int64_t rows = flow.rows.size();
  if (step.enters_stream) step.account->rows_in += rows;
  if (step.ends_stream) {
    step.account->rows_out += rows;
    step.account->counted += rows;
  }
  Flow united = flow;
  united.rows.batch = arrow::RecordBatch::Make(step.united, rows, flow.rows.batch->columns());
  for (size_t child : step.children) {
    ARROW_RETURN_NOT_OK(Visit(steps_[child], united, context, outlet));
  }
  return Status::OK();
}

Status RowPipeline::VisitChildren(const Step& step, const Flow& flow, Projected projected,
                                  const PipelineContext& context, Outlet* outlet) {
  Flow next{std::move(projected.rows), std::move(projected.source_rows)};
  if (next.source_rows.empty()) {
    next.source_rows = flow.source_rows;
  } else if (!flow.source_rows.empty()) {
    for (int32_t& row : next.source_rows) row = flow.source_rows[size_t(row)];
  }
  for (size_t child : step.children) {
    ARROW_RETURN_NOT_OK(Visit(steps_[child], next, context, outlet));
  }
  return Status::OK();
}

Status RowPipeline::VisitLimit(const Step& step, const Flow& flow, const PipelineContext& context,
                               Outlet* outlet) {
  const TopRows& top = std::get<LimitNode>(step.node->kind).top;
  if (flow.rows.size() <= top.limit) {
    return Visit(steps_[step.children.front()], flow, context, outlet);
  }
  // The rows of a batch that comes out of a window are all of one window.
  Flow first{flow.rows, {}};
  ARROW_ASSIGN_OR_RAISE(first.rows.batch, FirstRows(flow.rows.batch, top));
  step.account->output_filtered += flow.rows.size() - first.rows.size();
  return Visit(steps_[step.children.front()], first, context, outlet);
}

Status RowPipeline::VisitKeyed(const Step& step, const Flow& flow, const PipelineContext& context,
                               Outlet* outlet) {
  const KeyedInput& keyed = *step.keyed;
  const auto* const window = std::get_if<WindowAggregateNode>(&step.node->kind);
  auto hashes = std::make_shared<std::vector<uint64_t>>();
  ARROW_RETURN_NOT_OK(HashKeys(*flow.rows.batch, keyed.keys, hashes.get()));
  if (step.node->placement.has_value()) {
    ARROW_RETURN_NOT_OK(PlaceByPartition(*flow.rows.batch, *step.node->placement, hashes.get()));
  }
  if (keyed.clock.has_value()) return VisitClocked(step, flow, context, std::move(hashes), outlet);
  if (window != nullptr && window->top.has_value()) {
    ARROW_RETURN_NOT_OK(GatherBy(*flow.rows.batch, {keyed.event_time}, hashes.get()));
  }
  const int64_t rows = flow.rows.size();
  selection_.resize(size_t(rows));
  // What is in time for the panes that it takes comes with them.
  const WindowAggregateNode* const giver =
      window == nullptr || window->panes_of.value() < 0
          ? nullptr
          : &std::get<WindowAggregateNode>(plan_.node(window->panes_of).kind);
  if (context.watermark_before == nullptr) {
    if (giver != nullptr) return Status::OK();
    std::iota(selection_.begin(), selection_.end(), 0u);
    outlet->ToWindow(step.node->id, flow.rows, std::move(hashes), selection_);
    return Status::OK();
  }

  const auto& times =
      static_cast<const arrow::TimestampArray&>(*flow.rows.batch->column(keyed.event_time));
  const int64_t* values = times.raw_values();
  std::vector<DeadLetter> letters;
  size_t selected = 0;
  int64_t late = 0;
  int64_t letter_row = -1;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t source_row = SourceRow(flow.source_rows, row);
    const EventTime watermark = (*context.watermark_before)[size_t(source_row)];
    const EventTime time{Micros(values[row])};
    if (!IsLate(time, keyed.pane, keyed.offset, MovedBack(watermark, keyed.allowed_lateness)))
        [[likely]] {
      if (giver == nullptr || IsLate(time, giver->pane, giver->offset, watermark)) {
        selection_[selected++] = uint32_t(row);
      }
      continue;
    }
    ++late;
    // The items of a reading are late together, and one letter is all of it.
    if (source_row == letter_row) continue;
    letter_row = source_row;
    DeadLetter letter = LetterOf(*context.source, source_row);
    letter.reason = "late";
    letter.stream = step.node->stream;
    letter.message = "event time " + FormatTimestamp(EventTime(Micros(values[row]))) +
                     " is behind the watermark " + FormatTimestamp(watermark);
    if (keyed.allowed_lateness > Micros(0)) {
      letter.message += " by more than the allowed lateness";
    }
    letters.push_back(std::move(letter));
  }
  if (late > 0) {
    step.account->late += late;
    account_->AddDeadLetters(step.node->stream, "late", late);
  }
  if (!letters.empty()) outlet->ToDeadLetters(std::move(letters));
  if (selected > 0) {
    outlet->ToWindow(step.node->id, flow.rows, std::move(hashes),
                     std::span(selection_).first(selected));
  }
  return Status::OK();
}

// Its tasks find what is late, by the clock of each key, and need the records for that.
Status RowPipeline::VisitClocked(const Step& step, const Flow& flow, const PipelineContext& context,
                                 std::shared_ptr<std::vector<uint64_t>> hashes, Outlet* outlet) {
  const KeyClock& clock = *step.keyed->clock;
  const arrow::RecordBatch& batch = *flow.rows.batch;
  if (clock.keys.size() < step.keyed->keys.size()) {
    ARROW_RETURN_NOT_OK(GatherBy(batch, clock.keys, hashes.get()));
  }
  if (clock.passes >= 0) step.account->filtered += FalseRows(*batch.column(clock.passes));
  Rows rows = flow.rows;
  if (context.source != nullptr) {
    rows.originals = std::make_shared<SharedOriginals>(*context.source);
    if (!flow.source_rows.empty()) {
      rows.original_rows = std::make_shared<std::vector<int32_t>>(flow.source_rows);
    }
  }
  selection_.resize(size_t(rows.size()));
  std::iota(selection_.begin(), selection_.end(), 0u);
  outlet->ToWindow(step.node->id, rows, std::move(hashes), selection_);
  return Status::OK();
}

Status RowPipeline::VisitAlert(const Step& step, const Flow& flow, const PipelineContext& context,
                               Outlet* outlet) {
  ARROW_ASSIGN_OR_RAISE(Alerted alerted, step.alert->Apply(flow.rows));
  if (!alerted.errors.empty()) {
    ARROW_RETURN_NOT_OK(DropFailed(step, flow, alerted.errors, context, outlet));
  }
  CountAlerts(alerted.rows);
  const Flow alerts{std::move(alerted.rows), {}};
  for (size_t child : step.children) {
    ARROW_RETURN_NOT_OK(Visit(steps_[child], alerts, context, outlet));
  }
  return Status::OK();
}

void RowPipeline::CountAlerts(const Rows& alerts) {
  if (alerts.size() == 0) return;
  const auto& names =
      static_cast<const arrow::StringArray&>(*alerts.batch->column(AlertSchema().IndexOf("alert")));
  std::map<std::string_view, int64_t> counts;
  for (int64_t row = 0; row < alerts.size(); ++row) ++counts[names.GetView(row)];
  for (const auto& [name, count] : counts) account_->AddAlerts(std::string(name), count);
}

Status RowPipeline::DropFailed(const Step& step, const Flow& flow,
                               const std::vector<RowError>& errors, const PipelineContext& context,
                               Outlet* outlet) {
  // A failed alert condition leaves the row itself in its stream: it is told, not counted out.
  const auto count = [&](const RowError& error) {
    if (step.alert == nullptr && !step.below_window) {
      account_->AddDeadLetters(step.node->stream, error.reason, 1);
      return;
    }
    if (step.alert == nullptr) step.account->output_failed += 1;
    account_->AddOutputDeadLetters(step.node->stream, error.reason, 1);
  };
  std::vector<DeadLetter> letters;
  int64_t letter_row = -1;
  for (const RowError& error : errors) {
    count(error);
    DeadLetter letter;
    if (context.source != nullptr) {
      // Rows of one reading have one letter, which says what the first of them that failed met.
      const int64_t source_row = SourceRow(flow.source_rows, error.row);
      if (source_row == letter_row) {
        if (letters.back().message.empty()) letters.back().message = error.message;
        continue;
      }
      letter_row = source_row;
      letter = LetterOf(*context.source, source_row);
    } else {
      Schema schema = plan_.node(step.node->input()).output;
      JsonRowEncoder encoder(schema);
      std::vector<size_t> ends;
      ARROW_RETURN_NOT_OK(
          encoder.Encode(*flow.rows.batch->Slice(error.row, 1), &letter.value, &ends));
    }
    letter.reason = error.reason;
    letter.message = error.message;
    letter.stream = step.node->stream;
    letters.push_back(std::move(letter));
  }
  if (!letters.empty()) outlet->ToDeadLetters(std::move(letters));
  return Status::OK();
}

}  // namespace millrace
