// What everything in a simulated fleet shares: true time with what happens when, the seed's random
// numbers, the deliberate defect, and what was found wrong. And what a process is: a clock of its
// own, and a life that may end or stand still between any two things that it does. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/time.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

// Defects that a fleet can have on purpose, in what stands around ClusterState, to see that a
// simulation would find them.
enum class FleetBug {
  kNone,
  kTwoLeaders,     // a log's entry can be overwritten, so that two claim one term
  kKeyGroupTwice,  // an attempt does not wait for the one before, and answers for it
  kStaleWorkers,   // workers are told apart by name only, so a deployment may name a dead process
  kLostStop,       // a stop is forgotten where a checkpoint is under way
  kForgottenCatalog,  // the catalog is read before the term is claimed
  kNoFence,           // the sinks take what an attempt publishes that others have followed
  kLeftoverActors,    // what nobody leads any more is ended by no worker, nor is one told to
  kEarlyLeave,        // a worker may leave as soon as it wants to
  kNeverLet,          // a worker is not told that it may leave
  kEndedEarly,        // a worker says that an attempt has ended while its actors live
  kLateTurns,         // a coordinator looks at the time four times a minute only
  kDeafLeader,        // a coordinator listens long after it has claimed its term only
  kCutsAfterLoss,     // no attempt keeps the slots of its checkpoint
  kNeverShrinks,      // all attempts do, whatever is ordered
  kMovesForgetKept,   // whether a job would move is asked as if nothing were kept
};

std::string_view NameOf(FleetBug bug);
// All but kNone.
std::vector<FleetBug> AllFleetBugs();

class FleetWorld {
 public:
  FleetWorld(uint64_t seed, FleetBug bug_wanted, bool with_trace)
      : random(seed), bug(bug_wanted), tracing_(with_trace) {}

  void At(MonotonicTime time, std::function<void()> what);
  void After(MonotonicTime wait, std::function<void()> what) { At(now + wait, std::move(what)); }
  // The next thing that happens, if it is due by `end`; else it is `end`.
  bool Step(MonotonicTime end);
  // Between the two, evenly.
  MonotonicTime Between(MonotonicTime least, MonotonicTime most);

  // The first thing that was found wrong ends the run.
  void Fail(const std::string& what);
  const std::optional<std::string>& failure() const { return failure_; }
  bool tracing() const { return tracing_; }
  void Trace(const std::string& line);
  std::vector<std::string> TakeTrace() { return std::move(trace_); }
  int64_t events() const { return next_number_; }

  Random random;
  const FleetBug bug;
  MonotonicTime now = std::chrono::seconds(1);
  int64_t exits = 0;  // of processes that ended by themselves
  // Circumstances that come and go.
  bool broker_away = false;   // what is prepared waits
  bool slow_ends = false;     // some attempts take longer to end than they are given
  bool slow_storage = false;  // some calls of it take seconds

 private:
  struct Event {
    MonotonicTime time;
    int64_t number;
    std::function<void()> what;
    // For a heap whose top is the earliest.
    bool operator<(const Event& other) const {
      return time != other.time ? time > other.time : number > other.number;
    }
  };
  const bool tracing_;
  int64_t next_number_ = 0;
  std::vector<Event> heap_;
  std::vector<std::string> trace_;
  std::optional<std::string> failure_;
};

// Functions of an object that may be gone when they are called.
class Lifetime {
 public:
  std::function<void()> Guard(std::function<void()> what) const {
    return [token = std::weak_ptr<int>(token_), what = std::move(what)] {
      if (!token.expired()) what();
    };
  }

 private:
  std::shared_ptr<int> token_ = std::make_shared<int>(0);
};

class FleetProcess {
 public:
  // `rate`: how fast its clock goes.
  FleetProcess(FleetWorld* world, std::string name, int life, double rate);
  virtual ~FleetProcess() = default;

  FleetWorld* world() const { return world_; }
  const std::string& name() const { return name_; }
  const std::string& incarnation() const { return incarnation_; }
  // Its own.
  MonotonicTime Clock() const;
  // By its own clock. While it is frozen nothing happens; it catches up when it wakes.
  void After(MonotonicTime wait, std::function<void()> what);
  void Every(MonotonicTime wait, std::function<void()> what);

  void Freeze() { frozen_ = true; }
  void Wake();
  bool frozen() const { return frozen_; }
  // It has ended by itself: nothing of it happens any more, and somebody removes it.
  void Exit(const std::string& why);
  bool exited() const { return exited_; }

 protected:
  void Trace(const std::string& line) { world_->Trace(incarnation_ + ": " + line); }

 private:
  FleetWorld* const world_;
  const std::string name_;
  const std::string incarnation_;
  const double rate_;
  const MonotonicTime born_;
  bool frozen_ = false;
  bool exited_ = false;
  std::deque<std::function<void()>> missed_;  // while it was frozen
  Lifetime lifetime_;
};

}  // namespace millrace::simulation
