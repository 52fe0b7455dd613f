#include "engine/checkpoint/checkpoint_coordinator.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr MonotonicTime Seconds(int seconds) { return std::chrono::seconds(seconds); }
const ParticipantId kFirst(0), kSecond(1);

CheckpointLimits EverySecond() {
  CheckpointLimits limits;
  limits.interval = Seconds(1);
  limits.timeout = Seconds(60);
  limits.unpublished_epochs_max = 2;
  limits.outbox_bytes_max = 1000;
  return limits;
}

proto::Acknowledgement OfSource(const std::string& source) {
  proto::Acknowledgement what;
  what.mutable_reader()->set_source(source);
  return what;
}

TEST(CheckpointCoordinator, OpensByIntervalAfterTheLastNumberThatMayHaveBeenUsed) {
  CheckpointCoordinator checkpoints(2, EverySecond(), Epoch(6));
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(100), {}).has_value());
  EXPECT_EQ(checkpoints.MaybeOpen(Seconds(101), {}), Epoch(7));
  EXPECT_EQ(checkpoints.last_opened(), Epoch(7));
  EXPECT_EQ(checkpoints.pending()->opened, Seconds(101));
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(101), {}).has_value());
  EXPECT_EQ(checkpoints.blocked(), Blocked::kNo);
}

TEST(CheckpointCoordinator, IsTakenOnceWhenAllHaveAcknowledgedAndCompletedOnceItIsCommitted) {
  CheckpointCoordinator checkpoints(2, EverySecond(), Epoch(0));
  ASSERT_EQ(checkpoints.OpenNow(Seconds(5)), Epoch(1));
  EXPECT_EQ(checkpoints.Acknowledge(kFirst, Epoch(1), OfSource("a")), AckResult::kAccepted);
  EXPECT_EQ(checkpoints.TakeAcknowledged(), nullptr);
  EXPECT_EQ(checkpoints.Missing(), std::vector<ParticipantId>{kSecond});
  EXPECT_FALSE(checkpoints.OnCommitted(Epoch(1), Seconds(6)).has_value());
  EXPECT_EQ(checkpoints.Acknowledge(kSecond, Epoch(1), OfSource("b")), AckResult::kAccepted);
  const PendingCheckpoint* const taken = checkpoints.TakeAcknowledged();
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->acknowledgements.at(kFirst).reader().source(), "a");
  EXPECT_EQ(taken->acknowledgements.at(kSecond).reader().source(), "b");
  EXPECT_EQ(checkpoints.TakeAcknowledged(), nullptr);
  EXPECT_FALSE(checkpoints.OnCommitted(Epoch(2), Seconds(8)).has_value());
  const auto completed = checkpoints.OnCommitted(Epoch(1), Seconds(8));
  ASSERT_TRUE(completed.has_value());
  EXPECT_EQ(completed->epoch, Epoch(1));
  EXPECT_EQ(completed->opened, Seconds(5));
  EXPECT_EQ(completed->completed, Seconds(8));
  EXPECT_EQ(checkpoints.last_completed(), Epoch(1));
  EXPECT_FALSE(checkpoints.pending().has_value());
  EXPECT_FALSE(checkpoints.OnCommitted(Epoch(1), Seconds(9)).has_value());
}

TEST(CheckpointCoordinator, OddAcknowledgementsAreNamed) {
  CheckpointCoordinator checkpoints(2, EverySecond(), Epoch(3));
  const auto acknowledge = [&](int participant, int epoch) {
    return checkpoints.Acknowledge(ParticipantId(participant), Epoch(epoch), {});
  };
  EXPECT_EQ(acknowledge(0, 4), AckResult::kUnknownEpoch);
  checkpoints.OpenNow(Seconds(1));
  EXPECT_EQ(acknowledge(0, 3), AckResult::kUnknownEpoch);  // of another process
  EXPECT_EQ(acknowledge(2, 4), AckResult::kUnknownParticipant);
  EXPECT_EQ(acknowledge(-1, 4), AckResult::kUnknownParticipant);
  EXPECT_EQ(acknowledge(0, 4), AckResult::kAccepted);
  EXPECT_EQ(acknowledge(0, 4), AckResult::kDuplicate);
  EXPECT_TRUE(checkpoints.Abandon(Epoch(4)));
  EXPECT_EQ(acknowledge(1, 4), AckResult::kLate);
  EXPECT_EQ(acknowledge(1, 4), AckResult::kDuplicate);
  checkpoints.OpenNow(Seconds(2));
  EXPECT_EQ(acknowledge(1, 5), AckResult::kAccepted);
  EXPECT_EQ(acknowledge(1, 6), AckResult::kUnknownEpoch);
}

TEST(CheckpointCoordinator, ALateAcknowledgementIsNoneOfTheNextEpoch) {
  CheckpointCoordinator checkpoints(1, EverySecond(), Epoch(0));
  checkpoints.OpenNow(Seconds(1));
  checkpoints.Abandon(Epoch(1));
  checkpoints.OpenNow(Seconds(2));
  EXPECT_EQ(checkpoints.Acknowledge(kFirst, Epoch(1), {}), AckResult::kLate);
  EXPECT_EQ(checkpoints.TakeAcknowledged(), nullptr);
  EXPECT_EQ(checkpoints.Missing(), std::vector<ParticipantId>{kFirst});
}

TEST(CheckpointCoordinator, OneIsPendingAtATimeAndThePeriodStretches) {
  CheckpointCoordinator checkpoints(1, EverySecond(), Epoch(0));
  checkpoints.OpenNow(Seconds(0));
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(5), {}).has_value());
  EXPECT_EQ(checkpoints.blocked(), Blocked::kPending);
  checkpoints.Acknowledge(kFirst, Epoch(1), {});
  checkpoints.TakeAcknowledged();
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(6), {}).has_value());  // being committed
  checkpoints.OnCommitted(Epoch(1), Seconds(7));
  EXPECT_EQ(checkpoints.MaybeOpen(Seconds(7), {}), Epoch(2));
  EXPECT_EQ(checkpoints.blocked(), Blocked::kNo);
}

TEST(CheckpointCoordinator, UnpublishedOutputKeepsTheNextFromOpeningAndSaysWhy) {
  CheckpointCoordinator checkpoints(1, EverySecond(), Epoch(0));
  checkpoints.MaybeOpen(Seconds(0), {});
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(1), {.epochs = 3}).has_value());
  EXPECT_EQ(checkpoints.blocked(), Blocked::kEpochs);
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(1), {.bytes = 1001}).has_value());
  EXPECT_EQ(checkpoints.blocked(), Blocked::kOutbox);
  EXPECT_FALSE(checkpoints.MaybeOpen(Seconds(1), {.recovered = true}).has_value());
  EXPECT_EQ(checkpoints.blocked(), Blocked::kRecovered);
  EXPECT_EQ(checkpoints.MaybeOpen(Seconds(1), {.epochs = 2, .bytes = 1000}), Epoch(1));
}

TEST(CheckpointCoordinator, TimesOutUnlessItIsBeingCommitted) {
  CheckpointCoordinator checkpoints(1, EverySecond(), Epoch(0));
  EXPECT_FALSE(checkpoints.TimedOut(Seconds(100)).has_value());
  checkpoints.OpenNow(Seconds(100));
  EXPECT_FALSE(checkpoints.TimedOut(Seconds(159)).has_value());
  EXPECT_EQ(checkpoints.TimedOut(Seconds(160)), Epoch(1));
  checkpoints.Acknowledge(kFirst, Epoch(1), {});
  checkpoints.TakeAcknowledged();
  EXPECT_FALSE(checkpoints.TimedOut(Seconds(160)).has_value());
  EXPECT_FALSE(checkpoints.Abandon(Epoch(2)));
  EXPECT_TRUE(checkpoints.Abandon(Epoch(1)));
  EXPECT_FALSE(checkpoints.OnCommitted(Epoch(1), Seconds(161)).has_value());
}

}  // namespace
}  // namespace millrace
