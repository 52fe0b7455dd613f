#include "tests/simulation/fleet/fleet_store.h"

#include <algorithm>

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;

constexpr auto kNap = milliseconds(50);

Status Gone() { return ExternalError("died", "the process is gone", Retry::kYes); }

}  // namespace

AppendResult SharedLog::Append(int64_t index, const proto::LogEntry& entry) {
  const bool taken = index <= last_index();
  if (taken && world_->bug != FleetBug::kTwoLeaders) return AppendResult::kTaken;
  if (taken) {
    std::erase_if(entries_, [&](const IndexedEntry& other) { return other.index == index; });
  }
  entries_.push_back({index, entry});
  std::ranges::sort(entries_, {}, &IndexedEntry::index);
  term_ = std::max(term_, entry.term());
  return AppendResult::kAppended;
}

void SharedLog::RemoveBefore(int64_t index) {
  std::erase_if(entries_, [&](const IndexedEntry& entry) { return entry.index < index; });
}

class TermClaimer::View final : public MetadataLog {
 public:
  View(FleetWorld* world, SharedLog* log) : world_(world), log_(log) {}
  Result<std::vector<IndexedEntry>> Read() override {
    Pause();
    if (dead) return Gone();
    return log_->entries();
  }
  Result<AppendResult> Append(int64_t index, const proto::LogEntry& entry) override {
    Pause();
    if (dead) return Gone();
    return log_->Append(index, entry);
  }
  Status RemoveBefore(int64_t) override { return Status::OK(); }

  bool dead = false;

 private:
  void Pause() {
    if (!dead && world_->random.Chance(700)) Fiber::Yield();
  }
  FleetWorld* const world_;
  SharedLog* const log_;
};

TermClaimer::TermClaimer(FleetProcess* process, SharedLog* log, std::string what,
                         std::function<void(Result<ClaimedTerm>)> done)
    : process_(process),
      view_(std::make_unique<View>(process->world(), log)),
      what_(std::move(what)),
      done_(std::move(done)) {
  process_->After(milliseconds(0), lifetime_.Guard([this] {
    fiber_.Start([this] { claimed_ = ClaimTerm(view_.get(), process_->incarnation(), what_); });
    GoOn();
  }));
}

TermClaimer::~TermClaimer() {
  view_->dead = true;
  while (fiber_.busy()) fiber_.Resume();
}

void TermClaimer::GoOn() {
  if (!fiber_.busy()) {
    const auto done = done_;  // it may end this claimer
    return done(std::move(claimed_));
  }
  FleetWorld& world = *process_->world();
  const bool slow = world.slow_storage && world.random.Chance(500);
  const MonotonicTime wait = world.Between(milliseconds(1), milliseconds(slow ? 8000 : 30));
  process_->After(wait, lifetime_.Guard([this] {
    fiber_.Resume();
    GoOn();
  }));
}

void FleetStore::Beat(const std::string& incarnation) {
  for (auto& [name, lease] : leases_) {
    if (lease.holder == incarnation) ++lease.beats;
  }
}

void FleetStore::Detach(const std::string& incarnation) {
  for (auto& [name, lease] : leases_) {
    if (lease.holder == incarnation) lease.holder.clear();
  }
}

LeaseTaker::LeaseTaker(FleetProcess* process, SharedLease* lease, std::string owner,
                       MonotonicTime patience, std::function<void(Status)> done)
    : process_(process),
      lease_(lease),
      owner_(std::move(owner)),
      patience_(patience),
      done_(std::move(done)) {
  Begin();
}

void LeaseTaker::Begin() {
  first_ = *lease_;
  began_ = process_->Clock();
  process_->After(MonotonicTime(0), lifetime_.Guard([this] { Look(); }));
}

void LeaseTaker::Look() {
  const auto done = done_;  // it may end this taker
  if (lease_->number != first_.number) return Begin();
  if (lease_->holder.empty() || process_->Clock() - began_ >= patience_) {
    *lease_ = {lease_->number + 1, process_->incarnation(), owner_, 0};
    return done(Status::OK());
  }
  if (lease_->beats != first_.beats) {
    return done(UserError("job_is_running",
                          "the job is running already: " + lease_->holder + " holds the lease"));
  }
  process_->After(kNap, lifetime_.Guard([this] { Look(); }));
}

}  // namespace millrace::simulation
