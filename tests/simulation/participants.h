// Readers, tasks and outboxes of a simulated process: the product's cores, with channels between
// them that keep count of credit as worker/outputs.h does.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/actor.h"
#include "tests/simulation/leader.h"
#include "tests/simulation/simulated_files.h"
#include "worker/outbox.h"
#include "worker/reader.h"
#include "worker/task.h"
#include "worker/task_state.h"

namespace millrace::simulation {

class Participant : public Actor, public Outlet {
 public:
  Participant(Site* site, int id, std::string name, Leader* leader, int64_t credit_bytes)
      : Actor(site, id, std::move(name)), leader_(leader), credit_bytes_(credit_bytes) {}

  // `sinks`: what the receiver takes of it; empty for a task.
  void Connect(Participant* receiver, std::vector<int32_t> sinks);
  size_t inputs() const { return senders_.size(); }

  // Outlet
  void ToWindow(NodeId node, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>> hashes,
                std::span<const uint32_t> selection) override;
  void ToSink(NodeId node, int sink_index, const Rows& rows) override;
  void ToDeadLetters(std::vector<DeadLetter> letters) override;

 protected:
  virtual void OnFrame(size_t, std::shared_ptr<const Frame>) {}
  // Credit has come back.
  virtual void OnCredit() { Schedule(); }

  ParticipantId participant() const { return ParticipantId(id()); }
  bool SomeCredit() const;
  void BroadcastFrame(const FrameBody& body);
  void ForwardToTasks(EventTime watermark);
  void GiveCreditBack(size_t input, const Frame& frame);
  void TellAcknowledged(Epoch epoch, proto::Acknowledgement what);
  void TellDone() { leader_->TellTwice(*this, ParticipantDone{participant()}); }
  // False: it failed, which is told once.
  bool Check(const Status& status);
  bool failed() const { return failed_; }

  Leader* const leader_;

 private:
  struct Channel {
    Participant* receiver;
    size_t input;
    std::vector<int32_t> sinks;
    int64_t on_the_way = 0;
  };
  struct Sender {
    Participant* sender;
    size_t output;
  };
  void Send(size_t channel, FrameBody body, int64_t bytes);
  void TakeCredit(size_t output, int64_t bytes);

  const int64_t credit_bytes_;
  std::vector<Channel> channels_;
  std::vector<Sender> senders_;
  bool failed_ = false;
};

class ReaderActor final : public Participant, public ReaderHost {
 public:
  using Participant::Participant;
  void Begin(std::unique_ptr<Reader> reader, const StartReading& start);

  void Take(const StreamWatermarkMoved& moved) { reader_->OnStreamWatermark(moved, this); }
  void Take(const OpenEpoch& open) { reader_->OnOpenEpoch(open.epoch, this); }
  void Take(const CheckpointCompleted& completed) { Check(reader_->OnCompleted(completed)); }
  void Take(const PauseReading& pause);
  void Take(const FinishReading& finish) { reader_->OnFinish(finish, this); }
  void Take(const PartitionFloor& floor);

  // ReaderHost
  Outlet* outlet() override { return this; }
  bool HasCredit() override { return SomeCredit(); }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override { BroadcastFrame(body); }
  void ForwardWatermark(EventTime watermark, MonotonicTime) override { ForwardToTasks(watermark); }
  void Report(WatermarkReport report) override { leader_->Tell(*this, report); }
  void Report(PartitionIdle idle) override { leader_->Tell(*this, idle); }
  void Report(PartitionActive active) override { leader_->Tell(*this, active); }
  void Report(PartitionEnded ended) override { leader_->Tell(*this, ended); }
  void Report(PartitionFound found) override { leader_->Tell(*this, found); }
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    TellAcknowledged(epoch, std::move(what));
  }
  void Warn(const std::string&) override {}
  void Done() override;

 private:
  void Turn() override;
  std::unique_ptr<Reader> reader_;
  bool ended_ = false;
};

// Runs what the product does on the thread of a task's store.
class StoreActor final : public Actor {
 public:
  using Actor::Actor;
};

struct TaskParts {
  LocalFiles local;
  std::unique_ptr<CheckpointStorage> storage;  // outlives the state
  std::unique_ptr<JobAccount> account;
  std::unique_ptr<TaskState> state;
  std::unique_ptr<Task> task;
};

class TaskActor final : public Participant, public TaskHost {
 public:
  using Participant::Participant;
  void Begin(std::shared_ptr<TaskParts> parts) { parts_ = std::move(parts); }

  // TaskHost
  Outlet* outlet() override { return this; }
  bool HasCredit() override { return SomeCredit(); }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override { BroadcastFrame(body); }
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t input, const Frame& frame) override { GiveCreditBack(input, frame); }
  void OnBarrier(Epoch epoch) override;
  void GatherState(Epoch epoch) override;
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    TellAcknowledged(epoch, std::move(what));
  }
  void Done() override { TellDone(); }

 private:
  void OnFrame(size_t input, std::shared_ptr<const Frame> frame) override;
  void Turn() override;
  void Gather(Epoch epoch);
  std::shared_ptr<TaskParts> parts_;
};

class OutboxActor final : public Participant, public OutboxHost {
 public:
  using Participant::Participant;
  void Begin(std::unique_ptr<Outbox> outbox) { outbox_ = std::move(outbox); }

  // OutboxHost
  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override { BroadcastFrame(body); }
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t input, const Frame& frame) override { GiveCreditBack(input, frame); }
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    TellAcknowledged(epoch, std::move(what));
  }
  void Done() override { TellDone(); }
  void Sealed(SealedRows) override {}
  void Rejected(const std::string&, const std::vector<DeadLetter>&) override {}
  void Grew(int64_t) override {}

 private:
  void OnFrame(size_t input, std::shared_ptr<const Frame> frame) override;
  void Turn() override;
  std::unique_ptr<Outbox> outbox_;
};

}  // namespace millrace::simulation
