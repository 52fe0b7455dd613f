#include "engine/event_time/stream_watermark.h"

#include <algorithm>

namespace millrace {
namespace {

bool IsActive(const PartitionState& partition) { return !partition.idle && !partition.ended; }

EventTime SaturatingAdd(EventTime time, Micros by) {
  int64_t sum = 0;
  const bool overflow = __builtin_add_overflow(time.time_since_epoch().count(), by.count(), &sum);
  return overflow ? kEventTimeMax : EventTime(Micros(sum));
}

}  // namespace

void StreamWatermark::AddPartition(const TopicPartition& partition) {
  const bool added =
      partitions_.try_emplace(partition, PartitionState{watermark_, false, false}).second;
  if (added) all_idle_since_.reset();
}

void StreamWatermark::Report(const TopicPartition& partition, EventTime watermark) {
  AddPartition(partition);
  PartitionState& state = partitions_[partition];
  state.watermark = std::max(state.watermark, watermark);
}

void StreamWatermark::SetIdle(const TopicPartition& partition, MonotonicTime now) {
  AddPartition(partition);
  Leave(&partitions_[partition], &PartitionState::idle, now);
}

void StreamWatermark::SetEnded(const TopicPartition& partition, MonotonicTime now) {
  AddPartition(partition);
  Leave(&partitions_[partition], &PartitionState::ended, now);
}

EventTime StreamWatermark::SetActive(const TopicPartition& partition, MonotonicTime now) {
  Advance(now);
  AddPartition(partition);
  PartitionState& state = partitions_[partition];
  if (state.ended) return watermark_;
  state.idle = false;
  state.watermark = std::max(state.watermark, watermark_);
  all_idle_since_.reset();
  return watermark_;
}

void StreamWatermark::Leave(PartitionState* partition, bool PartitionState::*leave,
                            MonotonicTime now) {
  const bool was_active = IsActive(*partition);
  if (was_active) RaiseTo(*LeastActive());
  partition->*leave = true;
  if (!was_active || LeastActive().has_value()) return;
  // None is left. A last one that never had a reading says nothing about where the stream is: the
  // others do.
  if (watermark_ == kEventTimeMin) {
    EventTime least = kEventTimeMax;
    for (const auto& [id, state] : partitions_) {
      if (state.watermark != kEventTimeMin) least = std::min(least, state.watermark);
    }
    if (least != kEventTimeMax) RaiseTo(least);
  }
  all_idle_since_ = now;
  all_idle_watermark_ = watermark_;
}

EventTime StreamWatermark::Advance(MonotonicTime now) {
  if (const std::optional<EventTime> least = LeastActive()) {
    RaiseTo(*least);
  } else if (AllEnded()) {
    RaiseTo(kEventTimeMax);
  } else if (moves_with_time()) {
    const MonotonicTime since = std::max(now - *all_idle_since_, MonotonicTime(0));
    RaiseTo(SaturatingAdd(all_idle_watermark_, std::chrono::floor<Micros>(since)));
  }
  return watermark_;
}

bool StreamWatermark::moves_with_time() const {
  return all_idle_since_.has_value() && all_idle_watermark_ != kEventTimeMin && !AllEnded();
}

std::optional<TopicPartition> StreamWatermark::Holder() const {
  const auto holds_more = [](const auto& left, const auto& right) {
    if (IsActive(left.second) != IsActive(right.second)) return IsActive(left.second);
    return left.second.watermark < right.second.watermark;
  };
  const auto holder = std::min_element(partitions_.begin(), partitions_.end(), holds_more);
  if (holder == partitions_.end() || !IsActive(holder->second)) return std::nullopt;
  return holder->first;
}

std::optional<EventTime> StreamWatermark::LeastActive() const {
  std::optional<EventTime> least;
  for (const auto& [id, state] : partitions_) {
    if (IsActive(state) && (!least || state.watermark < *least)) least = state.watermark;
  }
  return least;
}

void StreamWatermark::RaiseTo(EventTime watermark) { watermark_ = std::max(watermark_, watermark); }

bool StreamWatermark::AllEnded() const {
  return !partitions_.empty() &&
         std::ranges::all_of(partitions_, [](const auto& entry) { return entry.second.ended; });
}

}  // namespace millrace
