// The actors that publish what a completed checkpoint covers. Each runs on a thread of its own and
// may block for as long as its target does; the coordinator counts what waits.
#include <deque>

#include "worker/actor_host.h"

namespace millrace {
namespace {

// A publisher that waits for a broker looks again at least this often.
constexpr auto kLookAgain = std::chrono::milliseconds(50);
// Epochs whose rows wait to be counted as delivered; older ones are not measured.
constexpr size_t kSealedMax = 1024;

// What both kinds have in common: their coordinator, and how they fail.
template <typename Parts>
class PublishingState {
 public:
  PublishingState(caf::event_based_actor* self, std::shared_ptr<Parts> parts, const Clock* clock,
                  WorkerObserver* observer)
      : self_(self), parts_(std::move(parts)), clock_(clock), observer_(observer) {}

  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

 protected:
  bool Check(const Status& status) {
    if (status.ok()) return true;
    if (std::exchange(failed_, true)) return false;
    self_->send(coordinator_, ParticipantFailed{parts_->name, std::make_shared<Status>(status)});
    return false;
  }

  caf::event_based_actor* self_;
  std::shared_ptr<Parts> parts_;
  const Clock* clock_;
  WorkerObserver* observer_;
  caf::actor coordinator_;
  bool failed_ = false;
};

class SegmentState final : public PublishingState<SegmentPublisherParts>,
                           public SegmentPublisherHost {
 public:
  using PublishingState::PublishingState;

  caf::behavior Behavior() {
    return {
        [this](const ConnectPublisher& connect) {
          coordinator_ = connect.coordinator;
          Proceed();
        },
        [this](const ReleaseSegments& release) {
          parts_->publisher->OnReleased(release.released);
          Proceed();
        },
        [this](Permitted) {
          parts_->publisher->OnPermitted();
          Proceed();
        },
        [this](SealedRows& rows) {
          sealed_.push_back(std::move(rows));
          if (sealed_.size() > kSealedMax) sealed_.pop_front();
        },
        [this](millrace::Proceed) {
          scheduled_ = false;
          Proceed();
        },
        [this](Stop) { self_->quit(); },
    };
  }

  // SegmentPublisherHost
  void AskPermission() override {
    self_->send(coordinator_, millrace::AskPermission{parts_->shard});
  }
  void Published(Epoch epoch, int64_t next_row) override {
    CountDelivered(epoch);
    self_->send(coordinator_, SegmentsPublished{parts_->shard, epoch, next_row});
  }
  void Warn(const std::string& message) override { observer_->OnWarning(parts_->name, message); }

 private:
  // One action at a turn, so that what is released and permitted meanwhile is seen.
  void Proceed() {
    if (failed_ || scheduled_ || !coordinator_) return;
    const auto more = parts_->publisher->Step(this);
    if (!Check(more.status())) return;
    if (*more) {
      scheduled_ = true;
      self_->send(self_, millrace::Proceed::value);
    } else if (parts_->publisher->wait_until() > clock_->Monotonic()) {
      scheduled_ = true;
      self_->delayed_send(self_, kLookAgain, millrace::Proceed::value);
    }
  }

  void CountDelivered(Epoch epoch) {
    const MonotonicTime now = clock_->Monotonic();
    for (; !sealed_.empty() && sealed_.front().epoch <= epoch; sealed_.pop_front()) {
      for (const SealedRows::Run& run : sealed_.front().runs) {
        observer_->OnPublished(run.sink, run.rows, run.bytes);
        if (run.fetched.count() > 0) observer_->OnDelivered(run.sink, run.rows, now - run.fetched);
      }
    }
  }

  std::deque<SealedRows> sealed_;  // of epochs not published yet
  bool scheduled_ = false;
};

class RollState final : public PublishingState<RollPublisherParts> {
 public:
  using PublishingState::PublishingState;

  caf::behavior Behavior() {
    return {
        [this](const ConnectPublisher& connect) { coordinator_ = connect.coordinator; },
        [this](const ReleaseRoll& release) { Publish(release.released); },
        [this](Stop) { self_->quit(); },
    };
  }

 private:
  void Publish(const ReleasedRoll& released) {
    if (failed_) return;
    const auto result = parts_->publisher->Publish(released);
    if (!Check(result.status())) return;
    observer_->OnPublished(parts_->name, result->rows, result->bytes);
    self_->send(coordinator_,
                RollPublished{released.shard, released.sink, Epoch(released.roll.epoch())});
  }
};

}  // namespace

caf::actor SpawnSegmentPublisher(caf::actor_system& system, SegmentPublisherParts parts,
                                 const Clock* clock, WorkerObserver* observer) {
  return SpawnState<SegmentState, caf::detached>(system, std::move(parts), clock, observer);
}

caf::actor SpawnRollPublisher(caf::actor_system& system, RollPublisherParts parts,
                              const Clock* clock, WorkerObserver* observer) {
  return SpawnState<RollState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
