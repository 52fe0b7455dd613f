// Streams whose keys have a watermark each (event_time.per_key): which windows close by it, and
// what waits until a key that is away is taken for offline.
#pragma once

#include <string>

#include "engine/model/job.h"
#include "engine/plan/bound_job.h"
#include "engine/plan/plan_mistakes.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

// These return false after an error.

// The clock of a source that has one.
bool BindSourceClock(const SourceStreamSpec& spec, const PlanMistakes& mistakes,
                     BoundStream* stream);

// Whether the windows of a query close by the clocks of its input's keys, and what its rows go by.
bool BindClock(const SqlText& sql, const PlanMistakes& mistakes, const BoundJob& bound,
               BoundStream* stream);

// Of what has several inputs or puts rows in order: it goes by the fleet's watermark, which must be
// meant. `what` and `goes` tell so: "a join", "goes by".
bool CheckFleetClock(const SqlText& sql, const std::string& what, const std::string& goes,
                     const BoundJob& bound, const BoundStream& stream);

}  // namespace millrace
