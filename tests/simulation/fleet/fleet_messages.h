// What coordinators and workers of a simulated fleet tell each other, beyond names and numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/fleet/fleet_job.h"

namespace millrace::simulation {

// As proto::Deploy.
struct FleetDeployment {
  std::string job;
  int64_t attempt = 0;
  struct Worker {
    std::string name;
    std::string incarnation;
  };
  std::vector<Worker> workers;     // that have something of it
  std::vector<std::string> slots;  // each slot's worker
  FleetManifest restored;

  // The key groups of the slots of a worker.
  std::vector<int> GroupsOf(const std::string& worker) const {
    std::vector<int> groups;
    for (int group = 0; group < kGroups; ++group) {
      const auto slot = size_t(group) * slots.size() / kGroups;
      if (slots[slot] == worker) groups.push_back(group);
    }
    return groups;
  }
};

// What of an attempt's checkpoints an attempt's workers and leader tell each other.
struct FleetAck {
  int64_t epoch = 0;
  FleetShare share;
};

}  // namespace millrace::simulation
