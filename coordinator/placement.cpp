#include "coordinator/placement.h"

#include <algorithm>

namespace millrace {

std::vector<std::string> PlaceActors(const JobLayout& layout, const SlotWorkers& slots) {
  int32_t shards = 1;
  for (const ActorPlan& actor : layout.actors) shards = std::max(shards, actor.shard + 1);
  std::vector<std::string> workers;
  workers.reserve(layout.actors.size());
  for (const ActorPlan& actor : layout.actors) {
    const bool of_slot = actor.kind == ActorKind::kReader || actor.kind == ActorKind::kTask;
    const size_t slot = of_slot ? size_t(actor.index) % slots.size()
                                : size_t(std::max(actor.shard, 0)) * slots.size() / size_t(shards);
    workers.push_back(slots[slot]);
  }
  return workers;
}

}  // namespace millrace
