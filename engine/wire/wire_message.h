// What actors of a job send each other across processes. Messages that stay within one are not
// among them: Connect and ConnectPublisher (made where the actors are), StateGathered, SealedRows,
// and those between coordinator and committer.
#pragma once

#include <variant>

#include "engine/wire/messages.h"

namespace millrace {

using WireMessage =
    std::variant<ChannelFrame, Credit, StartReading, AddPartition, OpenEpoch, StreamWatermarkMoved,
                 PartitionFloor, CheckpointCompleted, PauseReading, FinishReading, WatermarkReport,
                 PartitionIdle, PartitionActive, PartitionEnded, PartitionFound, Acknowledge,
                 OutboxGrew, ParticipantDone, ReleaseSegments, ReleaseRoll, AskPermission,
                 Permitted, SegmentsPublished, RollPublished, ParticipantFailed>;

}  // namespace millrace
