#include "worker/actor_host.h"

namespace millrace {
namespace {

// Frames taken before other actors get their turn.
constexpr int kFramesPerTurn = 16;

class TaskState final : public ActorHost<TaskHost, TaskParts> {
 public:
  using ActorHost::ActorHost;

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          started_ = clock_->Monotonic();
          TakeConnect(connect);
        },
        [this](const ChannelFrame& frame) {
          parts_->task->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          TakeProceed();
          Proceed();
        },
        [this](const Credit& credit) {
          const bool had = outputs_->HasCredit();
          outputs_->OnCredit(credit);
          if (had || !outputs_->HasCredit()) return;
          times_.backpressured += clock_->Monotonic() - out_of_credit_since_;
          Proceed();
        },
        [this](Stop) { self_->quit(); },
    };
  }

  // TaskHost
  void ReturnCredit(size_t input, const Frame& frame) override {
    outputs_->ReturnCredit(input, frame);
  }
  void AcknowledgeBarrier(Epoch epoch) override {
    Tell(EpochSafe{parts_->participant, epoch});
    const MonotonicTime now = clock_->Monotonic();
    observer_->OnAligned(parts_->name, now - aligning_since_.value_or(now));
    aligning_since_.reset();
    TellStats(now);
  }
  void Done() override {
    TellStats(clock_->Monotonic());
    ActorHost::Done();
  }

 private:
  void TellStats(MonotonicTime now) {
    times_.idle = now - started_ - times_.busy - times_.backpressured;
    observer_->OnTaskStats(parts_->name, parts_->task->stats(), times_);
  }

  void Proceed() {
    if (!MayProceed()) return;
    if (!outputs_->HasCredit()) return;  // resumes when credit comes back
    const MonotonicTime start = clock_->Monotonic();
    const auto more = parts_->task->Run(this, kFramesPerTurn);
    const MonotonicTime now = clock_->Monotonic();
    times_.busy += now - start;
    if (!outputs_->HasCredit()) out_of_credit_since_ = now;
    if (parts_->task->aligning() && !aligning_since_.has_value()) aligning_since_ = now;
    if (!Check(more.status())) return;
    if (*more) ProceedLater();
  }

  TaskTimes times_;
  MonotonicTime started_{0};
  MonotonicTime out_of_credit_since_{0};
  std::optional<MonotonicTime> aligning_since_;
};

}  // namespace

caf::actor SpawnTask(caf::actor_system& system, TaskParts parts, const Clock* clock,
                     WorkerObserver* observer) {
  return SpawnState<TaskState, caf::no_spawn_options>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
