#include "worker/actor_host.h"

namespace millrace {
namespace {

constexpr int kFramesPerTurn = 16;
constexpr auto kTick = std::chrono::seconds(1);

class PublisherState final : public ActorHost<PublisherHost, PublisherParts> {
 public:
  using ActorHost::ActorHost;

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          TakeConnect(connect);
          self_->delayed_send(self_, kTick, Tick::value);
        },
        [this](const ChannelFrame& frame) {
          parts_->publisher->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          TakeProceed();
          Proceed();
        },
        [this](const Credit& credit) {
          outputs_->OnCredit(credit);
          Proceed();
        },
        [this](Tick) {
          if (failed() || done_ || !Check(parts_->publisher->RollIfDue(this))) return;
          self_->delayed_send(self_, kTick, Tick::value);
        },
        [this](Stop) { self_->quit(); },
    };
  }

  // PublisherHost
  void ReturnCredit(size_t input, const Frame& frame) override {
    outputs_->ReturnCredit(input, frame);
  }
  // A publisher acknowledges when the epoch is safe, not when it has seen the barrier.
  void AcknowledgeBarrier(Epoch) override {
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
  }
  void EpochIsSafe(Epoch epoch) override { Tell(EpochSafe{parts_->participant, epoch}); }
  void Rejected(const std::vector<DeadLetter>& letters) override {
    observer_->OnRejected(parts_->name, letters);
  }
  void Delivered(int64_t rows, MonotonicTime after) override {
    observer_->OnDelivered(parts_->name, rows, after);
  }
  void Done() override {
    done_ = true;
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
    ActorHost::Done();
  }

 private:
  void Proceed() {
    if (!MayProceed()) return;
    const auto more = parts_->publisher->Run(this, kFramesPerTurn);
    if (!Check(more.status())) return;
    if (*more) {
      ProceedLater();
    } else if (self_->mailbox().empty()) {
      Check(parts_->publisher->FlushWritten(this));
    }
  }

  bool done_ = false;
};

}  // namespace

caf::actor SpawnPublisher(caf::actor_system& system, PublisherParts parts, const Clock* clock,
                          WorkerObserver* observer) {
  return SpawnState<PublisherState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
