#include "tools/simulator/account.h"

#include <algorithm>

namespace millrace {

LatenessRule::LatenessRule(Micros max_delay, Micros pane, Micros max_future,
                           int32_t partition_count)
    : max_delay_(max_delay),
      pane_(pane),
      max_future_(max_future),
      largest_(size_t(partition_count), kEventTimeMin) {}

LatenessRule::Verdict LatenessRule::Judge(int32_t partition, EventTime event_time,
                                          EventTime record_time) {
  if (event_time > record_time + max_future_) return Verdict::kFuture;
  EventTime& largest = largest_[size_t(partition)];
  // Event times are after 1970 here, so the remainder is not negative.
  const EventTime pane_end = event_time - event_time.time_since_epoch() % pane_ + pane_;
  const bool late = largest != kEventTimeMin && pane_end <= largest - max_delay_;
  largest = std::max(largest, event_time);
  return late ? Verdict::kLate : Verdict::kCounted;
}

}  // namespace millrace
