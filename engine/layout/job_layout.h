// The actors of a job and the channels between them, before any is made. Pure: the same job, plan
// and request give the same layout in every process, so that each makes its own actors and knows
// whom they talk to. docs/architecture.md, "Actors".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/layout/sink_routes.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

// An actor's place in its job's layout. Participants of checkpoints come first, so that their
// address is their ParticipantId.
using Address = Id<struct AddressTag, int32_t>;
inline constexpr Address kCoordinatorAddress{-1};

enum class ActorKind {
  kReader,
  kTask,
  kDirectPublisher,
  kOutbox,
  kSegmentPublisher,  // no participants: what publishers do is after a checkpoint
  kRollPublisher,
};

struct ChannelPlan {
  Address receiver;
  int32_t input = 0;           // the index that the channel has there
  std::vector<int32_t> sinks;  // that the receiver takes for this sender; empty for a task
  NodeId node{-1};             // for a task: its keyed node
  TaskIndex task;
};

struct ActorPlan {
  ActorKind kind = ActorKind::kReader;
  std::string name;    // "readings.reader.0"
  NodeId node{-1};     // reader: its source; task: its keyed node
  int32_t index = 0;   // of a reader or task among those of its node
  int32_t shard = -1;  // outbox; publishers of what a shard holds
  int32_t sink = -1;   // direct and roll publishers: the sink's index, kDeadLetterSink
  std::vector<ChannelPlan> outputs;
  struct Input {
    Address sender;
    int32_t output = 0;  // the index that the channel has there
  };
  std::vector<Input> inputs;
};

struct LayoutRequest {
  std::map<NodeId, int32_t> readers;  // by source
  int32_t parallelism = 1;            // tasks of a keyed node
};

struct JobLayout {
  std::vector<ActorPlan> actors;  // by address
  int32_t participants = 0;
  SinkRoutes routes;

  const ActorPlan& at(Address address) const { return actors[size_t(address.value())]; }
  // In order of index.
  std::vector<Address> ReadersOf(NodeId source) const;
  // Those that must be where `outbox` is: they hand over what does not leave the process.
  std::vector<Address> PublishersOf(Address outbox) const;
};

JobLayout LayOut(const JobSpec& job, const JobPlan& plan, const LayoutRequest& request);

}  // namespace millrace
