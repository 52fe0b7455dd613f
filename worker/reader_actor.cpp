#include <atomic>

#include "engine/env/thread_cpu_time.h"
#include "worker/actor_host.h"

namespace millrace {
namespace {

// The reader looks by itself this often, for what no wake-up tells.
constexpr auto kTick = std::chrono::milliseconds(100);

class ReaderState final : public ActorHost<ReaderHost, ReaderParts> {
 public:
  ReaderState(caf::event_based_actor* self, std::shared_ptr<ReaderParts> parts, const Clock* clock,
              WorkerObserver* observer)
      : ActorHost(self, std::move(parts), clock, observer) {
    // Any thread; at most one wake-up is on its way.
    auto pending = wake_up_pending_;
    const caf::actor me = caf::actor_cast<caf::actor>(self_);
    parts_->reader->SetWakeUp([pending, me] {
      if (!pending->exchange(true)) caf::anon_send(me, WakeUp::value);
    });
  }

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) { TakeConnect(connect); },
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
          TakeProceed();
          Proceed();
        },
        [this](Tick) {
          if (ended_ || failed()) return;
          observer_->OnLag(parts_->name, parts_->reader->lag_records());
          observer_->OnCpuTime(parts_->name, ThreadCpuTime());
          self_->delayed_send(self_, kTick, Tick::value);
          Proceed();
        },
        [this](const Credit& credit) {
          const bool had = outputs_ != nullptr && outputs_->HasCredit();
          if (TakeCredit(credit) && !had && outputs_->HasCredit()) Proceed();
        },
        [this](const PartitionFloor& floor) {
          if (Check(parts_->reader->OnFloor(floor, this))) Proceed();
        },
        [this](const StreamWatermarkMoved& moved) {
          parts_->reader->OnStreamWatermark(moved, this);
        },
        [this](const OpenEpoch& open) { parts_->reader->OnOpenEpoch(open.epoch, this); },
        [this](const CheckpointCompleted& done) { Check(parts_->reader->OnCompleted(done)); },
        [this](const PauseReading& pause) {
          parts_->reader->OnPause(pause);
          if (!pause.paused) Proceed();
        },
        [this](const FinishReading& finish) { parts_->reader->OnFinish(finish, this); },
        [this](Stop) {
          ended_ = true;
          parts_->reader->Stop();
          self_->quit();
        },
    };
  }

  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // ReaderHost
  void Report(WatermarkReport report) override { Tell(std::move(report)); }
  void Report(PartitionIdle idle) override { Tell(std::move(idle)); }
  void Report(PartitionActive active) override { Tell(std::move(active)); }
  void Report(PartitionEnded ended) override { Tell(std::move(ended)); }
  void Report(PartitionFound found) override { Tell(std::move(found)); }
  void Warn(const std::string& message) override { observer_->OnWarning(parts_->name, message); }
  void Done() override {
    ended_ = true;
    ActorHost::Done();
  }

 private:
  bool Check(const Status& status) {
    return ActorHost::Check(status.ok() || failed() ? status : parts_->reader->Locate(status));
  }

  void Proceed() {
    if (ended_ || !MayProceed()) return;
    const auto more = parts_->reader->Step(clock_->Monotonic(), this);
    if (!Check(more.status())) return;
    if (*more) ProceedLater();
  }

  std::shared_ptr<std::atomic<bool>> wake_up_pending_ = std::make_shared<std::atomic<bool>>(false);
  bool ended_ = false;
};

}  // namespace

caf::actor SpawnReader(caf::actor_system& system, ReaderParts parts, const Clock* clock,
                       WorkerObserver* observer) {
  return SpawnState<ReaderState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
