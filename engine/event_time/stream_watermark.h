// The watermark of a stream: the least over its partitions that are not idle. While all are idle
// it goes on by the time since the last one became idle, so that the last windows close. Pure;
// kept by the coordinator, one a source; readers report and forward what it says.
//
// Invariants: never goes back; never above the watermark of a partition that is not idle; a
// partition that comes back is told the watermark in the same step, so what it reads afterwards is
// judged against at least that.
#pragma once

#include <map>
#include <optional>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace millrace {

struct PartitionState {
  EventTime watermark = kEventTimeMin;
  bool idle = false;
  bool ended = false;  // a bounded partition that was read to its end
};

class StreamWatermark {
 public:
  // Begins at `watermark`: what a checkpoint knows of the stream. Before any partition is added.
  void Restore(EventTime watermark) { watermark_ = watermark; }
  // A partition takes part from here on: it holds the watermark where it is until it reports or is
  // idle. Its readings are judged against at least what SetActive then returns. Known ones stay as
  // they are.
  void AddPartition(const TopicPartition& partition);
  // Watermarks never go back; an older one changes nothing.
  void Report(const TopicPartition& partition, EventTime watermark);
  void SetIdle(const TopicPartition& partition, MonotonicTime now);
  // Returns the watermark that the partition's readings are judged against at least.
  EventTime SetActive(const TopicPartition& partition, MonotonicTime now);
  void SetEnded(const TopicPartition& partition, MonotonicTime now);

  // kEventTimeMax once every partition has ended; kEventTimeMin before the first report, and for
  // as long as no partition has had a reading (there is nothing to close).
  EventTime Advance(MonotonicTime now);
  EventTime watermark() const { return watermark_; }
  // Whether Advance must be called as time goes by: none is active, and there was a reading.
  bool moves_with_time() const;

  // The partition that holds the watermark back, for `describe`; none when all are idle or ended.
  std::optional<TopicPartition> Holder() const;
  const std::map<TopicPartition, PartitionState>& partitions() const { return partitions_; }

 private:
  // The least watermark of the partitions that are neither idle nor ended; none without any.
  std::optional<EventTime> LeastActive() const;
  // Takes a partition out of the active ones by `leave`, and notes since when none is left.
  void Leave(PartitionState* partition, bool PartitionState::*leave, MonotonicTime now);
  void RaiseTo(EventTime watermark);
  bool AllEnded() const;

  std::map<TopicPartition, PartitionState> partitions_;
  EventTime watermark_ = kEventTimeMin;
  std::optional<MonotonicTime> all_idle_since_;
  EventTime all_idle_watermark_ = kEventTimeMin;
};

}  // namespace millrace
