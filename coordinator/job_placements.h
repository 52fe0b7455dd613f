// Where the jobs of a cluster are and are to be: what assignment.h decides, with what is known of
// jobs from attempt to attempt, their slots and their load. No clock; of the thread that decides.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/assignment.h"
#include "coordinator/cluster_state.h"
#include "coordinator/load_meter.h"

namespace millrace {

class JobPlacements {
 public:
  using Jobs = std::map<std::string, ClusterState::Job>;

  // A job that is prepared to run on these workers, for its next attempt. `partitions`: of its
  // largest source; `kept`: as JobDemand's. Jobs that are deployed or run stay where they are;
  // those that are on their way to their next attempt, too, count where they would be, as the same
  // change may have stopped them.
  const JobPlacement& Place(const std::string& name, int64_t attempt, int32_t wanted,
                            int32_t partitions, const std::vector<WorkerInfo>& workers,
                            const Jobs& jobs, int32_t kept = 0);
  // Whether the job would be placed otherwise, were all jobs placed now.
  bool WouldMove(const std::string& name, const std::vector<WorkerInfo>& workers, const Jobs& jobs);
  // Jobs, workers or loads may have changed since WouldMove was asked last.
  void BeginTurn() { planned_.reset(); }

  void TakeLoad(const proto::AttemptLoad& load, MonotonicTime now);
  void Forget(const std::string& name);
  // Of the last attempt; nullptr: it was never placed.
  const JobPlacement* Find(const std::string& name) const;

 private:
  struct Placed {
    int32_t wanted = 0;
    int32_t kept = 0;
    int32_t partitions = 0;
    JobPlacement placement;
  };

  JobDemand DemandOf(const std::string& name, const Placed& placed) const;

  std::map<std::string, Placed> placed_;  // by job
  LoadMeter meter_;
  std::optional<std::map<std::string, SlotWorkers>> planned_;  // for WouldMove
};

// What workers offer.
std::vector<WorkerCapacity> CapacitiesOf(const std::vector<WorkerInfo>& workers);

}  // namespace millrace
