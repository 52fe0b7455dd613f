#include "engine/event_time/partition_clock.h"

#include <algorithm>

namespace millrace {
namespace {

// The limits stand for "none", so that arithmetic stops there instead of wrapping.
constexpr int64_t SaturatingSubtract(int64_t value, int64_t by) {
  int64_t result = 0;
  return __builtin_sub_overflow(value, by, &result) ? INT64_MIN : result;
}

constexpr int64_t SaturatingAdd(int64_t value, int64_t by) {
  int64_t result = 0;
  return __builtin_add_overflow(value, by, &result) ? INT64_MAX : result;
}

}  // namespace

PartitionClock::PartitionClock(Micros max_delay, Micros max_future)
    : max_delay_(std::max(max_delay, Micros(0))), max_future_(max_future) {}

void PartitionClock::Observe(std::span<const int64_t> event_times,
                             std::span<const int64_t> record_timestamps, ClockedBatch* result) {
  const size_t count = event_times.size();
  result->watermark_before.resize(count);
  result->is_future.assign(count, 0);
  result->future_count = 0;
  const int64_t delay = max_delay_.count();
  int64_t watermark = watermark_.time_since_epoch().count();
  EventTime* before = result->watermark_before.data();

  if (max_future_ < Micros(0) || record_timestamps.empty()) {
    // A null (INT64_MIN) less the delay stays INT64_MIN, which raises nothing.
    for (size_t i = 0; i < count; ++i) {
      before[i] = EventTime(Micros(watermark));
      watermark = std::max(watermark, SaturatingSubtract(event_times[i], delay));
    }
  } else {
    const int64_t ahead = max_future_.count();
    int64_t future_count = 0;
    for (size_t i = 0; i < count; ++i) {
      before[i] = EventTime(Micros(watermark));
      const int64_t reference = record_timestamps[i];
      const bool is_future =
          reference != INT64_MIN && event_times[i] > SaturatingAdd(reference, ahead);
      result->is_future[i] = is_future;
      future_count += is_future;
      const int64_t candidate = is_future ? INT64_MIN : SaturatingSubtract(event_times[i], delay);
      watermark = std::max(watermark, candidate);
    }
    result->future_count = future_count;
  }
  watermark_ = EventTime(Micros(watermark));
}

void PartitionClock::RaiseTo(EventTime stream) { watermark_ = std::max(watermark_, stream); }

}  // namespace millrace
