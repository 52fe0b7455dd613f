#include "tests/simulation/world.h"

#include <utility>

#include "tests/simulation/fiber.h"

namespace millrace::simulation {
namespace {

constexpr std::pair<Bug, std::string_view> kBugs[] = {
    {Bug::kPublishBeforeCommit, "publish-before-commit"},
    {Bug::kAcknowledgeBeforeWrite, "acknowledge-before-write"},
    {Bug::kForgetInFlight, "forget-in-flight"},
    {Bug::kReuseEpoch, "reuse-epoch"},
    {Bug::kSkipRegister, "skip-register"},
    {Bug::kForeignRegister, "foreign-register"},
    {Bug::kNoFence, "no-fence"},
    {Bug::kNoPermission, "no-permission"},
    {Bug::kFallBackTooFar, "fall-back-too-far"},
    {Bug::kSavepointWithOutbox, "savepoint-with-outbox"},
};

}  // namespace

std::string_view NameOf(Bug bug) {
  for (const auto& [known, name] : kBugs) {
    if (known == bug) return name;
  }
  return "none";
}

std::optional<Bug> BugOf(std::string_view name) {
  for (const auto& [bug, known] : kBugs) {
    if (known == name) return bug;
  }
  return std::nullopt;
}

std::vector<Bug> AllBugs() {
  std::vector<Bug> bugs;
  for (const auto& [bug, name] : kBugs) bugs.push_back(bug);
  return bugs;
}

bool Site::Step() {
  if (!dead_ && world->faults && Fiber::Current() != nullptr && world->random.Chance(400)) {
    Fiber::Yield();
  }
  return !dead_;
}

Status Died() { return ExternalError("died", "the process is dead", Retry::kYes); }

}  // namespace millrace::simulation
