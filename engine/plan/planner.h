// Job to plan: parses and binds the SQL of every stream, settles types, and lays out nodes.
// Every mistake goes to `diagnostics` with its place in the job file.
#pragma once

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

// The plan is to be used only if !diagnostics->has_errors(); with errors it has no nodes. Pure:
// reads no clock and no file. Call it on a thread with the usual 8 MB of stack: the SQL parser's
// own recursion takes up to 5 MB for the longest text that is allowed (see syntax_tree.h).
JobPlan PlanJob(const JobSpec& job, Diagnostics* diagnostics);

}  // namespace millrace
