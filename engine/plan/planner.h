// Job to plan: parses and binds the SQL of every stream, settles types, and lays out nodes.
// Every mistake goes to `diagnostics` with its place in the job file.
#pragma once

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

// The plan is to be used only if !diagnostics->has_errors(). Pure: reads no clock and no file.
JobPlan PlanJob(const JobSpec& job, Diagnostics* diagnostics);

}  // namespace millrace
