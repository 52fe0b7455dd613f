// One run of a job from a seed: processes that are started, stopped, killed and woken at any step,
// until the job has ended; then everything that must hold is looked at. docs/development.md,
// "Simulation".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace millrace::simulation {

struct Options {
  uint64_t seed = 0;
  Bug bug = Bug::kNone;
  bool trace = false;
};

// What happened in a run, to see that a set of runs covers what it should.
struct Events {
  int starts = 0;
  int process_crashes = 0;
  int machine_crashes = 0;
  int zombies = 0;
  int woken = 0;
  int rescaled = 0;
  int stops = 0;
  int savepoints = 0;
  int damaged = 0;
  int fallen_back = 0;
  int refused = 0;  // starts that stopped because of damage
  int superseded = 0;
  int moved = 0;  // final files, by somebody
  int64_t steps = 0;

  void Add(const Events& other);
  std::string Text() const;
};

struct Report {
  std::optional<std::string> failure;  // none: all is well
  Events events;
  std::vector<std::string> trace;
};

Report Simulate(const Options& options);

}  // namespace millrace::simulation
