// Event time of one partition: its watermark, and which of its readings are late or in the future.
// Pure. Decisions depend on the partition's content alone (and on the floor it was given when it
// came back from idling), never on interleaving, restarts or parallelism. docs/event-time.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/time.h"

namespace millrace {

// What became of a batch's readings, in order.
struct ClockedBatch {
  // Row i's lateness is decided against this: the partition's watermark just before it.
  std::vector<EventTime> watermark_before;
  std::vector<uint8_t> is_future;  // 1: event time > record timestamp + max_future
  int64_t future_count = 0;
};

class PartitionClock {
 public:
  // max_future < 0: no check.
  PartitionClock(Micros max_delay, Micros max_future);

  // Takes readings in the partition's order. `event_times` and `record_timestamps` are
  // microseconds; INT64_MIN as event time: null (never moves the watermark); INT64_MIN as record
  // timestamp: none, so no future check. Future readings never move the watermark.
  // `record_timestamps` may be empty.
  void Observe(std::span<const int64_t> event_times, std::span<const int64_t> record_timestamps,
               ClockedBatch* result);

  // The partition came back from idling (or starts) in a stream whose watermark is `stream`.
  void RaiseTo(EventTime stream);

  // Largest event time so far less max_delay, or what RaiseTo gave; kEventTimeMin before both.
  EventTime watermark() const { return watermark_; }

 private:
  Micros max_delay_;
  Micros max_future_;
  EventTime watermark_ = kEventTimeMin;
};

// End of the pane that holds `time`: panes are [k * pane + offset, (k + 1) * pane + offset).
// kEventTimeMax where it would lie beyond.
constexpr EventTime PaneEnd(EventTime time, Micros pane, Micros pane_offset) {
  const auto floor_modulo = [&](int64_t value) {
    const int64_t rest = value % pane.count();
    return rest < 0 ? rest + pane.count() : rest;
  };
  const int64_t raw = time.time_since_epoch().count();
  const int64_t phase = floor_modulo(pane_offset.count());
  const int64_t position = floor_modulo(raw);
  const int64_t left = phase - position + (position >= phase ? pane.count() : 0);
  int64_t end = 0;
  return __builtin_add_overflow(raw, left, &end) ? kEventTimeMax : EventTime(Micros(end));
}

// Late: the pane that holds the reading ended (with what is allowed) at or before the watermark.
constexpr bool IsLate(EventTime event_time, Micros pane, Micros pane_offset, EventTime watermark) {
  if (watermark == kEventTimeMin) return false;
  return PaneEnd(event_time, pane, pane_offset) <= watermark;
}

}  // namespace millrace
