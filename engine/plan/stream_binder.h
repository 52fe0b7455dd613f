// Binds every stream of a job to what it reads, and says what its rows are: their columns, their
// time, what they are known by.
#pragma once

#include "engine/model/job.h"
#include "engine/plan/bound_job.h"
#include "engine/plan/plan_mistakes.h"

namespace millrace {

// Of the streams that ReadStreams found. Those with a mistake, which is told, are not `bound`.
void BindStreams(const JobSpec& job, const PlanMistakes& mistakes, BoundJob* bound);

}  // namespace millrace
