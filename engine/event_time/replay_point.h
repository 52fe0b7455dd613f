// From where a partition must be read again after a restart without saved state: the first record
// that still matters to a window that has not been published. Pure; one a partition.
//
// Readings are kept as (bucket of event time -> first offset, watermark just before it). A bucket
// is forgotten once every window that could hold one of its readings has been published. A clock
// raised to the replay point's watermark judges what follows as it was judged the first time.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "engine/base/time.h"

namespace millrace {

struct ReplayPoint {
  int64_t offset = 0;                   // first record to read
  EventTime watermark = kEventTimeMin;  // the partition's watermark just before it
};

class ReplayTracker {
 public:
  // `span`: how long after its event time a reading may matter (PlanNode::span, the largest below
  // the source); zero for a job without windows. At most `bucket_max` buckets are kept: beyond it
  // the oldest two are merged (the replay point gets earlier, never later).
  ReplayTracker(Micros span, Micros bucket, size_t bucket_max = 4096);

  // One partition's readings in order, with the watermark before each. Null event times are
  // INT64_MIN and are skipped. Future readings are in no window: pass them as null, or one of them
  // would hold the replay point back until its time has come.
  void Observe(std::span<const int64_t> offsets, std::span<const int64_t> event_times,
               std::span<const EventTime> watermark_before);

  // With every window that ends at or before `horizon` published: the first record that matters,
  // or `next` where none does. Forgets what no later horizon can need.
  ReplayPoint Safe(EventTime horizon, ReplayPoint next);

 private:
  Micros span_;
  Micros bucket_;
  size_t bucket_max_;
  std::map<EventTime, ReplayPoint> first_by_bucket_end_;
};

}  // namespace millrace
