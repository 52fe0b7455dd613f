// The coordinator of a simulated process and its committer.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "coordinator/checkpoint_committer.h"
#include "coordinator/job_coordinator.h"
#include "tests/simulation/actor.h"
#include "tests/simulation/simulated_storage.h"

namespace millrace::simulation {

class Leader;
class ReaderActor;
class SegmentActor;
class RollActor;

class CommitterActor final : public Actor {
 public:
  CommitterActor(Site* site, int id, const LogState* log,
                 std::unique_ptr<CheckpointCommitter> committer)
      : Actor(site, id, "committer"), log_(log), committer_(std::move(committer)) {}
  void Commit(const std::shared_ptr<const proto::Manifest>& manifest, Leader* leader);
  void Check(int32_t shard, Leader* leader);

 private:
  const LogState* log_;
  std::unique_ptr<CheckpointCommitter> committer_;
};

// Whom the coordinator sends to.
struct LeaderPeers {
  std::map<ParticipantId, ReaderActor*> readers;
  std::map<int32_t, SegmentActor*> segments;
  RollActor* rolls = nullptr;
  CommitterActor* committer = nullptr;
};

class Leader final : public Actor, public CoordinatorHost {
 public:
  Leader(Site* site, int id, CoordinatorPlan plan)
      : Actor(site, id, "coordinator"), job_(std::move(plan)) {}
  void Begin(LeaderPeers peers);
  void RequestStop();
  // How the job ended; none: it goes on.
  const std::optional<Status>& ended() const { return ended_; }

  template <typename Message>
  void Tell(const Actor& from, const Message& message) {
    Post(from.id(), "told", [this, message] { Take(message); });
  }
  // Confirmations may come twice, the second time at any time after the first.
  template <typename Message>
  void TellTwice(const Actor& from, const Message& message) {
    const bool twice = world()->faults && world()->random.Chance(150);
    Post(from.id(), "told", [this, message, twice, queue = -1 - from.id()] {
      Take(message);
      if (twice) Post(queue, "told again", [this, message] { Take(message); });
    });
  }

  // CoordinatorHost
  void Send(ParticipantId reader, StreamWatermarkMoved moved) override;
  void Send(ParticipantId reader, OpenEpoch open) override;
  void Send(ParticipantId reader, CheckpointCompleted completed) override;
  void Send(ParticipantId reader, PauseReading pause) override;
  void Send(ParticipantId reader, FinishReading finish) override;
  void Send(ParticipantId reader, PartitionFloor floor) override;
  void Send(ParticipantId, AddPartition) override {}
  void Commit(std::shared_ptr<const proto::Manifest> manifest) override;
  // Savepoints are made of processes that have ended (simulation.cpp).
  void WriteSavepoint(std::shared_ptr<const proto::Manifest>) override {}
  void OnSavepoint(const std::string&, const Status&) override {}
  void CheckLeadership(int32_t shard) override;
  void Permit(int32_t shard) override;
  void Release(ReleasedSegments released) override;
  void Release(ReleasedRoll released) override;
  void OnCompleted(const CompletedCheckpoint&) override {}
  void OnAbandoned(Epoch epoch, const std::string& why) override;
  void OnUnpublished(int64_t, int64_t) override {}
  void OnBlocked(Blocked, MonotonicTime) override {}
  void Ended(const Status& status) override { ended_ = status; }

 private:
  void Turn() override;
  void Take(const WatermarkReport& report) { job_.OnReport(report, world()->now, this); }
  void Take(const PartitionIdle& idle) { job_.OnIdle(idle, world()->now, this); }
  void Take(const PartitionActive& active) { job_.OnActive(active, world()->now, this); }
  void Take(const PartitionEnded& ended) { job_.OnEnded(ended, world()->now, this); }
  void Take(const PartitionFound& found) { job_.OnFound(found, this); }
  void Take(const Acknowledge& what) { job_.OnAcknowledge(what, world()->wall, this); }
  void Take(const ManifestCommitted& what);
  void Take(const AskPermission& ask) { job_.OnAskPermission(ask, this); }
  void Take(const LeadershipChecked& checked) { job_.OnLeadership(checked, this); }
  void Take(const SegmentsPublished& what) { job_.OnPublished(what, world()->wall, this); }
  void Take(const RollPublished& what) { job_.OnRollPublished(what, world()->wall, this); }
  void Take(const ParticipantDone& done) { job_.OnDone(done, world()->wall, this); }
  void Take(const ParticipantFailed& failed) { job_.OnFailed(failed, this); }
  void Take(const OutboxGrew& grew) { job_.OnOutboxGrew(grew); }
  template <typename Function>
  void ToReader(ParticipantId reader, const char* what, Function function);

  JobCoordinator job_;
  LeaderPeers peers_;
  std::optional<Status> ended_;
  Epoch committed_;
};

}  // namespace millrace::simulation
