#include "coordinator/coordinator_actor.h"

namespace millrace {
namespace {

constexpr auto kTick = std::chrono::milliseconds(20);
constexpr auto kSourcesEvery = std::chrono::seconds(1);

class CoordinatorState final : public CoordinatorHost {
 public:
  CoordinatorState(caf::event_based_actor* self, CoordinatorPlan plan, CoordinatorPeers peers,
                   const Clock* clock, JobObserver* observer)
      : self_(self),
        job_(std::move(plan)),
        peers_(std::move(peers)),
        clock_(clock),
        observer_(observer) {}

  caf::behavior Behavior() {
    return {
        [this](Tick) {
          if (job_.ended()) return;
          if (!std::exchange(started_, true)) job_.Start(this);
          self_->delayed_send(self_, kTick, Tick::value);
          job_.OnTick(now(), this);
          TellSources();
        },
        [this](const WatermarkReport& report) { job_.OnReport(report, now(), this); },
        [this](const PartitionIdle& idle) { job_.OnIdle(idle, now(), this); },
        [this](const PartitionActive& active) { job_.OnActive(active, now(), this); },
        [this](const PartitionEnded& ended) { job_.OnEnded(ended, now(), this); },
        [this](const PartitionFound& found) { job_.OnFound(found, this); },
        [this](const Acknowledge& acknowledge) { job_.OnAcknowledge(acknowledge, wall(), this); },
        [this](const ManifestCommitted& committed) {
          job_.OnCommitted(committed, now(), wall(), this);
        },
        [this](const SavepointWritten& written) { job_.OnSavepointWritten(written, this); },
        [this](RequestSavepoint, const std::string& name) {
          job_.RequestSavepoint(name, now(), this);
        },
        [this](const AskPermission& ask) { job_.OnAskPermission(ask, this); },
        [this](const LeadershipChecked& checked) { job_.OnLeadership(checked, this); },
        [this](const SegmentsPublished& published) { job_.OnPublished(published, wall(), this); },
        [this](const RollPublished& published) { job_.OnRollPublished(published, wall(), this); },
        [this](const OutboxGrew& grew) { job_.OnOutboxGrew(grew); },
        [this](const ParticipantDone& done) { job_.OnDone(done, wall(), this); },
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
  void Send(ParticipantId reader, CheckpointCompleted completed) override {
    ToReader(reader, completed);
  }
  void Send(ParticipantId reader, PauseReading pause) override { ToReader(reader, pause); }
  void Send(ParticipantId reader, FinishReading finish) override { ToReader(reader, finish); }
  void Send(ParticipantId reader, PartitionFloor floor) override { ToReader(reader, floor); }
  void Send(ParticipantId reader, AddPartition add) override { ToReader(reader, add); }
  void OnCompleted(const CompletedCheckpoint& checkpoint) override {
    observer_->OnCheckpoint(checkpoint);
  }
  void Commit(std::shared_ptr<const proto::Manifest> manifest) override {
    self_->send(peers_.committer, CommitManifest{std::move(manifest)});
  }
  void WriteSavepoint(std::shared_ptr<const proto::Manifest> manifest) override {
    self_->send(peers_.committer, millrace::WriteSavepoint{std::move(manifest)});
  }
  void OnSavepoint(const std::string& name, const Status& status) override {
    observer_->OnSavepoint(name, status);
  }
  void CheckLeadership(int32_t shard) override {
    self_->send(peers_.committer, millrace::CheckLeadership{shard});
  }
  void Permit(int32_t shard) override {
    self_->send(peers_.segment_publishers.at(shard), Permitted{});
  }
  // A shard without a publisher has no segments.
  void Release(ReleasedSegments released) override {
    const auto publisher = peers_.segment_publishers.find(released.shard);
    if (publisher == peers_.segment_publishers.end()) {
      self_->send(self_, SegmentsPublished{released.shard, released.epoch, 0});
    } else {
      self_->send(publisher->second, ReleaseSegments{std::move(released)});
    }
  }
  void Release(ReleasedRoll released) override {
    const auto publisher = peers_.roll_publishers.find(released.sink);
    if (publisher != peers_.roll_publishers.end()) {
      self_->send(publisher->second, millrace::ReleaseRoll{std::move(released)});
    }
  }
  void OnAbandoned(Epoch epoch, const std::string& why) override {
    observer_->OnAbandoned(epoch, why);
  }
  void OnUnpublished(int64_t epochs, int64_t bytes) override {
    observer_->OnUnpublished(epochs, bytes);
  }
  void OnBlocked(Blocked why, MonotonicTime since) override {
    observer_->OnCheckpointsBlocked(why, since);
  }
  void Ended(const Status& status) override { observer_->OnEnded(status); }

 private:
  template <typename Message>
  void ToReader(ParticipantId reader, Message message) {
    self_->send(peers_.readers.at(reader), std::move(message));
  }
  void TellSources() {
    if (now() - sources_told_ < kSourcesEvery) return;
    sources_told_ = now();
    observer_->OnSources(job_.Sources());
  }
  MonotonicTime now() const { return clock_->Monotonic(); }
  EventTime wall() const { return clock_->Wall(); }

  caf::event_based_actor* self_;
  JobCoordinator job_;
  CoordinatorPeers peers_;
  bool started_ = false;
  MonotonicTime sources_told_{0};
  const Clock* clock_;
  JobObserver* observer_;
};

}  // namespace

caf::actor SpawnCoordinator(caf::actor_system& system, CoordinatorPlan plan, CoordinatorPeers peers,
                            const Clock* clock, JobObserver* observer) {
  return system.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    self->set_exception_handler([observer](std::exception_ptr& thrown) -> caf::error {
      observer->OnEnded(WithContext(FromException(thrown), "coordinator"));
      return caf::exit_reason::unhandled_exception;
    });
    auto state = std::make_shared<CoordinatorState>(self, plan, peers, clock, observer);
    self->attach_functor([state](const caf::error&) {});
    return state->Behavior();
  });
}

}  // namespace millrace
