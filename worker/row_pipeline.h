// The row-wise part of a job below one owner (a source or a keyed node): projections, joins with
// lookups, alerts, and the edges to sinks and to the next keyed nodes. Run by a reader right after
// decoding, while the original bytes of every reading are at hand, and by a task on the rows that
// it gives out.
//
// Here readings are found late, once, before they are grouped (docs/event-time.md; but where keys
// have watermarks of their own, which tasks keep), and here rows whose expression fails become dead
// letters. Used by one actor at a time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/base/status.h"
#include "engine/connectors/source.h"
#include "engine/lookups/lookup_operator.h"
#include "engine/model/dead_letter.h"
#include "engine/model/rows.h"
#include "engine/operators/alert.h"
#include "engine/operators/project.h"
#include "engine/operators/unnest.h"
#include "engine/plan/plan.h"
#include "engine/windows/keyed_operator.h"
#include "worker/account.h"

namespace millrace {

// Where a pipeline's output goes.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // To a keyed node. `hashes`: of its keys, one for every row; `selection`: the rows meant.
  virtual void ToWindow(NodeId node, const Rows& rows,
                        std::shared_ptr<const std::vector<uint64_t>> hashes,
                        std::span<const uint32_t> selection) = 0;
  virtual void ToSink(NodeId node, int sink_index, const Rows& rows) = 0;
  virtual void ToDeadLetters(std::vector<DeadLetter> letters) = 0;
};

// What is known of the rows that enter.
struct PipelineContext {
  // Rows of a source: the batch they came in, and for each of its rows the watermark that decides
  // lateness. Null for rows of a window, which are never late.
  const SourceBatch* source = nullptr;
  const std::vector<EventTime>* watermark_before = nullptr;
  // Rows of a window: whose they are. Changes go to sinks of the window's own stream only.
  RowAudience audience = RowAudience::kAll;
};

class RowPipeline {
 public:
  // `root` is a source or a keyed node; `lookups` has those of the plan. `plan` and `account`
  // outlive the pipeline.
  static Result<std::unique_ptr<RowPipeline>> Make(const JobPlan& plan, NodeId root,
                                                   JobAccount* account,
                                                   const LookupTables& lookups = {});

  // Whether arrays are unfolded, so that rows may become very many.
  bool unfolds() const;

  // `rows` is output of the root.
  Status Push(const Rows& rows, const PipelineContext& context, Outlet* outlet);

 private:
  struct Step {
    const PlanNode* node = nullptr;
    StreamAccount* account = nullptr;
    bool enters_stream = false;  // its input belongs to another stream
    bool below_window = false;
    bool ends_stream = false;  // its output is the stream itself
    std::unique_ptr<ProjectOperator> project;
    std::unique_ptr<UnnestOperator> unnest;  // in place of `project`
    std::unique_ptr<LookupOperator> lookup;
    std::unique_ptr<AlertOperator> alert;
    std::shared_ptr<arrow::Schema> united;  // of a union: its columns
    std::optional<KeyedInput> keyed;        // of a node with tasks of its own
    std::vector<size_t> children;
  };
  // Rows with the source row of each (empty: the same).
  struct Flow {
    Rows rows;
    std::vector<int32_t> source_rows;

    // Whether several rows may be of one source row.
    bool is_unfolded() const { return rows.items != nullptr; }
  };

  RowPipeline(const JobPlan& plan, JobAccount* account, const LookupTables& lookups)
      : plan_(plan), account_(account), lookups_(lookups) {}
  Result<size_t> AddStep(NodeId id, const PlanNode& parent, bool below_window);
  static bool IsFor(const Step& step, RowAudience audience);
  Status Visit(const Step& step, const Flow& flow, const PipelineContext& context, Outlet* outlet);
  Status VisitProject(const Step& step, const Flow& flow, const PipelineContext& context,
                      Outlet* outlet);
  Status VisitLookup(const Step& step, const Flow& flow, const PipelineContext& context,
                     Outlet* outlet);
  Status VisitComputed(const Step& step, const Flow& flow, Projected projected,
                       const PipelineContext& context, Outlet* outlet);
  Status VisitUnnest(const Step& step, const Flow& flow, const PipelineContext& context,
                     Outlet* outlet);
  Status VisitUnion(const Step& step, const Flow& flow, const PipelineContext& context,
                    Outlet* outlet);
  Status VisitChildren(const Step& step, const Flow& flow, Projected projected,
                       const PipelineContext& context, Outlet* outlet);
  Status VisitLimit(const Step& step, const Flow& flow, const PipelineContext& context,
                    Outlet* outlet);
  Status VisitKeyed(const Step& step, const Flow& flow, const PipelineContext& context,
                    Outlet* outlet);
  Status VisitClocked(const Step& step, const Flow& flow, const PipelineContext& context,
                      std::shared_ptr<std::vector<uint64_t>> hashes, Outlet* outlet);
  Status VisitAlert(const Step& step, const Flow& flow, const PipelineContext& context,
                    Outlet* outlet);
  void CountAlerts(const Rows& alerts);
  Status DropFailed(const Step& step, const Flow& flow, const std::vector<RowError>& errors,
                    const PipelineContext& context, Outlet* outlet);

  const JobPlan& plan_;
  JobAccount* account_;
  const LookupTables lookups_;
  std::vector<Step> steps_;
  std::vector<size_t> roots_;
  std::vector<uint32_t> selection_;  // scratch
};

}  // namespace millrace
