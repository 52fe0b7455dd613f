#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

namespace millrace::simulation {
namespace {

// Sanitizers make a run ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 200;
#else
constexpr uint64_t kSeeds = 2000;
#endif
// Each bug shows in one of so many seeds, at the least.
constexpr uint64_t kSeedsOfBug = 600;

TEST(Simulation, NothingIsLostOrDoubledWhateverDies) {
  Events events;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Report report = Simulate({seed});
    ASSERT_FALSE(report.failure.has_value())
        << "simulate --first-seed " << seed << " --seeds 1 --trace: " << *report.failure;
    events.Add(report.events);
  }
  std::cout << events.Text() << "\n";
  // What a change of the product or of the simulation must not silently leave out.
  const int64_t few = int64_t(kSeeds) / 20;
  EXPECT_GT(events.process_crashes, few);
  EXPECT_GT(events.machine_crashes, few);
  EXPECT_GT(events.woken, few);
  EXPECT_GT(events.superseded, few);
  EXPECT_GT(events.rescaled, few);
  EXPECT_GT(events.stops, few);
  EXPECT_GT(events.savepoints, few / 3);
  EXPECT_GT(events.fallen_back, few / 3);
  EXPECT_GT(events.refused, few);
  EXPECT_GT(events.moved, few);
}

TEST(Simulation, ASeedRepeatsExactly) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Report first = Simulate({seed, Bug::kNone, true}),
                 second = Simulate({seed, Bug::kNone, true});
    ASSERT_EQ(first.trace, second.trace) << seed;
    EXPECT_GT(first.trace.size(), 100u);
  }
}

class SimulationOfBug : public testing::TestWithParam<Bug> {};

TEST_P(SimulationOfBug, IsFound) {
  for (uint64_t seed = 1; seed <= kSeedsOfBug; ++seed) {
    if (Simulate({seed, GetParam()}).failure.has_value()) return;
  }
  FAIL() << NameOf(GetParam()) << " was not found in " << kSeedsOfBug << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, SimulationOfBug, testing::ValuesIn(AllBugs()), [](const auto& bug) {
  std::string name(NameOf(bug.param));
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace millrace::simulation
