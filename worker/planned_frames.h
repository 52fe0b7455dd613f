// What an actor takes over its channels, as the plan has it. Both ends plan the same job, so that
// what does not fit is a defect of whoever sent it, or a peer that is not what it should be: the
// attempt ends, before the rows are read as what they are not.
#pragma once

#include <arrow/type.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/plan/plan.h"
#include "engine/wire/messages.h"

namespace millrace {

// Of the receiving actor.
class PlannedFrames {
 public:
  // Of a task of the keyed node `node`, which has so many inputs.
  static PlannedFrames OfTask(const JobPlan& plan, NodeId node, size_t inputs);
  // Of an outbox or a publisher that takes rows of these sinks.
  static PlannedFrames OfSinks(const JobPlan& plan, const std::set<int32_t>& sinks, size_t inputs);

  // "unexpected_frame" (internal). Panes are for the operator to compare.
  Status Check(const ChannelFrame& frame);

 private:
  struct Columns {
    std::string of;  // whose, for people
    std::shared_ptr<arrow::Schema> planned;
    std::shared_ptr<arrow::Schema> fits;  // that was compared last
  };

  Status CheckRows(const DataFrame& data);

  size_t inputs_ = 0;
  NodeId node_{-1};                // of a task
  std::map<int32_t, Columns> of_;  // by sink; -1: of the task
};

}  // namespace millrace
