#include "engine/checkpoint/checkpoint_coordinator.h"

#include <algorithm>

namespace millrace {

CheckpointCoordinator::CheckpointCoordinator(int32_t participants, MonotonicTime interval,
                                             size_t pending_max)
    : acknowledged_(size_t(participants)), interval_(interval), pending_max_(pending_max) {}

std::optional<Epoch> CheckpointCoordinator::MaybeOpen(MonotonicTime now) {
  if (!last_open_time_.has_value()) last_open_time_ = now;
  if (now - *last_open_time_ < interval_) return std::nullopt;
  if (pending_.size() >= pending_max_) {
    if (!blocked_since_.has_value()) blocked_since_ = now;
    return std::nullopt;
  }
  return OpenNow(now);
}

Epoch CheckpointCoordinator::OpenNow(MonotonicTime now) {
  blocked_since_.reset();
  last_open_time_ = now;
  last_opened_ = Epoch(last_opened_.value() + 1);
  pending_.push_back({last_opened_, now});
  return last_opened_;
}

AckResult CheckpointCoordinator::Acknowledge(ParticipantId participant, Epoch epoch) {
  if (participant.value() < 0 || size_t(participant.value()) >= acknowledged_.size()) {
    return AckResult::kUnknownParticipant;
  }
  if (epoch <= Epoch(0) || epoch > last_opened_) return AckResult::kUnknownEpoch;
  Epoch& acknowledged = acknowledged_[size_t(participant.value())];
  if (epoch <= acknowledged) return AckResult::kDuplicate;
  acknowledged = epoch;
  return AckResult::kAccepted;
}

std::optional<CompletedCheckpoint> CheckpointCoordinator::TakeCompleted(MonotonicTime now) {
  if (acknowledged_.empty()) return std::nullopt;
  const Epoch safe = *std::min_element(acknowledged_.begin(), acknowledged_.end());
  if (safe <= last_completed_) return std::nullopt;
  last_completed_ = safe;
  CompletedCheckpoint completed{safe, MonotonicTime(0), now};
  while (!pending_.empty() && pending_.front().epoch <= safe) {
    completed.opened = pending_.front().opened;
    pending_.erase(pending_.begin());
  }
  return completed;
}

std::vector<ParticipantId> CheckpointCoordinator::Missing() const {
  std::vector<ParticipantId> missing;
  if (pending_.empty()) return missing;
  for (size_t i = 0; i < acknowledged_.size(); ++i) {
    if (acknowledged_[i] < pending_.front().epoch) missing.push_back(ParticipantId(int32_t(i)));
  }
  return missing;
}

}  // namespace millrace
