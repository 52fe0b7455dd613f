// What the actors of readers, tasks and publishers have in common: their channels, their
// coordinator, and how they fail. `Host` is the interface that the core calls; `Parts` holds the
// core, its name and its participant.
//
// Nothing is caught on the way (docs/architecture.md, "Errors"): what a library throws reaches the
// actor's exception handler, which tells the coordinator, and the actor ends.
#pragma once

#include <caf/all.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "worker/actors.h"
#include "worker/outputs.h"

namespace millrace {

template <typename Host, typename Parts>
class ActorHost : public Host {
 public:
  ActorHost(caf::event_based_actor* self, std::shared_ptr<Parts> parts, const Clock* clock,
            WorkerObserver* observer)
      : self_(self), parts_(std::move(parts)), clock_(clock), observer_(observer) {}

  void Thrown(const std::exception_ptr& thrown) { Check(FromException(thrown)); }

  // Host
  Outlet* outlet() override { return outputs_.get(); }
  bool HasCredit() override { return outputs_->HasCredit(); }
  void SetFetched(MonotonicTime fetched) override { outputs_->SetFetched(fetched); }
  void Broadcast(const FrameBody& body) override { outputs_->Broadcast(body); }
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched) override {
    outputs_->ForwardWatermark(watermark, fetched);
  }
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    Tell(millrace::Acknowledge{parts_->participant, epoch,
                               std::make_shared<const proto::Acknowledgement>(std::move(what))});
  }
  void Done() override { Tell(ParticipantDone{parts_->participant}); }

 protected:
  void TakeConnect(const Connect& connect) {
    outputs_ = std::make_unique<Outputs>(self_, connect);
    coordinator_ = connect.coordinator;
    if (failure_ != nullptr) Tell(ParticipantFailed{parts_->name, failure_});
  }

  // What a peer gives back, which may be a process that is not what it should be.
  bool TakeCredit(const Credit& credit) {
    return Check(outputs_ == nullptr ? InternalError("unexpected_credit", "it came too soon")
                                     : outputs_->OnCredit(credit));
  }

  template <typename Message>
  void Tell(Message message) {
    self_->send(coordinator_, std::move(message));
  }

  // False for a failure, which ends the job; it is told once, as soon as there is a coordinator.
  bool Check(const Status& status) {
    if (status.ok()) return true;
    if (failed()) return false;
    failure_ = std::make_shared<Status>(status);
    if (coordinator_) Tell(ParticipantFailed{parts_->name, failure_});
    return false;
  }

  // Whether a turn may begin now: connected, not failed, and none is waiting in the mailbox.
  bool MayProceed() const { return !failed() && !scheduled_ && outputs_ != nullptr; }
  // After a turn that has more to do: another one, once other messages had theirs.
  void ProceedLater() {
    scheduled_ = true;
    self_->send(self_, millrace::Proceed::value);
  }
  void TakeProceed() { scheduled_ = false; }

  caf::event_based_actor* self_;
  std::shared_ptr<Parts> parts_;
  const Clock* clock_;
  WorkerObserver* observer_;
  std::unique_ptr<Outputs> outputs_;

  bool failed() const { return failure_ != nullptr; }

 private:
  caf::actor coordinator_;
  bool scheduled_ = false;
  std::shared_ptr<Status> failure_;  // null: none
};

// Of those that have channels at their inputs.
template <typename Host, typename Parts>
class FrameActorHost : public ActorHost<Host, Parts> {
 public:
  using ActorHost<Host, Parts>::ActorHost;

  void ReturnCredit(size_t input, const Frame& frame) override {
    this->outputs_->ReturnCredit(input, frame);
  }

 protected:
  // Whether the frame is one that the plan has here.
  bool Fits(const ChannelFrame& frame) { return this->Check(this->parts_->planned.Check(frame)); }
};

// Spawns an actor whose behavior and exception handler are those of a `State`, which lives as long
// as the actor. `Options`: caf::detached for one that blocks.
template <typename State, caf::spawn_options Options, typename Parts>
caf::actor SpawnState(caf::actor_system& system, Parts parts, const Clock* clock,
                      WorkerObserver* observer) {
  auto shared = std::make_shared<Parts>(std::move(parts));
  return system.spawn<Options>(
      [shared, clock, observer](caf::event_based_actor* self) -> caf::behavior {
        auto state = std::make_shared<State>(self, shared, clock, observer);
        self->set_exception_handler([state = state.get()](std::exception_ptr& thrown) {
          state->Thrown(thrown);
          return caf::error(caf::exit_reason::unhandled_exception);
        });
        self->attach_functor([state](const caf::error&) {});
        return state->Behavior();
      });
}

}  // namespace millrace
