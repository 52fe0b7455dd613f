#include "tests/simulation/fleet/fleet.h"

#include <gtest/gtest.h>

#include <iostream>

namespace millrace::simulation {
namespace {

// Sanitizers make a run ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 40;
constexpr uint64_t kDays = 1;
#else
constexpr uint64_t kSeeds = 200;
constexpr uint64_t kDays = 3;
#endif
// Each bug shows in one of so many seeds, at the least.
constexpr uint64_t kSeedsOfBug = 600;

TEST(FleetSimulation, WhateverHappensAllIsAsItIsWantedInTheEnd) {
  FleetEvents events;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const FleetReport report = SimulateFleet({seed});
    ASSERT_FALSE(report.failure.has_value())
        << "simulate --fleet --first-seed " << seed << " --seeds 1 --trace: " << *report.failure;
    events.Add(report.events);
  }
  std::cout << events.Text() << "\n";
  // What a change of the product or of the simulation must not silently leave out.
  const auto seeds = int64_t(kSeeds);
  EXPECT_GT(events.calms, seeds);
  EXPECT_GT(events.terms, 3 * seeds);
  EXPECT_GT(events.two_led, seeds / 20);
  EXPECT_GT(events.superseded, seeds / 2);
  EXPECT_GT(events.killed, 8 * seeds);
  EXPECT_GT(events.frozen, 4 * seeds);
  EXPECT_GT(events.cuts, 5 * seeds);
  EXPECT_GT(events.wishes, 25 * seeds);
  EXPECT_GT(events.attempts, 30 * seeds);
  EXPECT_GT(events.moves, 15 * seeds);
  EXPECT_GT(events.given_up, seeds / 20);
  EXPECT_GT(events.named, seeds / 40);
  EXPECT_GT(events.left, seeds);
  EXPECT_GT(events.dropped, seeds / 5);
  EXPECT_GE(events.fenced, seeds / 200);
  EXPECT_GT(events.commits, 100 * seeds);
  EXPECT_GT(events.kept, 2 * seeds);
  EXPECT_GT(events.takeovers, seeds);
}

TEST(FleetSimulation, ADayPasses) {
  for (uint64_t seed = 1001; seed <= 1000 + kDays; ++seed) {
    const FleetReport report =
        SimulateFleet({seed, FleetBug::kNone, /*trace=*/false, std::chrono::hours(24)});
    ASSERT_FALSE(report.failure.has_value()) << "simulate --fleet --minutes 1440 --first-seed "
                                             << seed << " --seeds 1 --trace: " << *report.failure;
    EXPECT_GT(report.events.hours, 24);
    EXPECT_GT(report.events.calms, 50);
  }
}

TEST(FleetSimulation, ASeedRepeatsExactly) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const FleetOptions options = {seed, FleetBug::kNone, /*trace=*/true};
    const FleetReport first = SimulateFleet(options), second = SimulateFleet(options);
    ASSERT_EQ(first.trace, second.trace) << seed;
    EXPECT_GT(first.trace.size(), 100u);
  }
}

class FleetSimulationOfBug : public testing::TestWithParam<FleetBug> {};

TEST_P(FleetSimulationOfBug, IsFound) {
  for (uint64_t seed = 1; seed <= kSeedsOfBug; ++seed) {
    const FleetReport report = SimulateFleet({seed, GetParam()});
    if (!report.failure.has_value()) continue;
    std::cout << "seed " << seed << ": " << *report.failure << "\n";
    return;
  }
  FAIL() << NameOf(GetParam()) << " was not found in " << kSeedsOfBug << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, FleetSimulationOfBug, testing::ValuesIn(AllFleetBugs()),
                         [](const auto& bug) {
                           std::string name(NameOf(bug.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace millrace::simulation
