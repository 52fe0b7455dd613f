// simulate [--seeds N] [--first-seed S] [--bug NAME] [--trace]: runs seeds and says which fail.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <map>

#include "tests/simulation/simulation.h"

namespace millrace::simulation {
namespace {

struct Wish {
  uint64_t seeds = 1000;
  uint64_t first = 1;
  Bug bug = Bug::kNone;
  bool trace = false;
};

// The last lines are what a person looks at.
constexpr uint64_t kFailuresShown = 10;

int RunSeeds(const Wish& wish) {
  const auto start = std::chrono::steady_clock::now();
  Events events;
  uint64_t failed = 0;
  for (uint64_t seed = wish.first; seed < wish.first + wish.seeds; ++seed) {
    const Report report = Simulate({seed, wish.bug, wish.trace});
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

}  // namespace
}  // namespace millrace::simulation

int main(int argc, char** argv) {
  using millrace::simulation::AllBugs;
  using millrace::simulation::Bug;
  millrace::simulation::Wish wish;
  std::map<std::string, Bug> bugs;
  for (const Bug bug : AllBugs()) bugs.emplace(NameOf(bug), bug);
  CLI::App app("Runs a small job under faults, from seeds", "simulate");
  app.add_option("--seeds", wish.seeds, "how many")->check(CLI::PositiveNumber);
  app.add_option("--first-seed", wish.first, "the first of them");
  app.add_option("--bug", wish.bug, "a deliberate defect")
      ->transform(CLI::CheckedTransformer(bugs));
  app.add_flag("--trace", wish.trace, "write down what happens");
  CLI11_PARSE(app, argc, argv);
  return RunSeeds(wish);
}
