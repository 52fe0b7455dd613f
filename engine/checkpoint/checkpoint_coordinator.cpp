#include "engine/checkpoint/checkpoint_coordinator.h"

namespace millrace {

CheckpointCoordinator::CheckpointCoordinator(int32_t participants, CheckpointLimits limits,
                                             Epoch last)
    : participants_(participants),
      limits_(limits),
      last_opened_(last),
      first_(Epoch(last.value() + 1)),
      acknowledged_(size_t(participants)) {}

std::optional<Epoch> CheckpointCoordinator::MaybeOpen(MonotonicTime now,
                                                      const Unpublished& unpublished) {
  blocked_ = Blocked::kNo;
  if (!last_open_time_.has_value()) last_open_time_ = now;
  if (now - *last_open_time_ < limits_.interval) return std::nullopt;
  if (pending_.has_value()) {
    blocked_ = Blocked::kPending;
  } else if (unpublished.recovered) {
    blocked_ = Blocked::kRecovered;
  } else if (unpublished.epochs > limits_.unpublished_epochs_max) {
    blocked_ = Blocked::kEpochs;
  } else if (unpublished.bytes > limits_.outbox_bytes_max) {
    blocked_ = Blocked::kOutbox;
  }
  if (blocked_ != Blocked::kNo) return std::nullopt;
  return OpenNow(now);
}

Epoch CheckpointCoordinator::OpenNow(MonotonicTime now) {
  last_open_time_ = now;
  last_opened_ = Epoch(last_opened_.value() + 1);
  pending_ = PendingCheckpoint{last_opened_, now, {}, false};
  return last_opened_;
}

AckResult CheckpointCoordinator::Acknowledge(ParticipantId participant, Epoch epoch,
                                             proto::Acknowledgement what) {
  if (participant.value() < 0 || participant.value() >= participants_) {
    return AckResult::kUnknownParticipant;
  }
  if (epoch < first_ || epoch > last_opened_) return AckResult::kUnknownEpoch;
  Epoch& last = acknowledged_[size_t(participant.value())];
  if (epoch <= last) return AckResult::kDuplicate;
  last = epoch;
  if (!pending_.has_value() || pending_->epoch != epoch) return AckResult::kLate;
  pending_->acknowledgements.emplace(participant, std::move(what));
  return AckResult::kAccepted;
}

const PendingCheckpoint* CheckpointCoordinator::TakeAcknowledged() {
  if (!pending_.has_value() || pending_->committing) return nullptr;
  if (int32_t(pending_->acknowledgements.size()) < participants_) return nullptr;
  pending_->committing = true;
  return &*pending_;
}

std::optional<CompletedCheckpoint> CheckpointCoordinator::OnCommitted(Epoch epoch,
                                                                      MonotonicTime now) {
  if (!pending_.has_value() || pending_->epoch != epoch || !pending_->committing) {
    return std::nullopt;
  }
  CompletedCheckpoint completed;
  completed.epoch = epoch;
  completed.opened = pending_->opened;
  completed.completed = now;
  last_completed_ = epoch;
  pending_.reset();
  return completed;
}

bool CheckpointCoordinator::Abandon(Epoch epoch) {
  if (!pending_.has_value() || pending_->epoch != epoch) return false;
  pending_.reset();
  return true;
}

std::optional<Epoch> CheckpointCoordinator::TimedOut(MonotonicTime now) const {
  if (!pending_.has_value() || pending_->committing) return std::nullopt;
  if (now - pending_->opened < limits_.timeout) return std::nullopt;
  return pending_->epoch;
}

std::vector<ParticipantId> CheckpointCoordinator::Missing() const {
  std::vector<ParticipantId> missing;
  if (!pending_.has_value()) return missing;
  for (int32_t i = 0; i < participants_; ++i) {
    if (!pending_->acknowledgements.contains(ParticipantId(i))) {
      missing.push_back(ParticipantId(i));
    }
  }
  return missing;
}

}  // namespace millrace
