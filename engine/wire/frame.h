// What a channel carries from one actor to the next, in order: rows, watermarks, barriers, the end.
// Frames between actors of one process pass by pointer; nothing in them changes once sent.
// Pure data: the actors' own message types stand in messages.h.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/model/dead_letter.h"
#include "engine/model/rows.h"

namespace millrace {

// Rows for one node of the receiver. `selection` lists the rows meant (of a batch that several
// tasks share); for sinks it is empty and all rows are meant.
struct DataFrame {
  NodeId node;
  Rows rows;
  std::shared_ptr<const std::vector<uint64_t>> hashes;  // of the keys, one a row; null for sinks
  std::vector<uint32_t> selection;
  int32_t sink = -1;         // index of the job's sink; -1: rows of a window
  MonotonicTime fetched{0};  // when the reading that made these rows due was fetched
};

struct DeadLetterFrame {
  std::vector<DeadLetter> letters;
};

// No reading with an earlier event time follows.
struct WatermarkFrame {
  EventTime watermark = kEventTimeMin;
  MonotonicTime fetched{0};
};

struct BarrierFrame {
  Epoch epoch;
};

// Nothing follows on this channel.
struct EndFrame {};

using FrameBody = std::variant<DataFrame, DeadLetterFrame, WatermarkFrame, BarrierFrame, EndFrame>;

struct Frame {
  FrameBody body;
  // What the frame costs of its channel's credit; 0 for watermarks, barriers and ends.
  int64_t bytes = 0;
};

// An approximation of what a batch keeps in memory, cheap to compute: buffer sizes, not content.
int64_t ApproximateBytes(const Rows& rows);

// A sender may have at most this much on its way on one channel (and one frame more).
inline constexpr int64_t kChannelBytesMax = 4 << 20;

}  // namespace millrace
