#include "tests/simulation/publishing.h"

#include <algorithm>

namespace millrace::simulation {
namespace {

constexpr MonotonicTime kLookAgain = std::chrono::milliseconds(50);

}  // namespace

void SegmentActor::Begin(SegmentParts parts) {
  parts_ = std::move(parts);
  Schedule();
}

void SegmentActor::Released(const ReleasedSegments& released) {
  parts_.publisher->OnReleased(released);
  Schedule();
}

void SegmentActor::Permitted() {
  parts_.publisher->OnPermitted();
  Schedule();
}

void SegmentActor::Warn(const std::string& message) {
  world()->Trace(site_->name() + " " + name() + ": " + message);
}

void SegmentActor::Turn() {
  if (failed_) return;
  const auto more = parts_.publisher->Step(this);
  if (site_->dead()) return;
  if (!more.ok()) {
    failed_ = true;
    leader_->Tell(*this, ParticipantFailed{name(), std::make_shared<Status>(more.status())});
  } else if (*more) {
    Schedule();
  } else if (parts_.publisher->wait_until() > world()->now) {
    ScheduleAt(std::min(parts_.publisher->wait_until(), world()->now + kLookAgain));
  }
}

void RollActor::Publish(const ReleasedRoll& released) {
  if (failed_) return;
  const auto result = publisher_->Publish(released);
  if (site_->dead()) return;
  if (!result.ok()) {
    failed_ = true;
    leader_->Tell(*this, ParticipantFailed{name(), std::make_shared<Status>(result.status())});
    return;
  }
  leader_->TellTwice(*this,
                     RollPublished{released.shard, released.sink, Epoch(released.roll.epoch())});
}

}  // namespace millrace::simulation
