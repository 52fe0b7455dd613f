#include <atomic>

#include "worker/actors.h"
#include "worker/failing.h"
#include "worker/outputs.h"

namespace millrace {
namespace {

// The reader looks by itself this often, for what no wake-up tells.
constexpr auto kTick = std::chrono::milliseconds(100);

class ReaderState final : public ReaderHost {
 public:
  ReaderState(caf::event_based_actor* self) : self_(self) {}

  void Init(std::shared_ptr<ReaderParts> parts, const Clock* clock, WorkerObserver* observer) {
    parts_ = std::move(parts);
    clock_ = clock;
    observer_ = observer;
    // Any thread; at most one wake-up is on its way.
    auto pending = wake_up_pending_;
    const caf::actor me = caf::actor_cast<caf::actor>(self_);
    parts_->reader->SetWakeUp([pending, me] {
      if (!pending->exchange(true)) caf::anon_send(me, WakeUp::value);
    });
  }

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          outputs_ = std::make_unique<Outputs>(self_, connect);
          coordinator_ = connect.coordinator;
        },
        [this](const StartReading& start) {
          if (Check(parts_->reader->Start(start))) {
            Proceed();
            self_->delayed_send(self_, kTick, Tick::value);
          }
        },
        [this](const AddPartition& add) { Check(parts_->reader->Add(add)); },
        [this](WakeUp) {
          wake_up_pending_->store(false);
          Proceed();
        },
        [this](millrace::Proceed) {
          scheduled_ = false;
          Proceed();
        },
        [this](Tick) {
          if (ended_) return;
          observer_->OnLag(parts_->name, parts_->reader->lag_records());
          self_->delayed_send(self_, kTick, Tick::value);
          Proceed();
        },
        [this](const Credit& credit) {
          const bool had = outputs_->HasCredit();
          outputs_->OnCredit(credit);
          if (!had && outputs_->HasCredit()) Proceed();
        },
        [this](const PartitionFloor& floor) {
          if (Check(parts_->reader->OnFloor(floor, this))) Proceed();
        },
        [this](const StreamWatermarkMoved& moved) {
          parts_->reader->OnStreamWatermark(moved, this);
        },
        [this](const OpenEpoch& open) { parts_->reader->OnOpenEpoch(open.epoch, this); },
        [this](const CommitPositions& commit) { Check(parts_->reader->OnCommit(commit)); },
        [this](const FinishReading& finish) { parts_->reader->OnFinish(finish, this); },
        [this](Stop) {
          ended_ = true;
          parts_->reader->Stop();
          self_->quit();
        },
    };
  }

  // The actor ends with it: whatever was thrown ends the job.
  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // ReaderHost
  Outlet* outlet() override { return outputs_.get(); }
  bool HasCredit() override { return outputs_->HasCredit(); }
  void SetFetched(MonotonicTime fetched) override { outputs_->SetFetched(fetched); }
  void Broadcast(const FrameBody& body) override { outputs_->Broadcast(body); }
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched) override {
    outputs_->ForwardWatermark(watermark, fetched);
  }
  void Report(WatermarkReport report) override { Tell(std::move(report)); }
  void Report(PartitionIdle idle) override { Tell(std::move(idle)); }
  void Report(PartitionActive active) override { Tell(std::move(active)); }
  void Report(PartitionEnded ended) override { Tell(std::move(ended)); }
  void Report(PartitionFound found) override { Tell(std::move(found)); }
  void AtBarrier(Epoch epoch, EventTime forwarded) override {
    Tell(ReaderAtBarrier{parts_->participant, epoch, forwarded});
  }
  void Warn(const std::string& message) override { observer_->OnWarning(parts_->name, message); }
  void Done() override {
    ended_ = true;
    Tell(ParticipantDone{parts_->participant});
  }

 private:
  template <typename Message>
  void Tell(Message message) {
    self_->send(coordinator_, std::move(message));
  }

  bool Check(const Status& status) {
    if (status.ok()) return true;
    if (std::exchange(failed_, true)) return false;
    ended_ = true;
    Tell(ParticipantFailed{parts_->name, std::make_shared<Status>(status)});
    return false;
  }

  void Proceed() {
    if (ended_ || scheduled_ || outputs_ == nullptr) return;
    const auto more = parts_->reader->Step(clock_->Monotonic(), this);
    if (!Check(more.status())) return;
    if (*more) {
      scheduled_ = true;
      self_->send(self_, millrace::Proceed::value);
    }
  }

  caf::event_based_actor* self_;
  std::shared_ptr<ReaderParts> parts_;
  const Clock* clock_ = nullptr;
  WorkerObserver* observer_ = nullptr;
  std::unique_ptr<Outputs> outputs_;
  caf::actor coordinator_;
  std::shared_ptr<std::atomic<bool>> wake_up_pending_ = std::make_shared<std::atomic<bool>>(false);
  bool scheduled_ = false;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace

caf::actor SpawnReader(caf::actor_system& system, ReaderParts parts, const Clock* clock,
                       WorkerObserver* observer) {
  auto shared = std::make_shared<ReaderParts>(std::move(parts));
  return system.spawn<caf::detached>(
      [shared, clock, observer](caf::event_based_actor* self) -> caf::behavior {
        auto state = std::make_shared<ReaderState>(self);
        state->Init(shared, clock, observer);
        FailOnException(self, state.get());
        // The behavior's handlers use the state; it lives as long as the actor.
        self->attach_functor([state](const caf::error&) {});
        return state->Behavior();
      });
}

}  // namespace millrace
