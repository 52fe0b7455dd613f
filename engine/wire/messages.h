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
#include "engine/connectors/source.h"
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
    int32_t sink = -1;  // index of the job's sink, kDeadLetterSink, or -1 for a task
    NodeId node{-1};    // for a task: its window node
    TaskIndex task;     // for a task
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
inline constexpr int32_t kDeadLetterSink = -2;

// ---- coordinator to readers -----------------------------------------------------------------

struct StartReading {
  struct Partition {
    StartPosition start;
    EventTime watermark = kEventTimeMin;  // the partition's, just before `start`
    int64_t published_before = -1;        // rows below this offset feed windows only
    // Readings from that offset on are judged against at least this (PositionMetadata::floor).
    EventTime floor = kEventTimeMin;
  };
  std::vector<Partition> partitions;
  // Every window that ends at or before it was published by an earlier run.
  EventTime horizon = kEventTimeMin;
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

// Every output up to `epoch` is safe, and every window that ends at or before `horizon`.
struct CommitPositions {
  Epoch epoch;
  EventTime horizon = kEventTimeMin;
};

// The last epoch of the job. `drain`: close every window after it (bounded input has ended);
// otherwise open windows are left for the next start.
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

struct ReaderAtBarrier {
  ParticipantId participant;
  Epoch epoch;
  EventTime forwarded = kEventTimeMin;  // the last watermark sent before the barrier
};

// ---- tasks and publishers to the coordinator ------------------------------------------------

struct EpochSafe {
  ParticipantId participant;
  Epoch epoch;
};

struct ParticipantDone {
  ParticipantId participant;
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::CommitPositions)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::FinishReading)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::WatermarkReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionIdle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionActive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::PartitionFound)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ReaderAtBarrier)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::EpochSafe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ParticipantDone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::ParticipantFailed)
