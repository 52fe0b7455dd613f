#include "engine/checkpoint/aligner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

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

}  // namespace
}  // namespace millrace
