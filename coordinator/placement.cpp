#include "coordinator/placement.h"

#include <algorithm>

namespace millrace {

int32_t ParallelismOf(int32_t wanted, int32_t partitions, const std::vector<WorkerInfo>& workers) {
  int64_t offered = 0;
  for (const WorkerInfo& worker : workers) offered += worker.slots;
  const int64_t most = partitions > 0 ? std::min(partitions, kKeyGroupCount) : kKeyGroupCount;
  return int32_t(std::clamp<int64_t>(wanted > 0 ? wanted : offered, 1, most));
}

SlotWorkers PlaceSlots(int32_t slots, const std::vector<WorkerInfo>& workers,
                       const SlotWorkers& before) {
  std::vector<WorkerInfo> sorted = workers;
  std::ranges::sort(sorted, {}, &WorkerInfo::name);
  // Fair shares, by largest remainder: who has more now keeps the odd ones.
  int64_t offered = 0;
  for (const WorkerInfo& worker : sorted) offered += worker.slots;
  std::map<std::string, int32_t> had;
  for (const std::string& name : before) ++had[name];
  struct Share {
    std::string name;
    int32_t share = 0;
    int64_t remainder = 0;
    int32_t had = 0;
  };
  std::vector<Share> shares;
  int32_t left = slots;
  for (const WorkerInfo& worker : sorted) {
    const int64_t exact = int64_t(slots) * worker.slots;
    shares.push_back({worker.name, int32_t(exact / offered), exact % offered, had[worker.name]});
    left -= shares.back().share;
  }
  std::ranges::stable_sort(shares, [](const Share& a, const Share& b) {
    if (a.remainder != b.remainder) return a.remainder > b.remainder;
    return a.had > b.had;
  });
  for (size_t i = 0; i < shares.size() && left > 0; ++i, --left) ++shares[i].share;
  std::map<std::string, int32_t> room;
  for (const Share& share : shares) room[share.name] = share.share;

  SlotWorkers placed(static_cast<size_t>(slots));
  for (size_t slot = 0; slot < placed.size(); ++slot) {
    // At another parallelism: who had the first of its key groups.
    const size_t was = before.empty() ? 0 : slot * before.size() / placed.size();
    if (was >= before.size()) continue;
    const auto found = room.find(before[was]);
    if (found == room.end() || found->second == 0) continue;
    --found->second;
    placed[slot] = before[was];
  }
  auto next = room.begin();
  for (std::string& worker : placed) {
    if (!worker.empty()) continue;
    while (next->second == 0) ++next;
    --next->second;
    worker = next->first;
  }
  return placed;
}

std::vector<std::string> PlaceActors(const JobLayout& layout, const SlotWorkers& slots) {
  std::vector<std::string> workers;
  workers.reserve(layout.actors.size());
  for (const ActorPlan& actor : layout.actors) {
    const bool of_slot = actor.kind == ActorKind::kReader || actor.kind == ActorKind::kTask;
    const int32_t slot = of_slot ? actor.index : std::max(actor.shard, 0);
    workers.push_back(slots[size_t(slot) % slots.size()]);
  }
  return workers;
}

}  // namespace millrace
