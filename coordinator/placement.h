// Which worker has which actors of a job. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "engine/layout/job_layout.h"

namespace millrace {

// Slot i of a job: reader i of each of its sources, task i of each of its keyed nodes.
using SlotWorkers = std::vector<std::string>;

// How many slots a job has: what was asked for (0: as many as the workers offer), and never more
// than partitions (0: not known) or key groups.
int32_t ParallelismOf(int32_t wanted, int32_t partitions, const std::vector<WorkerInfo>& workers);

// Each slot's worker: evenly by what they offer, and where it was before, as far as that goes.
// `workers` is not empty.
SlotWorkers PlaceSlots(int32_t slots, const std::vector<WorkerInfo>& workers,
                       const SlotWorkers& before);

// By address: the name of the actor's worker. Outboxes, and what publishes with them, are spread as
// slots are.
std::vector<std::string> PlaceActors(const JobLayout& layout, const SlotWorkers& slots);

}  // namespace millrace
