// Tells whether two processes plan a job in the same way, so that they lay out the same actors with
// the same state.
#pragma once

#include <string>

#include "engine/plan/plan.h"

namespace millrace {

// 16 hexadecimal digits of all that FormatPlan shows.
std::string PlanFingerprint(const JobPlan& plan);

}  // namespace millrace
