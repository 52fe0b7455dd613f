#include "engine/env/thread_cpu_time.h"
#include "worker/actor_host.h"
#include "worker/reading_place.h"
#include "worker/task_state.h"

namespace millrace {
namespace {

// Frames taken before other actors get their turn.
constexpr int kFramesPerTurn = 16;
// Counting looks at every key.
constexpr auto kKeysCountedEvery = std::chrono::seconds(10);

class TaskActorState final : public FrameActorHost<TaskHost, TaskParts> {
 public:
  using FrameActorHost::FrameActorHost;

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          started_ = clock_->Monotonic();
          TakeConnect(connect);
        },
        [this](const ChannelFrame& frame) {
          if (!Fits(frame)) return;
          parts_->task->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          TakeProceed();
          Proceed();
        },
        [this](Tick) {
          ticking_ = false;
          Proceed();
        },
        [this](const Credit& credit) {
          const bool had = outputs_ != nullptr && outputs_->HasCredit();
          if (!TakeCredit(credit) || had || !outputs_->HasCredit()) return;
          times_.backpressured += clock_->Monotonic() - out_of_credit_since_;
          Proceed();
        },
        [this](const StateGathered& gathered) {
          if (Check(parts_->task->OnGathered(gathered.epoch, *gathered.state, this))) {
            observer_->OnStateStored(parts_->name, parts_->state->figures());
          }
        },
        [this](Stop) { self_->quit(); },
    };
  }

  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // TaskHost
  void OnBarrier(Epoch) override {
    const MonotonicTime now = clock_->Monotonic();
    observer_->OnAligned(parts_->name, now - aligning_since_.value_or(now));
    aligning_since_.reset();
    TellStats(now);
  }
  MonotonicTime Now() override { return clock_->Monotonic(); }
  void RunAfter(MonotonicTime wait) override {
    if (std::exchange(ticking_, true)) return;
    self_->delayed_send(self_, wait, Tick::value);
  }
  void OnCheckpointStall(MonotonicTime took) override {
    observer_->OnCheckpointStall(parts_->name, took);
  }
  void GatherState(Epoch epoch) override {
    const caf::actor me = caf::actor_cast<caf::actor>(self_);
    parts_->state->Gather(
        epoch, parts_->task->Fingerprint(), [me](Epoch done, Result<proto::TaskState> state) {
          caf::anon_send(
              me,
              StateGathered{done, std::make_shared<Result<proto::TaskState>>(std::move(state))});
        });
  }
  void Done() override {
    is_done_ = true;
    TellStats(clock_->Monotonic());
    FrameActorHost::Done();
  }

 private:
  bool Check(const Status& status) {
    return FrameActorHost::Check(AtPlace(status, parts_->task->Place()));
  }

  void TellStats(MonotonicTime now) {
    times_.idle = now - started_ - times_.busy - times_.backpressured;
    observer_->OnTaskStats(parts_->name, parts_->task->stats(), times_);
    observer_->OnCpuTime(parts_->name, ThreadCpuTime());
    if (!parts_->task->counts_keys() || (now < counted_ + kKeysCountedEvery && !is_done_)) return;
    counted_ = now;
    observer_->OnKeys(parts_->task->stream(), parts_->name, parts_->task->Census());
  }

  void Proceed() {
    if (!MayProceed()) return;
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
  bool ticking_ = false;  // a Tick is on its way
  bool is_done_ = false;
  MonotonicTime counted_{0};
  MonotonicTime started_{0};
  MonotonicTime out_of_credit_since_{0};
  std::optional<MonotonicTime> aligning_since_;
};

}  // namespace

caf::actor SpawnTask(caf::actor_system& system, TaskParts parts, const Clock* clock,
                     WorkerObserver* observer) {
  return SpawnState<TaskActorState, caf::detached>(system, std::move(parts), clock, observer);
}

}  // namespace millrace
