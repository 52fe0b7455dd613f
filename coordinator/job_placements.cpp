#include "coordinator/job_placements.h"

namespace millrace {
namespace {

enum class Standing { kGone, kOnItsWay, kThere };

Standing StandingOf(JobPhase phase) {
  switch (phase) {
    case JobPhase::kWaiting:
    case JobPhase::kPreparing:
    case JobPhase::kStopping:
    case JobPhase::kEnding:
      return Standing::kOnItsWay;
    case JobPhase::kDeploying:
    case JobPhase::kRunning:
      return Standing::kThere;
    case JobPhase::kPaused:
    case JobPhase::kCanceled:
    case JobPhase::kFinished:
    case JobPhase::kFailed:
      return Standing::kGone;
  }
  return Standing::kGone;
}

}  // namespace

std::vector<WorkerCapacity> CapacitiesOf(const std::vector<WorkerInfo>& workers) {
  std::vector<WorkerCapacity> capacities;
  capacities.reserve(workers.size());
  for (const WorkerInfo& worker : workers) capacities.push_back({worker.name, worker.slots});
  return capacities;
}

JobDemand JobPlacements::DemandOf(const std::string& name, const Placed& placed) const {
  JobDemand demand;
  demand.name = name;
  demand.wanted = placed.wanted;
  demand.kept = placed.kept;
  demand.partitions = placed.partitions;
  demand.before = placed.placement.slots;
  demand.cores = meter_.CoresOf(name);
  return demand;
}

const JobPlacement& JobPlacements::Place(const std::string& name, int64_t attempt, int32_t wanted,
                                         int32_t partitions, const std::vector<WorkerInfo>& workers,
                                         const Jobs& jobs, int32_t kept) {
  planned_.reset();
  Placed& placed = placed_[name];
  placed.wanted = wanted;
  placed.kept = kept;
  placed.partitions = partitions;
  std::vector<JobDemand> demands = {DemandOf(name, placed)};
  for (const auto& [other, of] : placed_) {
    const auto job = jobs.find(other);
    if (other == name || job == jobs.end()) continue;
    const Standing standing = StandingOf(job->second.phase);
    if (standing == Standing::kGone) continue;
    demands.push_back(DemandOf(other, of));
    demands.back().fixed = standing == Standing::kThere;
  }
  placed.placement = std::move(Assign(CapacitiesOf(workers), demands).jobs.front());
  meter_.Begin(name, attempt, int32_t(placed.placement.slots.size()));
  return placed.placement;
}

bool JobPlacements::WouldMove(const std::string& name, const std::vector<WorkerInfo>& workers,
                              const Jobs& jobs) {
  const auto placed = placed_.find(name);
  if (placed == placed_.end() || workers.empty()) return false;
  if (!planned_.has_value()) {
    std::vector<JobDemand> demands;
    for (const auto& [other, of] : placed_) {
      const auto job = jobs.find(other);
      if (job == jobs.end() || StandingOf(job->second.phase) == Standing::kGone) continue;
      demands.push_back(DemandOf(other, of));
    }
    Assignment assignment = Assign(CapacitiesOf(workers), demands);
    planned_.emplace();
    for (size_t i = 0; i < demands.size(); ++i) {
      (*planned_)[demands[i].name] = std::move(assignment.jobs[i].slots);
    }
  }
  const auto planned = planned_->find(name);
  return planned != planned_->end() && planned->second != placed->second.placement.slots;
}

void JobPlacements::TakeLoad(const proto::AttemptLoad& load, MonotonicTime now) {
  for (const proto::SlotLoad& slot : load.slots()) {
    meter_.Take(load.job(), load.attempt(), slot.slot(), Micros(slot.cpu_micros()), now);
  }
}

void JobPlacements::Forget(const std::string& name) {
  placed_.erase(name);
  meter_.Forget(name);
}

const JobPlacement* JobPlacements::Find(const std::string& name) const {
  const auto placed = placed_.find(name);
  return placed == placed_.end() ? nullptr : &placed->second.placement;
}

}  // namespace millrace
