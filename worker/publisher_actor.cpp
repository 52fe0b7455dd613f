#include "worker/actors.h"
#include "worker/failing.h"
#include "worker/outputs.h"

namespace millrace {
namespace {

constexpr int kFramesPerTurn = 16;
constexpr auto kTick = std::chrono::seconds(1);

class PublisherState final : public PublisherHost {
 public:
  PublisherState(caf::event_based_actor* self, std::shared_ptr<PublisherParts> parts,
                 const Clock* clock, WorkerObserver* observer)
      : self_(self), parts_(std::move(parts)), clock_(clock), observer_(observer) {}

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          outputs_ = std::make_unique<Outputs>(self_, connect);
          coordinator_ = connect.coordinator;
          self_->delayed_send(self_, kTick, Tick::value);
        },
        [this](const ChannelFrame& frame) {
          parts_->publisher->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          scheduled_ = false;
          Proceed();
        },
        [this](const Credit& credit) {
          outputs_->OnCredit(credit);
          Proceed();
        },
        [this](Tick) {
          if (failed_ || done_ || !Check(parts_->publisher->RollIfDue(this))) return;
          self_->delayed_send(self_, kTick, Tick::value);
        },
        [this](Stop) { self_->quit(); },
    };
  }

  // The actor ends with it: whatever was thrown ends the job.
  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // PublisherHost
  Outlet* outlet() override { return outputs_.get(); }
  bool HasCredit() override { return outputs_->HasCredit(); }
  void SetFetched(MonotonicTime fetched) override { outputs_->SetFetched(fetched); }
  void Broadcast(const FrameBody& body) override { outputs_->Broadcast(body); }
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t input, const Frame& frame) override {
    outputs_->ReturnCredit(input, frame);
  }
  // A publisher acknowledges when the epoch is safe, not when it has seen the barrier.
  void AcknowledgeBarrier(Epoch) override {
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
  }
  void EpochIsSafe(Epoch epoch) override {
    self_->send(coordinator_, EpochSafe{parts_->participant, epoch});
  }
  void Rejected(const std::vector<DeadLetter>& letters) override {
    observer_->OnRejected(parts_->name, letters);
  }
  void Delivered(int64_t rows, MonotonicTime after) override {
    observer_->OnDelivered(parts_->name, rows, after);
  }
  void Done() override {
    done_ = true;
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
    self_->send(coordinator_, ParticipantDone{parts_->participant});
  }

 private:
  bool Check(const Status& status) {
    if (status.ok()) return true;
    failed_ = true;
    self_->send(coordinator_, ParticipantFailed{parts_->name, std::make_shared<Status>(status)});
    return false;
  }

  void Proceed() {
    if (failed_ || scheduled_ || outputs_ == nullptr) return;
    const auto more = parts_->publisher->Run(this, kFramesPerTurn);
    if (!Check(more.status())) return;
    if (*more) {
      scheduled_ = true;
      self_->send(self_, millrace::Proceed::value);
    } else if (self_->mailbox().empty()) {
      Check(parts_->publisher->FlushWritten(this));
    }
  }

  caf::event_based_actor* self_;
  std::shared_ptr<PublisherParts> parts_;
  const Clock* clock_;
  WorkerObserver* observer_;
  std::unique_ptr<Outputs> outputs_;
  caf::actor coordinator_;
  bool scheduled_ = false;
  bool failed_ = false;
  bool done_ = false;
};

}  // namespace

caf::actor SpawnPublisher(caf::actor_system& system, PublisherParts parts, const Clock* clock,
                          WorkerObserver* observer) {
  auto shared = std::make_shared<PublisherParts>(std::move(parts));
  return system.spawn<caf::detached>(
      [shared, clock, observer](caf::event_based_actor* self) -> caf::behavior {
        auto state = std::make_shared<PublisherState>(self, shared, clock, observer);
        FailOnException(self, state.get());
        self->attach_functor([state](const caf::error&) {});
        return state->Behavior();
      });
}

}  // namespace millrace
