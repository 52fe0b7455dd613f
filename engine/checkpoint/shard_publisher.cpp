#include "engine/checkpoint/shard_publisher.h"

#include <algorithm>

namespace millrace {

ShardPublisher::ShardPublisher(Lineage lineage, ShardKnowledge known)
    : lineage_(std::move(lineage)),
      known_(known),
      next_row_(known.confirmed_row),
      told_epoch_(known.confirmed_epoch) {}

void ShardPublisher::OnReleased(const ReleasedSegments& released) {
  released_ = std::max(released_, released.epoch);
  for (const proto::Segment& segment : released.segments) {
    segments_.push_back(segment);
    known_.sealed_row = std::max(known_.sealed_row, segment.first_row() + segment.rows());
  }
  known_.sealed_epoch = std::max(known_.sealed_epoch, released.epoch);
  if (state_ == State::kSettled) DropPublished();
}

void ShardPublisher::OnPermitted() {
  if (state_ == State::kAsked) state_ = State::kPermitted;
}

void ShardPublisher::OnInitialised(const Status& status, MonotonicTime now) {
  if (status.ok()) {
    state_ = State::kInitialised;
    backoff_ = MonotonicTime(0);
  } else {
    Unsettle();
    BackOff(now);
  }
}

Status ShardPublisher::OnRegister(const Result<std::optional<proto::Register>>& found,
                                  MonotonicTime now) {
  if (!found.ok()) {
    const ErrorDetail* const detail = ErrorDetail::Of(found.status());
    if (detail == nullptr || detail->retry() == Retry::kNo) return found.status();
    BackOff(now);
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(next_row_, DecideRegister(lineage_, known_, *found));
  if (found->has_value() && (*found)->generation() == lineage_.generation) {
    known_.confirmed_row = std::max(known_.confirmed_row, next_row_);
    known_.confirmed_epoch = std::max(known_.confirmed_epoch, Epoch((*found)->epoch()));
  }
  state_ = State::kSettled;
  backoff_ = MonotonicTime(0);
  DropPublished();
  return Status::OK();
}

void ShardPublisher::OnTransaction(Outcome outcome, int64_t next_row, MonotonicTime now) {
  switch (outcome) {
    case Outcome::kCommitted:
      next_row_ = next_row;
      known_.confirmed_row = next_row;
      known_.confirmed_epoch =
          std::max(known_.confirmed_epoch, Epoch(RegisterFor(next_row).epoch()));
      backoff_ = MonotonicTime(0);
      DropPublished();
      return;
    case Outcome::kAborted:
      BackOff(now);
      return;
    case Outcome::kUnknown:
    case Outcome::kFenced:
      Unsettle();
      BackOff(now);
      return;
  }
}

PublisherAction ShardPublisher::Next(MonotonicTime now) {
  PublisherAction action;
  action.not_before = not_before_;
  if (now < not_before_) return action;
  switch (state_) {
    case State::kUnsettled:
      state_ = State::kAsked;
      action.kind = PublisherAction::Kind::kAskPermission;
      return action;
    case State::kAsked:
      return action;
    case State::kPermitted:
      action.kind = PublisherAction::Kind::kInitialise;
      return action;
    case State::kInitialised:
      action.kind = PublisherAction::Kind::kReadRegister;
      return action;
    case State::kSettled:
      break;
  }
  const Epoch published = PublishedEpoch();
  if (published > told_epoch_ || next_row_ > told_row_) {
    told_epoch_ = published;
    told_row_ = next_row_;
    action.kind = PublisherAction::Kind::kTell;
    action.epoch = published;
    action.first_row = next_row_;
    return action;
  }
  if (segments_.empty()) return action;
  action.kind = PublisherAction::Kind::kPublish;
  action.segment = segments_.front();
  action.first_row = next_row_;
  return action;
}

proto::Register ShardPublisher::RegisterFor(int64_t next_row) const {
  proto::Register state;
  state.set_format(1);
  state.set_generation(lineage_.generation);
  state.set_next_row(next_row);
  int64_t epoch = known_.confirmed_epoch.value();
  for (const proto::Segment& segment : segments_) {
    if (segment.first_row() < next_row) epoch = std::max(epoch, segment.epoch());
  }
  state.set_epoch(epoch);
  return state;
}

void ShardPublisher::Unsettle() { state_ = State::kUnsettled; }

void ShardPublisher::BackOff(MonotonicTime now) {
  backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
  not_before_ = now + backoff_;
}

void ShardPublisher::DropPublished() {
  while (!segments_.empty() &&
         segments_.front().first_row() + segments_.front().rows() <= next_row_) {
    segments_.pop_front();
  }
}

Epoch ShardPublisher::PublishedEpoch() const {
  if (segments_.empty()) return std::max(released_, told_epoch_);
  return std::max(told_epoch_, Epoch(segments_.front().epoch() - 1));
}

}  // namespace millrace
