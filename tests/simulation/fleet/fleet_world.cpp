#include "tests/simulation/fleet/fleet_world.h"

#include <algorithm>
#include <utility>

namespace millrace::simulation {
namespace {

constexpr std::pair<FleetBug, std::string_view> kBugs[] = {
    {FleetBug::kTwoLeaders, "two-leaders"},
    {FleetBug::kKeyGroupTwice, "key-group-twice"},
    {FleetBug::kStaleWorkers, "stale-workers"},
    {FleetBug::kLostStop, "lost-stop"},
    {FleetBug::kForgottenCatalog, "forgotten-catalog"},
    {FleetBug::kNoFence, "no-fence"},
    {FleetBug::kLeftoverActors, "leftover-actors"},
    {FleetBug::kEarlyLeave, "early-leave"},
    {FleetBug::kNeverLet, "never-let"},
    {FleetBug::kEndedEarly, "ended-early"},
    {FleetBug::kLateTurns, "late-turns"},
    {FleetBug::kDeafLeader, "deaf-leader"},
    {FleetBug::kCutsAfterLoss, "cuts-after-loss"},
    {FleetBug::kNeverShrinks, "never-shrinks"},
    {FleetBug::kMovesForgetKept, "moves-forget-kept"},
};

}  // namespace

std::string_view NameOf(FleetBug bug) {
  for (const auto& [known, name] : kBugs) {
    if (known == bug) return name;
  }
  return "none";
}

std::vector<FleetBug> AllFleetBugs() {
  std::vector<FleetBug> bugs;
  for (const auto& [bug, name] : kBugs) bugs.push_back(bug);
  return bugs;
}

void FleetWorld::At(MonotonicTime time, std::function<void()> what) {
  heap_.push_back({std::max(time, now), next_number_++, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end());
}

bool FleetWorld::Step(MonotonicTime end) {
  if (heap_.empty() || heap_.front().time > end) {
    now = std::max(now, end);
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end());
  const Event event = std::move(heap_.back());
  heap_.pop_back();
  now = event.time;
  event.what();
  return true;
}

MonotonicTime FleetWorld::Between(MonotonicTime least, MonotonicTime most) {
  return least + MonotonicTime(random.Below((most - least).count() + 1));
}

void FleetWorld::Fail(const std::string& what) {
  Trace("WRONG: " + what);
  if (!failure_.has_value()) {
    failure_ = what + " (after " + FormatDuration(std::chrono::duration_cast<Micros>(now)) + ")";
  }
}

void FleetWorld::Trace(const std::string& line) {
  if (tracing_) trace_.push_back(std::to_string(now.count() / 1'000'000) + " ms  " + line);
}

FleetProcess::FleetProcess(FleetWorld* world, std::string name, int life, double rate)
    : world_(world),
      name_(std::move(name)),
      incarnation_(name_ + "." + std::to_string(life)),
      rate_(rate),
      born_(world->now) {}

MonotonicTime FleetProcess::Clock() const {
  return std::chrono::seconds(1000) +
         MonotonicTime(int64_t(double((world_->now - born_).count()) * rate_));
}

void FleetProcess::After(MonotonicTime wait, std::function<void()> what) {
  const auto happens = lifetime_.Guard([this, what = std::move(what)] {
    if (exited_) return;
    if (frozen_) return missed_.push_back(what);
    what();
  });
  world_->After(MonotonicTime(int64_t(double(wait.count()) / rate_)), happens);
}

void FleetProcess::Every(MonotonicTime wait, std::function<void()> what) {
  After(wait, [this, wait, what = std::move(what)] {
    what();
    Every(wait, what);
  });
}

void FleetProcess::Wake() {
  frozen_ = false;
  Trace("wakes");
  for (const auto& what : std::exchange(missed_, {})) After(MonotonicTime(0), what);
}

void FleetProcess::Exit(const std::string& why) {
  if (exited_) return;
  Trace("ends: " + why);
  exited_ = true;
  ++world_->exits;
}

}  // namespace millrace::simulation
