// Leads one job: keeps each source's watermark, opens epochs, tells readers which positions are
// safe, hands out partitions, and ends the job. No actor, no clock: coordinator_actor.h feeds it
// with messages and time. docs/architecture.md, "Actors".
//
// Life: running -> finishing (the last epoch was opened) -> ended; or failed from anywhere.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/checkpoint/checkpoint_coordinator.h"
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
  };
  std::vector<SourcePlan> sources;
  int32_t participants = 0;
  Micros checkpoint_interval{0};
};

class CoordinatorHost {
 public:
  virtual ~CoordinatorHost() = default;
  virtual void Send(ParticipantId reader, StreamWatermarkMoved moved) = 0;
  virtual void Send(ParticipantId reader, OpenEpoch open) = 0;
  virtual void Send(ParticipantId reader, CommitPositions commit) = 0;
  virtual void Send(ParticipantId reader, FinishReading finish) = 0;
  virtual void Send(ParticipantId reader, PartitionFloor floor) = 0;
  virtual void Send(ParticipantId reader, AddPartition add) = 0;
  virtual void OnCompleted(const CompletedCheckpoint& checkpoint) = 0;
  virtual void OnPending(size_t epochs) = 0;        // open or not safe yet; whenever it changes
  virtual void OnBlocked(MonotonicTime since) = 0;  // too many epochs wait to be safe
  // Called once: everything is safe, or what went wrong.
  virtual void Ended(const Status& status) = 0;
};

class JobCoordinator {
 public:
  explicit JobCoordinator(CoordinatorPlan plan);

  void OnTick(MonotonicTime now, CoordinatorHost* host);
  void OnReport(const WatermarkReport& report, MonotonicTime now, CoordinatorHost* host);
  void OnIdle(const PartitionIdle& idle, MonotonicTime now, CoordinatorHost* host);
  void OnActive(const PartitionActive& active, MonotonicTime now, CoordinatorHost* host);
  void OnEnded(const PartitionEnded& ended, MonotonicTime now, CoordinatorHost* host);
  void OnFound(const PartitionFound& found, CoordinatorHost* host);
  void OnReaderAtBarrier(const ReaderAtBarrier& at, MonotonicTime now, CoordinatorHost* host);
  void OnSafe(const EpochSafe& safe, MonotonicTime now, CoordinatorHost* host);
  void OnDone(const ParticipantDone& done, MonotonicTime now, CoordinatorHost* host);
  void OnFailed(const ParticipantFailed& failed, CoordinatorHost* host);
  // Ends the job after one more epoch; open windows are left for the next start.
  void RequestStop(MonotonicTime now, CoordinatorHost* host);

  bool ended() const { return state_ == State::kEnded; }

 private:
  enum class State { kRunning, kFinishing, kEnded };
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
  SourceState& StateOf(NodeId source);
  void Advance(SourceState* source, MonotonicTime now, CoordinatorHost* host);
  void Acknowledge(ParticipantId participant, Epoch epoch, MonotonicTime now,
                   CoordinatorHost* host);
  void Commit(Epoch epoch, CoordinatorHost* host);
  void FinishIfAllEnded(MonotonicTime now, CoordinatorHost* host);
  void Finish(bool drain, MonotonicTime now, CoordinatorHost* host);
  void EndIfAllDone(CoordinatorHost* host);
  void End(const Status& status, CoordinatorHost* host);

  CoordinatorPlan plan_;
  State state_ = State::kRunning;
  std::vector<SourceState> sources_;
  CheckpointCoordinator checkpoints_;
  // Epoch -> what each reader had forwarded when it passed the barrier.
  std::map<Epoch, std::map<ParticipantId, EventTime>> forwarded_;
  std::set<ParticipantId> done_;
  std::optional<Epoch> last_epoch_;  // of the job
};

// Partitions over `readers`, evenly, in order of topic and partition.
std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers);

}  // namespace millrace
