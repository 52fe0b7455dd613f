// ReplayTracker against brute force over random readings: whatever has been published, reading
// from the safe point on meets every reading that still matters, with the same decisions.
#include "engine/event_time/replay_point.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/event_time/partition_clock.h"

namespace millrace {
namespace {

constexpr Micros kPane(10);

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

struct Partition {
  std::vector<int64_t> offsets;
  std::vector<int64_t> times;
  ClockedBatch clocked;
  PartitionClock clock;
};

Partition RandomPartition(std::mt19937_64* random, size_t count, Micros max_delay) {
  Partition partition{{}, {}, {}, PartitionClock(max_delay, Micros(-1))};
  std::uniform_int_distribution<int64_t> disorder(-200, 60);
  int64_t offset = 1000;
  int64_t now = -500;
  for (size_t i = 0; i < count; ++i) {
    offset += 1 + int64_t((*random)() % 3);  // gaps: markers and compaction
    now += int64_t((*random)() % 9);
    if ((*random)() % 97 == 0) now += 1000;
    partition.offsets.push_back(offset);
    partition.times.push_back((*random)() % 20 == 0 ? INT64_MIN : now + disorder(*random));
  }
  partition.clock.Observe(partition.times, {}, &partition.clocked);
  return partition;
}

void ExpectSafe(const Partition& partition, size_t read, Micros span, Micros max_delay,
                EventTime horizon, ReplayPoint safe) {
  PartitionClock again(max_delay, Micros(-1));
  again.RaiseTo(safe.watermark);
  for (size_t i = 0; i < read; ++i) {
    const EventTime time = At(partition.times[i]);
    const bool is_null = partition.times[i] == INT64_MIN;
    if (partition.offsets[i] < safe.offset) {
      EXPECT_TRUE(is_null || time + span <= horizon)
          << "reading at offset " << partition.offsets[i] << " still matters";
      continue;
    }
    ClockedBatch decided;
    again.Observe(std::span(&partition.times[i], 1), {}, &decided);
    ASSERT_EQ(decided.watermark_before[0], partition.clocked.watermark_before[i]);
    if (is_null) continue;
    ASSERT_EQ(IsLate(time, kPane, Micros(0), decided.watermark_before[0]),
              IsLate(time, kPane, Micros(0), partition.clocked.watermark_before[i]));
  }
}

ReplayPoint NextOf(const Partition& partition, size_t read) {
  if (read < partition.offsets.size()) {
    return {partition.offsets[read], partition.clocked.watermark_before[read]};
  }
  return {partition.offsets.back() + 1, partition.clock.watermark()};
}

class ReplayTrackerProperty : public testing::TestWithParam<size_t> {};

TEST_P(ReplayTrackerProperty, FromTheSafePointEveryReadingThatMattersIsJudgedAsBefore) {
  std::mt19937_64 random(GetParam());
  for (int round = 0; round < 60; ++round) {
    const Micros span(int64_t(random() % 300));
    const Micros bucket(1 + int64_t(random() % 70));
    const Micros max_delay(int64_t(random() % 150));
    const size_t bucket_max = round % 3 == 0 ? 3 : 4096;
    const Partition partition = RandomPartition(&random, 400, max_delay);
    ReplayTracker tracker(span, bucket, bucket_max);
    size_t read = 0;
    EventTime horizon = At(-1000);
    while (read < partition.times.size()) {
      const size_t count = std::min<size_t>(1 + random() % 60, partition.times.size() - read);
      tracker.Observe(std::span(partition.offsets).subspan(read, count),
                      std::span(partition.times).subspan(read, count),
                      std::span(partition.clocked.watermark_before).subspan(read, count));
      read += count;
      // What is published lies behind the watermark, by any distance.
      const EventTime watermark = NextOf(partition, read).watermark;
      if (watermark != kEventTimeMin) {
        horizon = std::max(horizon, watermark - Micros(int64_t(random() % 400)));
      }
      const ReplayPoint next = NextOf(partition, read);
      const ReplayPoint safe = tracker.Safe(horizon, next);
      EXPECT_LE(safe.offset, next.offset);
      ExpectSafe(partition, read, span, max_delay, horizon, safe);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplayTrackerProperty, testing::Range<size_t>(0, 8));

TEST(ReplayTracker, IsTheFirstReadingWhoseWindowIsOpen) {
  ReplayTracker tracker(Micros(100), Micros(10));
  const std::vector<int64_t> offsets = {5, 6, 7, 8};
  const std::vector<int64_t> times = {0, 50, INT64_MIN, 120};
  const std::vector<EventTime> before = {kEventTimeMin, At(0), At(50), At(50)};
  tracker.Observe(offsets, times, before);
  const ReplayPoint next{9, At(120)};
  EXPECT_EQ(tracker.Safe(kEventTimeMin, next).offset, 5);
  EXPECT_EQ(tracker.Safe(At(108), next).offset, 5);  // bucket [0, 10) matters until 109
  EXPECT_EQ(tracker.Safe(At(109), next).offset, 6);
  EXPECT_EQ(tracker.Safe(At(109), next).watermark, At(0));
  EXPECT_EQ(tracker.Safe(At(159), next).offset, 8);
  EXPECT_EQ(tracker.Safe(At(159), next).watermark, At(50));
  EXPECT_EQ(tracker.Safe(At(229), next).offset, 9);
  EXPECT_EQ(tracker.Safe(At(229), next).watermark, At(120));
}

TEST(ReplayTracker, WithEverythingPublishedNothingMatters) {
  ReplayTracker tracker(Micros(100), Micros(10));
  const std::vector<int64_t> offsets = {1, 2};
  const std::vector<int64_t> times = {INT64_MAX, INT64_MIN + 1};
  const std::vector<EventTime> before = {kEventTimeMin, kEventTimeMin};
  tracker.Observe(offsets, times, before);
  const ReplayPoint next{3, kEventTimeMin};
  EXPECT_EQ(tracker.Safe(At(0), next).offset, 1);
  EXPECT_EQ(tracker.Safe(kEventTimeMax, next).offset, 3);
}

TEST(ReplayTracker, BeyondItsBoundItGetsEarlierNeverLater) {
  ReplayTracker tracker(Micros(0), Micros(1), 2);
  const std::vector<int64_t> offsets = {1, 2, 3};
  const std::vector<int64_t> times = {10, 20, 30};
  const std::vector<EventTime> before = {kEventTimeMin, At(10), At(20)};
  tracker.Observe(offsets, times, before);
  const ReplayPoint next{4, kEventTimeMin};
  // 10 and 20 share a bucket now, and with it the offset of the first.
  EXPECT_EQ(tracker.Safe(At(15), next).offset, 1);
  EXPECT_EQ(tracker.Safe(At(20), next).offset, 3);
}

}  // namespace
}  // namespace millrace
