#include "coordinator/load_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

class LoadMeterTest : public testing::Test {
 protected:
  // Beats twice a second, for so long, in which slot i keeps cores[i] busy.
  void Run(int64_t attempt, const std::vector<double>& cores, MonotonicTime span) {
    for (const MonotonicTime end = now_ + span; now_ < end;) {
      now_ += milliseconds(500);
      for (size_t i = 0; i < cores.size(); ++i) {
        cpu_.resize(std::max(cpu_.size(), i + 1));
        cpu_[i] += milliseconds(int64_t(500 * cores[i]));
        meter_.Take("job", attempt, int32_t(i), cpu_[i], now_);
      }
    }
  }
  auto Near(double cores) { return DoubleNear(cores, 1e-3); }

  LoadMeter meter_;
  MonotonicTime now_{0};
  std::vector<MonotonicTime> cpu_;
};

TEST_F(LoadMeterTest, NothingIsSaidBeforeEverySlotWasMeasured) {
  EXPECT_THAT(meter_.CoresOf("job"), IsEmpty());
  meter_.Begin("job", 1, 2);
  Run(1, {0.5}, seconds(40));
  EXPECT_THAT(meter_.CoresOf("job"), IsEmpty());
  Run(1, {0.5, 0.2}, seconds(31));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.5), Near(0.2)));
}

TEST_F(LoadMeterTest, EachSpanCountsForHalf) {
  meter_.Begin("job", 1, 1);
  Run(1, {0.4}, milliseconds(500) + LoadMeter::kSpan);
  Run(1, {0.8}, LoadMeter::kSpan);
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.6)));
  Run(1, {0.8}, LoadMeter::kSpan);
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.7)));
}

TEST_F(LoadMeterTest, WhatIsKnownOutlivesTheAttempt) {
  meter_.Begin("job", 1, 2);
  Run(1, {0.5, 0.2}, seconds(31));
  meter_.Begin("job", 2, 2);
  cpu_.clear();
  Run(2, {0.1, 0.2}, seconds(20));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.5), Near(0.2)));
  Run(2, {0.1, 0.2}, seconds(11));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.3), Near(0.2)));
  // At another parallelism too, until that was measured.
  meter_.Begin("job", 3, 1);
  cpu_.clear();
  Run(3, {0.6}, seconds(20));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.3), Near(0.2)));
  Run(3, {0.6}, seconds(11));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.6)));
}

TEST_F(LoadMeterTest, WhatIsOfAnotherAttemptOrSlotIsLeftOut) {
  meter_.Begin("job", 2, 1);
  Run(1, {0.5}, seconds(40));
  EXPECT_THAT(meter_.CoresOf("job"), IsEmpty());
  meter_.Take("job", 2, -1, seconds(1), seconds(100));
  meter_.Take("job", 2, 1, seconds(1), seconds(100));
  meter_.Take("other", 2, 0, seconds(1), seconds(100));
  EXPECT_THAT(meter_.CoresOf("job"), IsEmpty());
  Run(2, {0.5}, seconds(31));
  EXPECT_THAT(meter_.CoresOf("job"), ElementsAre(Near(0.5)));
  meter_.Forget("job");
  EXPECT_THAT(meter_.CoresOf("job"), IsEmpty());
}

}  // namespace
}  // namespace millrace
