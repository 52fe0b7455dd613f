// One run of a fleet from a seed: coordinators, workers and several jobs, under faults for a while,
// then in peace, and so on. In peace everything must come to rest as it is wanted, and be moved
// about without a failure. docs/development.md, "Simulation".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/fleet/fleet_events.h"
#include "tests/simulation/fleet/fleet_world.h"

namespace millrace::simulation {

struct FleetOptions {
  uint64_t seed = 0;
  FleetBug bug = FleetBug::kNone;
  bool trace = false;
  // Simulated; the run ends with the peace that begins after it.
  MonotonicTime time = std::chrono::minutes(5);
};

struct FleetReport {
  std::optional<std::string> failure;  // none: all is well
  FleetEvents events;
  std::vector<std::string> trace;
};

FleetReport SimulateFleet(const FleetOptions& options);

}  // namespace millrace::simulation
