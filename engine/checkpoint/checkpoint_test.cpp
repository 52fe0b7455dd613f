#include <gtest/gtest.h>

#include <random>
#include <string>

#include "engine/checkpoint/aligner.h"
#include "engine/checkpoint/checkpoint_coordinator.h"
#include "engine/checkpoint/position_metadata.h"

namespace millrace {
namespace {

using Aligner = BarrierAligner<std::string>;

// Everything that is ready, as text: "0:a" an item of input 0, "|1" barrier 1, "$" the end.
std::string Drain(Aligner* aligner) {
  std::string out;
  while (true) {
    auto next = aligner->Next();
    if (!next.ok()) return out + "!" + next.status().message();
    if (!next->has_value()) return out;
    if (!out.empty()) out += " ";
    Aligner::Ready& ready = **next;
    switch (ready.kind) {
      case Aligner::Ready::Kind::kItem:
        out += std::to_string(ready.input) + ":" + *ready.item;
        break;
      case Aligner::Ready::Kind::kBarrier:
        out += "|" + std::to_string(ready.epoch.value());
        break;
      case Aligner::Ready::Kind::kAllEnded:
        out += "$";
        break;
    }
  }
}

TEST(BarrierAligner, HoldsBackWhatFollowsABarrierUntilAllInputsHaveIt) {
  Aligner aligner(2);
  aligner.PushItem(0, "a");
  aligner.PushBarrier(0, Epoch(1));
  aligner.PushItem(0, "after");
  EXPECT_EQ(Drain(&aligner), "0:a");
  EXPECT_TRUE(aligner.aligning());
  EXPECT_EQ(aligner.held(), 1u);
  aligner.PushItem(1, "b");
  EXPECT_EQ(Drain(&aligner), "1:b");
  aligner.PushBarrier(1, Epoch(1));
  EXPECT_EQ(Drain(&aligner), "|1 0:after");
  EXPECT_FALSE(aligner.aligning());
}

TEST(BarrierAligner, AnEndedInputDoesNotHoldABarrierUp) {
  Aligner aligner(2);
  aligner.PushEnd(0);
  aligner.PushBarrier(1, Epoch(1));
  aligner.PushItem(1, "x");
  aligner.PushEnd(1);
  EXPECT_EQ(Drain(&aligner), "|1 1:x $");
  EXPECT_EQ(Drain(&aligner), "");
}

TEST(BarrierAligner, ShowsTheLastHeldItemUntilABarrierFollowsIt) {
  Aligner aligner(2);
  EXPECT_EQ(aligner.LastHeld(0), nullptr);
  aligner.PushItem(0, "a");
  aligner.PushItem(0, "b");
  ASSERT_NE(aligner.LastHeld(0), nullptr);
  *aligner.LastHeld(0) = "c";
  EXPECT_EQ(aligner.LastHeld(1), nullptr);
  aligner.PushBarrier(0, Epoch(1));
  EXPECT_EQ(aligner.LastHeld(0), nullptr);
  EXPECT_EQ(Drain(&aligner), "0:a 0:c");
}

TEST(BarrierAligner, RefusesEpochsOutOfOrder) {
  Aligner aligner(1);
  aligner.PushBarrier(0, Epoch(2));
  aligner.PushBarrier(0, Epoch(1));
  EXPECT_EQ(Drain(&aligner), "|2!barrier 1 after 2");
}

// Any interleaving: order within an input holds, and what leaves before barrier e is exactly what
// was sent before it on every input.
TEST(BarrierAligner, CutsEveryInputAtTheSamePlaceUnderAnyInterleaving) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const size_t inputs = 1 + random() % 4;
    Aligner aligner(inputs);
    std::vector<int> sent(inputs, 0), epoch(inputs, 0), expected(inputs, 0);
    std::vector<std::vector<int>> cut(inputs, std::vector<int>(1, 0));
    int released_epoch = 0;
    for (int step = 0; step < 200; ++step) {
      const size_t input = random() % inputs;
      if (random() % 5 == 0) {
        aligner.PushBarrier(input, Epoch(++epoch[input]));
        cut[input].push_back(sent[input]);
      } else {
        aligner.PushItem(input, std::to_string(sent[input]++));
      }
      while (true) {
        auto next = aligner.Next();
        ASSERT_TRUE(next.ok()) << next.status().message();
        if (!next->has_value()) break;
        if ((*next)->kind == Aligner::Ready::Kind::kItem) {
          ASSERT_EQ(*(*next)->item, std::to_string(expected[(*next)->input]++));
        } else {
          ++released_epoch;
          ASSERT_EQ((*next)->epoch.value(), released_epoch);
          for (size_t i = 0; i < inputs; ++i) {
            ASSERT_EQ(expected[i], cut[i][size_t(released_epoch)]) << "seed " << seed;
          }
        }
      }
    }
  }
}

constexpr MonotonicTime Seconds(int seconds) { return std::chrono::seconds(seconds); }

TEST(CheckpointCoordinator, OpensByIntervalAndCompletesWhenAllHaveAcknowledged) {
  CheckpointCoordinator coordinator(2, Seconds(1), 10);
  EXPECT_FALSE(coordinator.MaybeOpen(Seconds(100)).has_value());
  EXPECT_EQ(coordinator.MaybeOpen(Seconds(101)), Epoch(1));
  EXPECT_FALSE(coordinator.MaybeOpen(Seconds(101)).has_value());
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(0), Epoch(1)), AckResult::kAccepted);
  EXPECT_FALSE(coordinator.TakeCompleted(Seconds(102)).has_value());
  EXPECT_EQ(coordinator.Missing(), std::vector<ParticipantId>{ParticipantId(1)});
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(1), Epoch(1)), AckResult::kAccepted);
  const auto completed = coordinator.TakeCompleted(Seconds(103));
  ASSERT_TRUE(completed.has_value());
  EXPECT_EQ(completed->epoch, Epoch(1));
  EXPECT_EQ(completed->opened, Seconds(101));
  EXPECT_FALSE(coordinator.TakeCompleted(Seconds(103)).has_value());
}

TEST(CheckpointCoordinator, OddAcknowledgementsAreNamed) {
  CheckpointCoordinator coordinator(2, Seconds(1), 10);
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(0), Epoch(1)), AckResult::kUnknownEpoch);
  coordinator.OpenNow(Seconds(1));
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(2), Epoch(1)), AckResult::kUnknownParticipant);
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(0), Epoch(1)), AckResult::kAccepted);
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(0), Epoch(1)), AckResult::kDuplicate);
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(0), Epoch(2)), AckResult::kUnknownEpoch);
}

TEST(CheckpointCoordinator, AcknowledgementsAreCumulative) {
  CheckpointCoordinator coordinator(2, Seconds(1), 10);
  for (int i = 0; i < 3; ++i) coordinator.OpenNow(Seconds(i));
  for (int i = 1; i <= 3; ++i) coordinator.Acknowledge(ParticipantId(0), Epoch(i));
  EXPECT_EQ(coordinator.Acknowledge(ParticipantId(1), Epoch(2)), AckResult::kAccepted);
  EXPECT_EQ(coordinator.TakeCompleted(Seconds(9))->epoch, Epoch(2));
  ASSERT_EQ(coordinator.pending().size(), 1u);
  EXPECT_EQ(coordinator.pending()[0].epoch, Epoch(3));
}

TEST(CheckpointCoordinator, PendingEpochsAreBoundedAndSayHowLong) {
  CheckpointCoordinator coordinator(1, Seconds(1), 2);
  coordinator.OpenNow(Seconds(0));
  coordinator.OpenNow(Seconds(1));
  EXPECT_FALSE(coordinator.MaybeOpen(Seconds(5)).has_value());
  EXPECT_FALSE(coordinator.MaybeOpen(Seconds(8)).has_value());
  EXPECT_EQ(coordinator.blocked_since(), Seconds(5));
  coordinator.Acknowledge(ParticipantId(0), Epoch(1));
  coordinator.TakeCompleted(Seconds(9));
  EXPECT_EQ(coordinator.MaybeOpen(Seconds(9)), Epoch(3));
  EXPECT_FALSE(coordinator.blocked_since().has_value());
}

TEST(PositionMetadata, ReadsBackWhatItWroteAndNothingElse) {
  PositionMetadata metadata;
  metadata.watermark = EventTime(Micros(1'655'000'000'000'000));
  metadata.published_before = 42;
  metadata.floor = EventTime(Micros(7));
  metadata.last_offset = 41;
  metadata.last_hash = UINT64_MAX;
  const std::string text = EncodePositionMetadata(metadata);
  EXPECT_EQ(text, "millrace/1 1655000000000000 -9223372036854775808 42 7 41 18446744073709551615");
  EXPECT_EQ(DecodePositionMetadata(text), metadata);
  for (const std::string& bad :
       {std::string(), std::string("millrace/2 1 2 3 4 5"), text + " 6", text.substr(0, 20)}) {
    EXPECT_FALSE(DecodePositionMetadata(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace millrace
