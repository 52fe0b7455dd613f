// Leads one job: keeps each source's watermark, opens epochs and completes them, releases output
// and counts what is not published, hands out partitions, and ends the job. No actor, no clock:
// coordinator_actor.cpp feeds it with messages and time. docs/exactly-once.md, "The protocol".
//
// Life: running -> finishing (the last epoch was opened) -> publishing (it is complete) -> ended;
// or failed from anywhere.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_coordinator.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/outbox_ledger.h"
#include "engine/event_time/stream_watermark.h"
#include "engine/wire/messages.h"

namespace millrace {

struct CoordinatorPlan {
  struct SourcePlan {
    NodeId node;
    bool bounded = false;
    std::vector<ParticipantId> readers;
    // Which reader has which partition at the start.
    std::map<TopicPartition, ParticipantId> partitions;
    EventTime watermark = kEventTimeMin;  // restored
  };
  std::vector<SourcePlan> sources;
  int32_t participants = 0;
  CheckpointLimits limits;
  JobIdentity identity;
  // The checkpoint that the job goes on from; none: a fresh start.
  std::optional<proto::Manifest> restored;
  Epoch last_epoch;  // numbering goes on after it
};

// How far a source has come, for people.
struct SourceProgress {
  NodeId node;
  EventTime watermark = kEventTimeMin;  // none yet; kEventTimeMax: it has ended
  int64_t partitions = 0;
  // The partition that holds the watermark, and by how much the next one is ahead of it.
  std::optional<TopicPartition> holder;
  Micros holds_by{0};
  std::vector<TopicPartition> idle;  // at most kIdleShown
  static constexpr size_t kIdleShown = 20;
};

class CoordinatorHost {
 public:
  virtual ~CoordinatorHost() = default;
  virtual void Send(ParticipantId reader, StreamWatermarkMoved moved) = 0;
  virtual void Send(ParticipantId reader, OpenEpoch open) = 0;
  virtual void Send(ParticipantId reader, CheckpointCompleted completed) = 0;
  virtual void Send(ParticipantId reader, PauseReading pause) = 0;
  virtual void Send(ParticipantId reader, FinishReading finish) = 0;
  virtual void Send(ParticipantId reader, PartitionFloor floor) = 0;
  virtual void Send(ParticipantId reader, AddPartition add) = 0;
  // To be answered by OnCommitted.
  virtual void Commit(std::shared_ptr<const proto::Manifest> manifest) = 0;
  // To be answered by OnSavepointWritten.
  virtual void WriteSavepoint(std::shared_ptr<const proto::Manifest> manifest) = 0;
  virtual void OnSavepoint(const std::string& name, const Status& status) = 0;
  // To be answered by OnLeadership.
  virtual void CheckLeadership(int32_t shard) = 0;
  virtual void Permit(int32_t shard) = 0;
  virtual void Release(ReleasedSegments released) = 0;
  virtual void Release(ReleasedRoll released) = 0;
  virtual void OnCompleted(const CompletedCheckpoint& checkpoint) = 0;
  virtual void OnAbandoned(Epoch epoch, const std::string& why) = 0;
  virtual void OnUnpublished(int64_t epochs, int64_t bytes) = 0;  // whenever it may have changed
  // An epoch should have been opened, and was not; `since` when. Told at every tick while it lasts.
  virtual void OnBlocked(Blocked why, MonotonicTime since) = 0;
  // Called once: everything is safe, or what went wrong.
  virtual void Ended(const Status& status) = 0;
};

class JobCoordinator {
 public:
  explicit JobCoordinator(CoordinatorPlan plan);

  // Output of before the restart is released; called once, first.
  void Start(CoordinatorHost* host);
  void OnTick(MonotonicTime now, CoordinatorHost* host);
  void OnReport(const WatermarkReport& report, MonotonicTime now, CoordinatorHost* host);
  void OnIdle(const PartitionIdle& idle, MonotonicTime now, CoordinatorHost* host);
  void OnActive(const PartitionActive& active, MonotonicTime now, CoordinatorHost* host);
  void OnEnded(const PartitionEnded& ended, MonotonicTime now, CoordinatorHost* host);
  void OnFound(const PartitionFound& found, CoordinatorHost* host);
  void OnAcknowledge(const Acknowledge& acknowledge, EventTime wall, CoordinatorHost* host);
  void OnCommitted(const ManifestCommitted& committed, MonotonicTime now, EventTime wall,
                   CoordinatorHost* host);
  void OnSavepointWritten(const SavepointWritten& written, CoordinatorHost* host);
  void OnAskPermission(const AskPermission& ask, CoordinatorHost* host);
  void OnLeadership(const LeadershipChecked& checked, CoordinatorHost* host);
  void OnPublished(const SegmentsPublished& published, EventTime wall, CoordinatorHost* host);
  void OnRollPublished(const RollPublished& published, EventTime wall, CoordinatorHost* host);
  void OnOutboxGrew(const OutboxGrew& grew) { unsealed_[grew.shard] = grew.unsealed_bytes; }
  void OnDone(const ParticipantDone& done, EventTime wall, CoordinatorHost* host);
  void OnFailed(const ParticipantFailed& failed, CoordinatorHost* host);
  // A savepoint: one more epoch with every file rolled; written once all of its output is
  // confirmed, and no epoch opens meanwhile. Told by OnSavepoint. One at a time:
  // "savepoint_in_progress".
  void RequestSavepoint(const std::string& name, MonotonicTime now, CoordinatorHost* host);
  // Ends the job after one more epoch; open windows are left for the next start.
  void RequestStop(MonotonicTime now, CoordinatorHost* host);

  std::vector<SourceProgress> Sources() const;

  bool ended() const { return state_ == State::kEnded; }
  bool paused() const { return paused_; }

 private:
  enum class State { kRunning, kFinishing, kPublishing, kConfirming, kEnded };
  struct SourceState {
    CoordinatorPlan::SourcePlan plan;
    StreamWatermark watermark;
    EventTime told = kEventTimeMin;
    MonotonicTime fetched{0};
    MonotonicTime advanced{0};  // when time alone last moved the watermark
    size_t ended = 0;

    // A bounded source may have no partition at all; a topic without any may yet gain some.
    bool all_ended() const {
      return ended >= plan.partitions.size() && (plan.bounded || !plan.partitions.empty());
    }
  };
  // Null where the job has no such source, and the attempt ends: a worker is not what it should be.
  SourceState* StateOf(NodeId source, CoordinatorHost* host);
  void Refuse(const std::string& what, CoordinatorHost* host);
  void Advance(SourceState* source, MonotonicTime now, CoordinatorHost* host);
  struct Savepoint {
    std::string name;
    std::optional<PendingCheckpoint> checkpoint;  // once opened; then as it was acknowledged
    bool committed = false;
    bool writing = false;
  };
  bool MayOpenNow() const;
  void OpenSavepoint(MonotonicTime now, CoordinatorHost* host);
  void WriteSavepointIfPublished(EventTime wall, CoordinatorHost* host);
  void EndSavepoint(const Status& status, CoordinatorHost* host);
  proto::Manifest ManifestOf(const PendingCheckpoint& checkpoint, EventTime wall) const;
  void Abandon(Epoch epoch, const std::string& why, CoordinatorHost* host);
  void OpenIfDue(MonotonicTime now, CoordinatorHost* host);
  void PauseIfNeeded(MonotonicTime now, CoordinatorHost* host);
  CheckpointCoordinator::Unpublished Unpublished() const;
  void CommitIfAcknowledged(EventTime wall, CoordinatorHost* host);
  void ReleaseAll(Released released, CoordinatorHost* host);
  void ConfirmIfPublished(EventTime wall, CoordinatorHost* host);
  template <typename Message>
  void ToReaders(const Message& message, CoordinatorHost* host);
  void FinishIfAllEnded(MonotonicTime now, CoordinatorHost* host);
  void Finish(bool drain, MonotonicTime now, CoordinatorHost* host);
  void End(const Status& status, CoordinatorHost* host);

  CoordinatorPlan plan_;
  State state_ = State::kRunning;
  std::vector<SourceState> sources_;
  CheckpointCoordinator checkpoints_;
  OutboxLedger ledger_;
  std::map<int32_t, int64_t> unsealed_;  // bytes by outbox
  std::set<ParticipantId> done_;
  std::optional<Epoch> last_epoch_;        // of the job
  bool drained_ = false;                   // it closes every window
  bool stop_wanted_ = false;               // once another epoch may open
  std::optional<PendingCheckpoint> last_;  // of the job, as it was acknowledged
  std::optional<Savepoint> savepoint_;
  std::optional<Status> failure_;  // while it is asked whether this process leads
  std::optional<MonotonicTime> blocked_since_;
  bool paused_ = false;
};

}  // namespace millrace
