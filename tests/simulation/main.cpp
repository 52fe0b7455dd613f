// simulate [--fleet [--minutes M]] [--seeds N] [--first-seed S] [--bug NAME] [--trace]: runs seeds
// and says which fail.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <map>

#include "tests/simulation/fleet/fleet.h"
#include "tests/simulation/simulation.h"

namespace millrace::simulation {
namespace {

struct Wish {
  uint64_t seeds = 1000;
  uint64_t first = 1;
  bool fleet = false;
  int64_t minutes = 5;
  std::string bug;
  bool trace = false;
};

// The last lines are what a person looks at.
constexpr uint64_t kFailuresShown = 10;

// `run`: a seed's Report or FleetReport.
template <typename Events, typename Run>
int RunSeeds(const Wish& wish, Run run) {
  const auto start = std::chrono::steady_clock::now();
  Events events;
  uint64_t failed = 0;
  for (uint64_t seed = wish.first; seed < wish.first + wish.seeds; ++seed) {
    const auto report = run(seed);
    events.Add(report.events);
    for (const std::string& line : report.trace) std::cout << line << "\n";
    if (!report.failure.has_value()) continue;
    if (++failed <= kFailuresShown)
      std::cout << "seed " << seed << ": " << *report.failure << std::endl;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << events.Text() << "\n"
            << failed << " of " << wish.seeds << " seeds failed, " << took.count() << " s\n";
  return failed == 0 ? 0 : 1;
}

template <typename AnyBug>
std::map<std::string, AnyBug> Named(const std::vector<AnyBug>& all) {
  std::map<std::string, AnyBug> bugs = {{"", AnyBug::kNone}};
  for (const AnyBug bug : all) bugs.emplace(NameOf(bug), bug);
  return bugs;
}

int Run(const Wish& wish) {
  const auto bugs = Named(AllBugs());
  const auto fleet_bugs = Named(AllFleetBugs());
  if (wish.fleet ? !fleet_bugs.contains(wish.bug) : !bugs.contains(wish.bug)) {
    std::cerr << "--bug " << wish.bug << ": not known; there are:";
    for (const auto& [name, bug] : bugs) std::cerr << (wish.fleet ? "" : " " + name);
    for (const auto& [name, bug] : fleet_bugs) std::cerr << (wish.fleet ? " " + name : "");
    std::cerr << "\n";
    return 2;
  }
  if (wish.fleet) {
    return RunSeeds<FleetEvents>(wish, [&](uint64_t seed) {
      return SimulateFleet(
          {seed, fleet_bugs.at(wish.bug), wish.trace, std::chrono::minutes(wish.minutes)});
    });
  }
  return RunSeeds<Events>(wish, [&](uint64_t seed) {
    return Simulate({seed, bugs.at(wish.bug), wish.trace});
  });
}

}  // namespace
}  // namespace millrace::simulation

int main(int argc, char** argv) {
  millrace::simulation::Wish wish;
  CLI::App app("Runs a small job, or a fleet of processes, under faults, from seeds", "simulate");
  app.add_option("--seeds", wish.seeds, "how many")->check(CLI::PositiveNumber);
  app.add_option("--first-seed", wish.first, "the first of them");
  app.add_flag("--fleet", wish.fleet, "coordinators, workers and several jobs");
  app.add_option("--minutes", wish.minutes, "of a fleet, simulated, each seed")
      ->check(CLI::PositiveNumber);
  app.add_option("--bug", wish.bug, "a deliberate defect");
  app.add_flag("--trace", wish.trace, "write down what happens");
  CLI11_PARSE(app, argc, argv);
  return millrace::simulation::Run(wish);
}
