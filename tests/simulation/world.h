// What everything in a simulation shares: the seed's random numbers, the clock, the deliberate bug,
// and what was found wrong. One thread; nothing here knows of the job.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"

namespace millrace::simulation {

// Defects that a run can have on purpose, each in the layer around the product's code, to see that
// a simulation would find them.
enum class Bug {
  kNone,
  kPublishBeforeCommit,     // output is released when its manifest is made
  kAcknowledgeBeforeWrite,  // a task acknowledges what it has not written yet
  kForgetInFlight,          // a barrier overtakes what is on its way in a channel
  kReuseEpoch,              // a restart numbers its epochs from the last committed one on
  kSkipRegister,            // a restart publishes from the row that the manifest knows
  kForeignRegister,         // another generation's register counts as this one's
  kNoFence,                 // a new producer leaves older ones alone
  kNoPermission,            // a producer is made anew without asking who leads
  kFallBackTooFar,          // a damaged checkpoint is passed over whatever was published
  kSavepointWithOutbox,     // a savepoint holds output that is not published
};

std::string_view NameOf(Bug bug);
std::optional<Bug> BugOf(std::string_view name);
// All but kNone.
std::vector<Bug> AllBugs();

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du) {}
  uint64_t Next() {
    uint64_t mixed = state_ += 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
  }
  // 0 .. bound - 1.
  int64_t Below(int64_t bound) { return int64_t(Next() % uint64_t(bound)); }
  bool Chance(int64_t per_thousand) { return Below(1000) < per_thousand; }

 private:
  uint64_t state_;
};

class World final : public Clock {
 public:
  World(uint64_t seed, Bug bug_wanted, bool with_faults, bool with_trace)
      : random(seed), bug(bug_wanted), faults(with_faults), tracing(with_trace) {}

  EventTime Wall() const override { return wall; }
  MonotonicTime Monotonic() const override { return now; }

  // The first thing that was found wrong ends the run.
  void Fail(const std::string& what) {
    Trace("WRONG: " + what);
    if (!failure.has_value()) failure = what;
  }
  void Trace(const std::string& line) {
    if (tracing) trace.push_back(std::to_string(now.count() / 1'000'000) + " ms  " + line);
  }

  Random random;
  const Bug bug;
  const bool faults;
  const bool tracing;
  MonotonicTime now = std::chrono::seconds(1);
  EventTime wall = EventTime(std::chrono::seconds(1'700'000'000));
  std::vector<std::string> trace;
  std::optional<std::string> failure;
};

// The fate of one process: everything that it does to the world goes through here.
class Site {
 public:
  Site(World* the_world, int the_number) : world(the_world), number(the_number) {}

  // A place between two steps of a blocking call, where the process may be stopped or die. False:
  // it is dead, and the call has no effect any more.
  bool Step();
  bool dead() const { return dead_; }
  void Kill() { dead_ = true; }
  std::string name() const { return "p" + std::to_string(number); }

  World* const world;
  const int number;
  int64_t term = 0;
  // Shards for whose producers the log was seen to be led by this process, once each.
  std::multiset<int32_t> permits;

 private:
  bool dead_ = false;
};

// What a call of a dead process returns; nobody is left to see it.
Status Died();

}  // namespace millrace::simulation
