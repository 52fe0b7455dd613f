#include "engine/event_time/replay_point.h"

#include <algorithm>

#include "engine/event_time/partition_clock.h"

namespace millrace {
namespace {

// Whether every window that could hold a reading before `bucket_end` ends by `horizon`.
bool IsPublished(EventTime bucket_end, Micros span, EventTime horizon) {
  const int64_t last = bucket_end.time_since_epoch().count() - 1;
  int64_t matters_until = 0;
  if (__builtin_add_overflow(last, span.count(), &matters_until)) matters_until = INT64_MAX;
  return matters_until <= horizon.time_since_epoch().count();
}

}  // namespace

ReplayTracker::ReplayTracker(Micros span, Micros bucket, size_t bucket_max)
    : span_(std::max(span, Micros(0))),
      bucket_(std::max(bucket, Micros(1))),
      bucket_max_(std::max<size_t>(bucket_max, 1)) {}

void ReplayTracker::Observe(std::span<const int64_t> offsets, std::span<const int64_t> event_times,
                            std::span<const EventTime> watermark_before) {
  // Most readings fall into the bucket of the one before; the bounds keep them off the map.
  int64_t known_first = 1;
  int64_t known_last = 0;
  for (size_t i = 0; i < event_times.size(); ++i) {
    const int64_t time = event_times[i];
    if (time == INT64_MIN || (known_first <= time && time <= known_last)) continue;
    const EventTime end = PaneEnd(EventTime(Micros(time)), bucket_, Micros(0));
    first_by_bucket_end_.try_emplace(end, ReplayPoint{offsets[i], watermark_before[i]});
    known_last = end.time_since_epoch().count() - 1;
    if (__builtin_sub_overflow(known_last, bucket_.count() - 1, &known_first)) {
      known_first = known_last;
    }
    while (first_by_bucket_end_.size() > bucket_max_) {
      const auto oldest = first_by_bucket_end_.begin();
      const auto next = std::next(oldest);
      if (oldest->second.offset < next->second.offset) next->second = oldest->second;
      first_by_bucket_end_.erase(oldest);
    }
  }
}

ReplayPoint ReplayTracker::Safe(EventTime horizon, ReplayPoint next) {
  while (!first_by_bucket_end_.empty() &&
         IsPublished(first_by_bucket_end_.begin()->first, span_, horizon)) {
    first_by_bucket_end_.erase(first_by_bucket_end_.begin());
  }
  ReplayPoint safe = next;
  for (const auto& [end, first] : first_by_bucket_end_) {
    if (first.offset < safe.offset) safe = first;
  }
  return safe;
}

}  // namespace millrace
