#include "worker/actors.h"
#include "worker/failing.h"
#include "worker/outputs.h"

namespace millrace {
namespace {

// Frames taken before other actors get their turn.
constexpr int kFramesPerTurn = 16;

class TaskState final : public TaskHost {
 public:
  TaskState(caf::event_based_actor* self, std::shared_ptr<TaskParts> parts, const Clock* clock,
            WorkerObserver* observer)
      : self_(self), parts_(std::move(parts)), clock_(clock), observer_(observer) {}

  caf::behavior Behavior() {
    return {
        [this](const Connect& connect) {
          started_ = clock_->Monotonic();
          outputs_ = std::make_unique<Outputs>(self_, connect);
          coordinator_ = connect.coordinator;
        },
        [this](const ChannelFrame& frame) {
          parts_->task->Push(size_t(frame.input), frame.frame);
          Proceed();
        },
        [this](millrace::Proceed) {
          scheduled_ = false;
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

  // The actor ends with it: whatever was thrown ends the job.
  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // TaskHost
  Outlet* outlet() override { return outputs_.get(); }
  bool HasCredit() override { return outputs_->HasCredit(); }
  void SetFetched(MonotonicTime fetched) override { outputs_->SetFetched(fetched); }
  void Broadcast(const FrameBody& body) override { outputs_->Broadcast(body); }
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched) override {
    outputs_->ForwardWatermark(watermark, fetched);
  }
  void ReturnCredit(size_t input, const Frame& frame) override {
    outputs_->ReturnCredit(input, frame);
  }
  void AcknowledgeBarrier(Epoch epoch) override {
    self_->send(coordinator_, EpochSafe{parts_->participant, epoch});
    const MonotonicTime now = clock_->Monotonic();
    observer_->OnAligned(parts_->name, now - aligning_since_.value_or(now));
    aligning_since_.reset();
    TellStats(now);
  }
  void Done() override {
    TellStats(clock_->Monotonic());
    self_->send(coordinator_, ParticipantDone{parts_->participant});
  }

 private:
  bool Check(const Status& status) {
    if (status.ok()) return true;
    failed_ = true;
    self_->send(coordinator_, ParticipantFailed{parts_->name, std::make_shared<Status>(status)});
    return false;
  }

  void TellStats(MonotonicTime now) {
    times_.idle = now - started_ - times_.busy - times_.backpressured;
    observer_->OnTaskStats(parts_->name, parts_->task->stats(), times_);
  }

  void Proceed() {
    if (failed_ || scheduled_ || outputs_ == nullptr) return;
    if (!outputs_->HasCredit()) return;  // resumes when credit comes back
    const MonotonicTime start = clock_->Monotonic();
    const auto more = parts_->task->Run(this, kFramesPerTurn);
    const MonotonicTime now = clock_->Monotonic();
    times_.busy += now - start;
    if (!outputs_->HasCredit()) out_of_credit_since_ = now;
    if (parts_->task->aligning() && !aligning_since_.has_value()) aligning_since_ = now;
    if (!Check(more.status())) return;
    if (*more) {
      scheduled_ = true;
      self_->send(self_, millrace::Proceed::value);
    }
  }

  caf::event_based_actor* self_;
  std::shared_ptr<TaskParts> parts_;
  const Clock* clock_;
  WorkerObserver* observer_;
  std::unique_ptr<Outputs> outputs_;
  caf::actor coordinator_;
  TaskTimes times_;
  MonotonicTime started_{0};
  MonotonicTime out_of_credit_since_{0};
  std::optional<MonotonicTime> aligning_since_;
  bool scheduled_ = false;
  bool failed_ = false;
};

}  // namespace

caf::actor SpawnTask(caf::actor_system& system, TaskParts parts, const Clock* clock,
                     WorkerObserver* observer) {
  auto shared = std::make_shared<TaskParts>(std::move(parts));
  return system.spawn([shared, clock, observer](caf::event_based_actor* self) -> caf::behavior {
    auto state = std::make_shared<TaskState>(self, shared, clock, observer);
    FailOnException(self, state.get());
    self->attach_functor([state](const caf::error&) {});
    return state->Behavior();
  });
}

}  // namespace millrace
