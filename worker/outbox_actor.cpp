#include "worker/actor_host.h"

namespace millrace {
namespace {

constexpr int kFramesPerTurn = 16;

class OutboxState final : public FrameActorHost<OutboxHost, OutboxParts> {
 public:
  using FrameActorHost::FrameActorHost;

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) { TakeConnect(connect); },
        [this](const ChannelFrame& frame) {
          if (!Fits(frame)) return;
          parts_->outbox->Push(size_t(frame.input), frame.frame);
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

  // OutboxHost
  void Sealed(SealedRows rows) override {
    observer_->OnNonFinite(parts_->name, parts_->outbox->non_finite_values());
    if (parts_->publisher) self_->send(parts_->publisher, std::move(rows));
  }
  void Rejected(const std::string& sink, const std::vector<DeadLetter>& letters) override {
    observer_->OnRejected(sink, letters);
  }
  void Grew(int64_t unsealed_bytes) override {
    Tell(OutboxGrew{parts_->participant.value(), unsealed_bytes});
  }

 private:
  void Proceed() {
    if (!MayProceed()) return;
    const auto more = parts_->outbox->Run(this, kFramesPerTurn);
    if (!Check(more.status())) return;
    if (*more) ProceedLater();
  }
};

}  // namespace

caf::actor SpawnOutbox(caf::actor_system& system, OutboxParts parts, const Clock* clock,
                       WorkerObserver* observer) {
  return SpawnState<OutboxState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
