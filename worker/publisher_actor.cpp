#include "worker/actor_host.h"

namespace millrace {
namespace {

constexpr int kFramesPerTurn = 16;

class PublisherState final : public FrameActorHost<PublisherHost, PublisherParts> {
 public:
  using FrameActorHost::FrameActorHost;

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) { TakeConnect(connect); },
        [this](const ChannelFrame& frame) {
          if (!Fits(frame)) return;
          parts_->publisher->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          TakeProceed();
          Proceed();
        },
        [this](const Credit& credit) {
          if (TakeCredit(credit)) Proceed();
        },
        [this](Stop) { self_->quit(); },
    };
  }

  // PublisherHost
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
    FrameActorHost::Acknowledge(epoch, std::move(what));
  }
  void Rejected(const std::vector<DeadLetter>& letters) override {
    observer_->OnRejected(parts_->name, letters);
  }
  void Delivered(int64_t rows, MonotonicTime after) override {
    observer_->OnDelivered(parts_->name, rows, after);
  }
  void Done() override {
    observer_->OnSinkStats(parts_->name, parts_->publisher->stats());
    FrameActorHost::Done();
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
};

}  // namespace

caf::actor SpawnPublisher(caf::actor_system& system, PublisherParts parts, const Clock* clock,
                          WorkerObserver* observer) {
  return SpawnState<PublisherState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
