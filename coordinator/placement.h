// Which worker has which actors of a job, by which has its slots. Pure.
#pragma once

#include <string>
#include <vector>

#include "coordinator/assignment.h"
#include "engine/layout/job_layout.h"

namespace millrace {

// By address: the name of the actor's worker. Outboxes, and what publishes with them, are spread
// evenly over the slots.
std::vector<std::string> PlaceActors(const JobLayout& layout, const SlotWorkers& slots);

}  // namespace millrace
