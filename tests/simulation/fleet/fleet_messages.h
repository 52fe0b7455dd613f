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

// Counts what happens in a run, to see that runs cover what they should.
struct FleetEvents {
  int64_t terms = 0;
  int64_t two_led = 0;  // a coordinator began to lead while another thought that it did
  int64_t superseded = 0;
  int64_t killed = 0;
  int64_t frozen = 0;
  int64_t cuts = 0;
  int64_t wishes = 0;
  int64_t attempts = 0;
  int64_t moves = 0;      // attempts that ended as asked
  int64_t given_up = 0;   // jobs
  int64_t named = 0;      // of them: with the reading that did it
  int64_t left = 0;       // workers that were let go
  int64_t dropped = 0;    // workers that did not end an attempt
  int64_t leftovers = 0;  // attempts that workers still had
  int64_t fenced = 0;     // publishing of older attempts that was refused
  int64_t commits = 0;
  int64_t calms = 0;    // times that all was well in the end
  double restless = 0;  // the most attempts of a job for a disturbance, of a storm
  double hours = 0;

  void Add(const FleetEvents& other);
  std::string Text() const;
};

}  // namespace millrace::simulation
