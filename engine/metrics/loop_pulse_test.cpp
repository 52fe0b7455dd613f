#include "engine/metrics/loop_pulse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(LoopPulse, ALoopThatDoesNotTurnForLongHangs) {
  ManualClock clock;
  clock.Advance(seconds(100));
  LoopPulse pulse("the thread that decides", &clock);
  pulse.Beat();
  clock.Advance(std::chrono::duration_cast<Micros>(LoopPulse::kStillMax));
  EXPECT_THAT(pulse.Reasons(), IsEmpty());
  clock.Advance(seconds(2));
  EXPECT_THAT(pulse.Reasons(), ElementsAre("the thread that decides has stood still for 32 s"));
  pulse.Beat();
  EXPECT_THAT(pulse.Reasons(), IsEmpty());
}

TEST(LoopPulse, OneThatHasNotBegunOrHasEndedDoesNot) {
  ManualClock clock;
  clock.Advance(seconds(100));
  LoopPulse pulse("the thread that decides", &clock);
  EXPECT_THAT(pulse.Reasons(), IsEmpty());
  pulse.Beat();
  pulse.End();
  clock.Advance(seconds(100));
  EXPECT_THAT(pulse.Reasons(), IsEmpty());
}

}  // namespace
}  // namespace millrace
