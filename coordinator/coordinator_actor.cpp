#include "coordinator/coordinator_actor.h"

namespace millrace {
namespace {

constexpr auto kTick = std::chrono::milliseconds(20);

class CoordinatorState final : public CoordinatorHost {
 public:
  CoordinatorState(caf::event_based_actor* self, CoordinatorPlan plan,
                   std::map<ParticipantId, caf::actor> readers, const Clock* clock,
                   JobObserver* observer)
      : self_(self),
        job_(std::move(plan)),
        readers_(std::move(readers)),
        clock_(clock),
        observer_(observer) {}

  caf::behavior Behavior() {
    return {
        [this](Tick) {
          if (job_.ended()) return;
          self_->delayed_send(self_, kTick, Tick::value);
          job_.OnTick(now(), this);
        },
        [this](const WatermarkReport& report) { job_.OnReport(report, now(), this); },
        [this](const PartitionIdle& idle) { job_.OnIdle(idle, now(), this); },
        [this](const PartitionActive& active) { job_.OnActive(active, now(), this); },
        [this](const PartitionEnded& ended) { job_.OnEnded(ended, now(), this); },
        [this](const PartitionFound& found) { job_.OnFound(found, this); },
        [this](const ReaderAtBarrier& at) { job_.OnReaderAtBarrier(at, now(), this); },
        [this](const EpochSafe& safe) { job_.OnSafe(safe, now(), this); },
        [this](const ParticipantDone& done) { job_.OnDone(done, now(), this); },
        [this](const ParticipantFailed& failed) {
          auto status = std::make_shared<Status>(WithContext(*failed.status, failed.who));
          job_.OnFailed(ParticipantFailed{failed.who, std::move(status)}, this);
        },
        [this](StopJob) { job_.RequestStop(now(), this); },
        [this](Stop) { self_->quit(); },
    };
  }

  // CoordinatorHost
  void Send(ParticipantId reader, StreamWatermarkMoved moved) override { ToReader(reader, moved); }
  void Send(ParticipantId reader, OpenEpoch open) override { ToReader(reader, open); }
  void Send(ParticipantId reader, CommitPositions commit) override { ToReader(reader, commit); }
  void Send(ParticipantId reader, FinishReading finish) override { ToReader(reader, finish); }
  void Send(ParticipantId reader, PartitionFloor floor) override { ToReader(reader, floor); }
  void Send(ParticipantId reader, AddPartition add) override { ToReader(reader, add); }
  void OnCompleted(const CompletedCheckpoint& checkpoint) override {
    observer_->OnCheckpoint(checkpoint);
  }
  void OnPending(size_t epochs) override { observer_->OnPendingEpochs(epochs); }
  void OnBlocked(MonotonicTime since) override { observer_->OnCheckpointsBlocked(since); }
  void Ended(const Status& status) override { observer_->OnEnded(status); }

 private:
  template <typename Message>
  void ToReader(ParticipantId reader, Message message) {
    self_->send(readers_.at(reader), std::move(message));
  }
  MonotonicTime now() const { return clock_->Monotonic(); }

  caf::event_based_actor* self_;
  JobCoordinator job_;
  std::map<ParticipantId, caf::actor> readers_;
  const Clock* clock_;
  JobObserver* observer_;
};

}  // namespace

caf::actor SpawnCoordinator(caf::actor_system& system, CoordinatorPlan plan,
                            std::map<ParticipantId, caf::actor> readers, const Clock* clock,
                            JobObserver* observer) {
  return system.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    self->set_exception_handler([observer](std::exception_ptr& thrown) -> caf::error {
      observer->OnEnded(WithContext(FromException(thrown), "coordinator"));
      return caf::exit_reason::unhandled_exception;
    });
    auto state = std::make_shared<CoordinatorState>(self, plan, readers, clock, observer);
    self->attach_functor([state](const caf::error&) {});
    return state->Behavior();
  });
}

}  // namespace millrace
