// The clocks of partitions and their idleness, sentence by sentence of docs/event-time.md.
#include <gtest/gtest.h>

#include <vector>

#include "engine/event_time/idleness.h"
#include "engine/event_time/partition_clock.h"
#include "engine/event_time/stream_watermark.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kNull = INT64_MIN;

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

std::vector<int64_t> Raw(const std::vector<EventTime>& times) {
  std::vector<int64_t> raw;
  for (const EventTime time : times) raw.push_back(time.time_since_epoch().count());
  return raw;
}

ClockedBatch Observe(PartitionClock* clock, std::vector<int64_t> event_times,
                     std::vector<int64_t> record_timestamps = {}) {
  ClockedBatch result;
  clock->Observe(event_times, record_timestamps, &result);
  return result;
}

TEST(PartitionClock, AWatermarkAPartitionItsLargestEventTimeLessMaxDelay) {
  PartitionClock clock(Micros(10), Micros(-1));
  EXPECT_EQ(clock.watermark(), kEventTimeMin);
  const ClockedBatch batch = Observe(&clock, {100, 90, 130, 120});
  EXPECT_EQ(Raw(batch.watermark_before), (std::vector<int64_t>{INT64_MIN, 90, 90, 120}));
  EXPECT_EQ(clock.watermark(), At(120));
  EXPECT_EQ(batch.future_count, 0);
  EXPECT_EQ(batch.is_future, (std::vector<uint8_t>{0, 0, 0, 0}));
}

TEST(PartitionClock, CuttingTheInputChangesNothing) {
  const std::vector<int64_t> times = {5, kNull, 900, 30, 70, 41, -8, 77, 901, 78};
  const std::vector<int64_t> stamps = {5, 10, 50, 50, 60, 60, kNull, 70, kNull, 70};
  PartitionClock whole(Micros(7), Micros(20));
  const ClockedBatch expected = Observe(&whole, times, stamps);
  for (size_t cut = 0; cut <= times.size(); ++cut) {
    PartitionClock clock(Micros(7), Micros(20));
    ClockedBatch first = Observe(&clock, {times.begin(), times.begin() + int64_t(cut)},
                                 {stamps.begin(), stamps.begin() + int64_t(cut)});
    const ClockedBatch second = Observe(&clock, {times.begin() + int64_t(cut), times.end()},
                                        {stamps.begin() + int64_t(cut), stamps.end()});
    std::ranges::copy(second.watermark_before, std::back_inserter(first.watermark_before));
    std::ranges::copy(second.is_future, std::back_inserter(first.is_future));
    EXPECT_EQ(first.watermark_before, expected.watermark_before);
    EXPECT_EQ(first.is_future, expected.is_future);
    EXPECT_EQ(first.future_count + second.future_count, expected.future_count);
    EXPECT_EQ(clock.watermark(), whole.watermark());
  }
}

TEST(PartitionClock, FutureIsAfterTheRecordsTimestampPlusMaxFutureAndNeverMovesAWatermark) {
  PartitionClock clock(Micros(0), Micros(5));
  const ClockedBatch batch = Observe(&clock, {105, 106, 200, 101}, {100, 100, 194, 100});
  EXPECT_EQ(batch.is_future, (std::vector<uint8_t>{0, 1, 1, 0}));
  EXPECT_EQ(batch.future_count, 2);
  EXPECT_EQ(Raw(batch.watermark_before), (std::vector<int64_t>{INT64_MIN, 105, 105, 105}));
  EXPECT_EQ(clock.watermark(), At(105));
}

TEST(PartitionClock, NoFutureCheckWithoutAReference) {
  PartitionClock clock(Micros(0), Micros(5));
  EXPECT_EQ(Observe(&clock, {1'000'000}).future_count, 0);
  EXPECT_EQ(clock.watermark(), At(1'000'000));
  EXPECT_EQ(Observe(&clock, {3'000'000, 9'000'000}, {kNull, 10}).is_future,
            (std::vector<uint8_t>{0, 1}));
  EXPECT_EQ(clock.watermark(), At(3'000'000));
  PartitionClock unchecked(Micros(0), Micros(-1));
  EXPECT_EQ(Observe(&unchecked, {1'000}, {10}).future_count, 0);
}

TEST(PartitionClock, ANullEventTimeNeverMovesTheWatermark) {
  PartitionClock clock(Micros(3), Micros(5));
  Observe(&clock, {kNull, kNull}, {10, 10});
  EXPECT_EQ(clock.watermark(), kEventTimeMin);
  const ClockedBatch batch = Observe(&clock, {20, kNull, 21}, {20, 20, 20});
  EXPECT_EQ(Raw(batch.watermark_before), (std::vector<int64_t>{INT64_MIN, 17, 17}));
  EXPECT_EQ(batch.future_count, 0);
}

TEST(PartitionClock, EventTimesNearTheLimitsDoNotWrap) {
  PartitionClock clock(Micros(1'000), Micros(1'000));
  Observe(&clock, {INT64_MIN + 5}, {INT64_MAX - 5});
  EXPECT_EQ(clock.watermark(), kEventTimeMin);
  const ClockedBatch batch = Observe(&clock, {INT64_MAX}, {INT64_MAX - 5});
  EXPECT_EQ(batch.future_count, 0);
  EXPECT_EQ(clock.watermark(), At(INT64_MAX - 1'000));
}

TEST(PartitionClock, BackFromIdlingItIsJudgedAgainstAtLeastTheStreamsWatermark) {
  PartitionClock clock(Micros(10), Micros(-1));
  Observe(&clock, {100});
  clock.RaiseTo(At(500));
  const ClockedBatch batch = Observe(&clock, {300, 505, 520});
  EXPECT_EQ(Raw(batch.watermark_before), (std::vector<int64_t>{500, 500, 500}));
  EXPECT_TRUE(IsLate(At(300), Micros(50), Micros(0), batch.watermark_before[0]));
  EXPECT_EQ(clock.watermark(), At(510));
  clock.RaiseTo(At(400));
  EXPECT_EQ(clock.watermark(), At(510));
}

TEST(IsLate, PaneEndAtOrBeforeTheWatermarkOfTheReadingsOwnPartition) {
  // Pane [60, 120).
  EXPECT_FALSE(IsLate(At(60), Micros(60), Micros(0), At(119)));
  EXPECT_TRUE(IsLate(At(60), Micros(60), Micros(0), At(120)));
  EXPECT_TRUE(IsLate(At(119), Micros(60), Micros(0), At(120)));
  EXPECT_FALSE(IsLate(At(120), Micros(60), Micros(0), At(120)));
  // With an offset of 10: [-50, 10), [10, 70).
  EXPECT_TRUE(IsLate(At(9), Micros(60), Micros(10), At(10)));
  EXPECT_FALSE(IsLate(At(10), Micros(60), Micros(10), At(69)));
  EXPECT_TRUE(IsLate(At(10), Micros(60), Micros(10), At(70)));
  EXPECT_FALSE(IsLate(At(10), Micros(60), Micros(10), kEventTimeMin));
}

TEST(IsLate, NothingBeforeTheFirstReadingIsLateAndEverythingAtTheEndIs) {
  EXPECT_FALSE(IsLate(At(INT64_MIN + 1), Micros(60), Micros(0), kEventTimeMin));
  EXPECT_TRUE(IsLate(At(INT64_MAX), Micros(60), Micros(0), kEventTimeMax));
  EXPECT_FALSE(IsLate(At(INT64_MAX), Micros(60), Micros(0), At(INT64_MAX - 1)));
}

TEST(PaneEnd, IsExactFromTheFirstMicrosecondToTheLast) {
  EXPECT_EQ(PaneEnd(At(-1), Micros(60), Micros(0)), At(0));
  EXPECT_EQ(PaneEnd(At(-60), Micros(60), Micros(0)), At(0));
  EXPECT_EQ(PaneEnd(At(-61), Micros(60), Micros(0)), At(-60));
  EXPECT_EQ(PaneEnd(At(0), Micros(60), Micros(0)), At(60));
  EXPECT_EQ(PaneEnd(At(0), Micros(60), Micros(130)), At(10));
  EXPECT_EQ(PaneEnd(At(0), Micros(60), Micros(-50)), At(10));
  EXPECT_EQ(PaneEnd(At(INT64_MAX), Micros(60), Micros(0)), kEventTimeMax);
  EXPECT_GT(PaneEnd(At(INT64_MIN), Micros(60), Micros(59)), At(INT64_MIN));
  EXPECT_LE(PaneEnd(At(INT64_MIN), Micros(60), Micros(59)), At(INT64_MIN + 60));
}

TEST(Idleness, OnlyAfterFetchesHaveShownTheEndContinuouslyForIdleAfter) {
  Idleness idleness(5s);
  for (int second = 0; second < 5; ++second) {
    idleness.OnEndConfirmed(std::chrono::seconds(second));
    EXPECT_FALSE(idleness.idle()) << second;
  }
  idleness.OnEndConfirmed(4'999'999'999ns);
  EXPECT_FALSE(idleness.idle());
  idleness.OnEndConfirmed(5s);
  EXPECT_TRUE(idleness.idle());
}

TEST(Idleness, ARecordEndsIdlingAndStartsTheCountAnew) {
  Idleness idleness(2s);
  for (int second = 0; second <= 2; ++second) idleness.OnEndConfirmed(std::chrono::seconds(second));
  ASSERT_TRUE(idleness.idle());
  idleness.OnRecord();
  EXPECT_FALSE(idleness.idle());
  idleness.OnEndConfirmed(3s);
  idleness.OnEndConfirmed(4s);
  EXPECT_FALSE(idleness.idle());
  idleness.OnEndConfirmed(5s);
  EXPECT_TRUE(idleness.idle());
}

TEST(Idleness, CountedOnlyWhileTheReaderWasRunningAndAsking) {
  Idleness idleness(4s);
  idleness.OnEndConfirmed(0s);
  idleness.OnEndConfirmed(2s);        // a gap of kAnswerGapMax counts
  idleness.OnEndConfirmed(4s + 1ns);  // a larger one starts anew
  idleness.OnEndConfirmed(6s);
  EXPECT_FALSE(idleness.idle());
  idleness.OnEndConfirmed(8s);
  EXPECT_FALSE(idleness.idle());
  idleness.OnEndConfirmed(8s + 1ns);
  EXPECT_TRUE(idleness.idle());
  idleness.OnEndConfirmed(60s);  // nobody asked for 52 s
  EXPECT_FALSE(idleness.idle());
}

TEST(Idleness, APausedFailingOrLaggingPartitionIsNeverIdle) {
  Idleness idleness(1s);
  for (int second = 0; second < 100; ++second) {
    idleness.OnEndConfirmed(std::chrono::seconds(second));
    idleness.OnInterrupted();
    EXPECT_FALSE(idleness.idle());
  }
  idleness.OnEndConfirmed(100s);
  idleness.OnEndConfirmed(101s);
  EXPECT_TRUE(idleness.idle());
  idleness.OnInterrupted();
  EXPECT_FALSE(idleness.idle());
}

// A topic of two partitions on two brokers, driven second by second. Each device writes a reading
// a second. The broker of partition 1 is away from second 20 to 80.
class BrokerAway : public testing::TestWithParam<bool> {
 protected:
  static constexpr Micros kMaxDelay = 2s;
  static constexpr Micros kPane = 1s;
  const TopicPartition steady_{"t", 0};
  const TopicPartition broken_{"t", 1};

  void Read(const TopicPartition& partition, PartitionClock* clock, int64_t second) {
    const ClockedBatch batch = Observe(clock, {second * 1'000'000});
    late_ += IsLate(At(second * 1'000'000), kPane, Micros(0), batch.watermark_before[0]);
    stream_.Report(partition, clock->watermark());
  }

  StreamWatermark stream_;
  int late_ = 0;
};

TEST_P(BrokerAway, ABrokerAwayFor60sWithIdleAfter5sMakesNothingLate) {
  const bool reader_notices = GetParam();
  PartitionClock steady_clock(kMaxDelay, Micros(-1));
  PartitionClock broken_clock(kMaxDelay, Micros(-1));
  Idleness broken_idleness(5s);
  stream_.AddPartition(steady_);
  stream_.AddPartition(broken_);
  for (int64_t second = 0; second < 100; ++second) {
    const MonotonicTime now = std::chrono::seconds(second);
    Read(steady_, &steady_clock, second);
    if (second < 20 || second > 80) {
      Read(broken_, &broken_clock, second);
      broken_idleness.OnRecord();
      broken_idleness.OnEndConfirmed(now);
    } else if (second == 80) {  // back: a minute's readings at once
      for (int64_t missed = 20; missed <= 80; ++missed) Read(broken_, &broken_clock, missed);
      broken_idleness.OnRecord();
    } else if (reader_notices) {
      broken_idleness.OnInterrupted();
    }
    if (broken_idleness.idle()) stream_.SetIdle(broken_, now);
    EXPECT_FALSE(broken_idleness.idle()) << second;
    stream_.Advance(now);
    if (second >= 20 && second < 80) {
      EXPECT_EQ(stream_.watermark(), At(17'000'000));
      EXPECT_EQ(stream_.Holder(), broken_);
    }
  }
  EXPECT_EQ(late_, 0);
  EXPECT_EQ(stream_.watermark(), At(97'000'000));
}

INSTANTIATE_TEST_SUITE_P(ByErrorOrBySilence, BrokerAway, testing::Bool());

}  // namespace
}  // namespace millrace
