// Messages between the actors of a job. Between actors of one process they pass as they are; each
// is a plain struct whose meaning stands with it. Who sends what: docs/architecture.md, "Actors".
#pragma once

#include <caf/all.hpp>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/checkpoint/checkpoint_coordinator.h"
#include "engine/checkpoint/outbox_ledger.h"
#include "engine/connectors/source.h"
#include "engine/layout/sink_routes.h"
#include "engine/wire/frame.h"

namespace millrace {

// ---- data: any sender to any receiver of a channel ------------------------------------------

struct ChannelFrame {
  int32_t input = 0;  // index of the channel at the receiver
  std::shared_ptr<const Frame> frame;
};

// Receiver to sender: `bytes` of what was sent on the sender's channel `output` are processed.
struct Credit {
  int32_t output = 0;
  int64_t bytes = 0;
};

// Gives an actor its outgoing channels, before anything else: for each, the receiver and the
// index that the channel has there.
struct Connect {
  struct Channel {
    caf::actor receiver;
    int32_t input = 0;
    // Indexes of the job's sinks that the receiver takes for this sender, kDeadLetterSink among
    // them; empty for a task.
    std::vector<int32_t> sinks;
    NodeId node{-1};  // for a task: its window node
    TaskIndex task;   // for a task
  };
  std::vector<Channel> outputs;
  // The sender of each input and the index that the channel has there.
  struct Input {
    caf::actor sender;
    int32_t output = 0;
  };
  std::vector<Input> inputs;
  caf::actor coordinator;
};

// ---- coordinator to readers -----------------------------------------------------------------

struct StartReading {
  struct Partition {
    StartPosition start;
    EventTime watermark = kEventTimeMin;  // the partition's, just before `start`
    int64_t last_offset = -1;             // the last record that was read before `start`
    uint64_t last_hash = 0;
  };
  std::vector<Partition> partitions;
  // What the tasks below were told before the checkpoint that this start goes on from.
  EventTime forwarded = kEventTimeMin;
};

struct AddPartition {
  StartPosition start;
};

struct OpenEpoch {
  Epoch epoch;
};

struct StreamWatermarkMoved {
  EventTime watermark = kEventTimeMin;
  MonotonicTime fetched{0};
};

// Answer to PartitionActive.
struct PartitionFloor {
  TopicPartition partition;
  EventTime floor = kEventTimeMin;
};

// The epoch is complete: its positions may be shown to Kafka's tools.
struct CheckpointCompleted {
  Epoch epoch;
};

// Too much output waits to be published: nothing is to be read until it is told otherwise.
struct PauseReading {
  bool paused = false;
};

// The last epoch of the job. `drain`: close every window before it (input has ended); otherwise
// open windows are left for the next start.
struct FinishReading {
  Epoch epoch;
  bool drain = false;
};

// ---- readers to the coordinator -------------------------------------------------------------

struct WatermarkReport {
  NodeId source;
  std::vector<std::pair<TopicPartition, EventTime>> partitions;
  MonotonicTime fetched{0};
};

struct PartitionIdle {
  NodeId source;
  TopicPartition partition;
};

// A partition that was idle has records; its reader waits for the answer before it judges them.
struct PartitionActive {
  NodeId source;
  TopicPartition partition;
};

struct PartitionEnded {
  NodeId source;
  TopicPartition partition;
};

struct PartitionFound {
  NodeId source;
  StartPosition start;
};

// ---- participants to the coordinator --------------------------------------------------------

// What the participant holds at the barrier is safe, and what the manifest needs of it.
struct Acknowledge {
  ParticipantId participant;
  Epoch epoch;
  std::shared_ptr<const proto::Acknowledgement> what;
};

// A task's store to its task: the files of an epoch are safe, or why not.
struct StateGathered {
  Epoch epoch;
  std::shared_ptr<const arrow::Result<proto::TaskState>> state;
};

// To a publisher: its coordinator, which it reports to.
struct ConnectPublisher {
  caf::actor coordinator;
};

// An outbox to the coordinator: this much stands in segments that are not sealed.
struct OutboxGrew {
  int32_t shard = 0;
  int64_t unsealed_bytes = 0;
};

struct ParticipantDone {
  ParticipantId participant;
};

// ---- coordinator and publishers -------------------------------------------------------------

// To a shard's publisher: this may be published.
struct ReleaseSegments {
  ReleasedSegments released;
};
// To a file sink's publisher.
struct ReleaseRoll {
  ReleasedRoll released;
};
// The publisher must not make a producer before the coordinator has seen that it still leads.
struct AskPermission {
  int32_t shard = 0;
};
struct Permitted {};
struct SegmentsPublished {
  int32_t shard = 0;
  Epoch epoch;           // everything up to it
  int64_t next_row = 0;  // and every row below it
};
struct RollPublished {
  int32_t shard = 0;
  std::string sink;
  Epoch epoch;
};

// Outbox to publisher: how long the rows of an epoch have been on their way, for latency.
struct SealedRows {
  Epoch epoch;
  struct Run {
    std::string sink;
    int64_t rows = 0;
    int64_t bytes = 0;  // in the segment
    MonotonicTime fetched{0};
  };
  std::vector<Run> runs;
};

// ---- coordinator and committer --------------------------------------------------------------

struct CommitManifest {
  std::shared_ptr<const proto::Manifest> manifest;
};
struct ManifestCommitted {
  Epoch epoch;
  int64_t bytes = 0;                // that the checkpoint refers to
  int64_t uploaded_bytes = 0;       // of them, those that no earlier one had
  std::shared_ptr<Status> failure;  // null: committed
};
// A complete copy of a checkpoint, under its savepoint's name.
struct WriteSavepoint {
  std::shared_ptr<const proto::Manifest> manifest;
};
struct SavepointWritten {
  std::shared_ptr<Status> failure;  // null: it is there
};
struct CheckLeadership {
  int32_t shard = 0;
};
struct LeadershipChecked {
  int32_t shard = 0;
  std::shared_ptr<Status> failure;  // null: this process leads
};

// ---- anyone to the coordinator --------------------------------------------------------------

struct ParticipantFailed {
  std::string who;
  std::shared_ptr<Status> status;
};

using WakeUp = caf::atom_constant<caf::atom("wakeup")>;
using Proceed = caf::atom_constant<caf::atom("proceed")>;
using Tick = caf::atom_constant<caf::atom("tick")>;
using Stop = caf::atom_constant<caf::atom("stop")>;

}  // namespace millrace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ChannelFrame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::Credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::Connect)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::StartReading)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::AddPartition)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::OpenEpoch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::StreamWatermarkMoved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionFloor)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::FinishReading)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::WatermarkReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionIdle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionActive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionFound)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ParticipantDone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ParticipantFailed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::CheckpointCompleted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PauseReading)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::Acknowledge)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ReleaseSegments)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ReleaseRoll)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::AskPermission)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::Permitted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::SegmentsPublished)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::RollPublished)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::SealedRows)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::CommitManifest)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ManifestCommitted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::CheckLeadership)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::LeadershipChecked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::OutboxGrew)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::StateGathered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ConnectPublisher)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::WriteSavepoint)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::SavepointWritten)
