#include "engine/event_time/stream_watermark.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using namespace std::chrono_literals;

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }
EventTime Second(int64_t second) { return At(second * 1'000'000); }

class StreamWatermarkTest : public testing::Test {
 protected:
  const TopicPartition a_{"t", 0};
  const TopicPartition b_{"t", 1};
  const TopicPartition c_{"t", 2};
  StreamWatermark stream_;
};

TEST_F(StreamWatermarkTest, TheStreamsIsTheLeastOverPartitionsThatAreNotIdle) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  EXPECT_EQ(stream_.Advance(0s), kEventTimeMin);
  stream_.Report(a_, At(100));
  EXPECT_EQ(stream_.Advance(0s), kEventTimeMin);
  EXPECT_EQ(stream_.Holder(), b_);
  stream_.Report(b_, At(70));
  EXPECT_EQ(stream_.Advance(0s), At(70));
  stream_.SetIdle(b_, 1s);
  EXPECT_EQ(stream_.Advance(1s), At(100));
  EXPECT_EQ(stream_.Holder(), a_);
  EXPECT_FALSE(stream_.moves_with_time());
}

TEST_F(StreamWatermarkTest, ItNeverGoesBack) {
  stream_.AddPartition(a_);
  stream_.Report(a_, At(100));
  stream_.Report(a_, At(50));
  EXPECT_EQ(stream_.partitions().at(a_).watermark, At(100));
  EXPECT_EQ(stream_.Advance(0s), At(100));
  stream_.AddPartition(b_);
  EXPECT_EQ(stream_.Advance(0s), At(100));
  stream_.Report(b_, At(60));
  EXPECT_EQ(stream_.Advance(0s), At(100));
}

TEST_F(StreamWatermarkTest, ANewPartitionHoldsTheWatermarkUntilItReportsOrIsIdle) {
  stream_.AddPartition(a_);
  stream_.Report(a_, At(100));
  ASSERT_EQ(stream_.Advance(0s), At(100));
  stream_.AddPartition(b_);
  stream_.AddPartition(c_);
  stream_.Report(a_, At(200));
  EXPECT_EQ(stream_.Advance(0s), At(100));
  stream_.Report(b_, At(150));
  EXPECT_EQ(stream_.Advance(0s), At(100));
  EXPECT_EQ(stream_.Holder(), c_);
  stream_.SetIdle(c_, 1s);
  EXPECT_EQ(stream_.Advance(1s), At(150));
}

TEST_F(StreamWatermarkTest, ANewPartitionHoldsAStreamThatWentOnWithTime) {
  stream_.AddPartition(a_);
  stream_.Report(a_, Second(100));
  stream_.SetIdle(a_, 10s);
  EXPECT_EQ(stream_.Advance(13s), Second(103));
  stream_.AddPartition(b_);
  EXPECT_EQ(stream_.Advance(20s), Second(103));
  EXPECT_FALSE(stream_.moves_with_time());
  stream_.SetIdle(b_, 30s);
  EXPECT_EQ(stream_.Advance(30s), Second(103));
  EXPECT_EQ(stream_.Advance(31s), Second(104));
}

TEST_F(StreamWatermarkTest, AddingAKnownPartitionChangesNothing) {
  stream_.AddPartition(a_);
  stream_.Report(a_, Second(100));
  stream_.SetIdle(a_, 10s);
  stream_.AddPartition(a_);
  EXPECT_TRUE(stream_.partitions().at(a_).idle);
  EXPECT_EQ(stream_.Advance(11s), Second(101));
}

TEST_F(StreamWatermarkTest, AllIdleItGoesOnByTheTimeSinceTheLastBecameIdle) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, Second(500));
  stream_.Report(b_, Second(400));
  ASSERT_EQ(stream_.Advance(0s), Second(400));
  stream_.SetIdle(b_, 10s);  // active: a alone, at 500
  stream_.Report(a_, Second(510));
  stream_.SetIdle(a_, 20s);  // the least at the instant before: 510
  EXPECT_TRUE(stream_.moves_with_time());
  EXPECT_EQ(stream_.Holder(), std::nullopt);
  EXPECT_EQ(stream_.Advance(20s), Second(510));
  EXPECT_EQ(stream_.Advance(20s + 1500ms), At(511'500'000));
  EXPECT_EQ(stream_.Advance(20s + 1500ms + 999ns), At(511'500'000));
  EXPECT_EQ(stream_.Advance(21s), At(511'500'000));
  EXPECT_EQ(stream_.Advance(3620s), Second(4110));
  stream_.SetIdle(a_, 9000s);  // again: changes nothing
  EXPECT_EQ(stream_.Advance(3621s), Second(4111));
}

TEST_F(StreamWatermarkTest, AllIdleItStartsFromTheLeastWhenTheLastOneLagsBehind) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, Second(500));
  stream_.Report(b_, Second(400));
  stream_.SetIdle(a_, 10s);
  stream_.SetIdle(b_, 20s);
  EXPECT_EQ(stream_.Advance(25s), Second(405));
}

TEST_F(StreamWatermarkTest, EmptyTopicThereIsNothingToClose) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.SetIdle(a_, 5s);
  stream_.SetIdle(b_, 6s);
  EXPECT_FALSE(stream_.moves_with_time());
  EXPECT_EQ(stream_.Advance(1000s), kEventTimeMin);
  EXPECT_EQ(stream_.SetActive(a_, 1001s), kEventTimeMin);
  stream_.Report(a_, At(7));
  EXPECT_EQ(stream_.Advance(1002s), At(7));
}

TEST_F(StreamWatermarkTest, AnEmptyPartitionThatBecomesIdleLastDoesNotKeepTheLastWindowsOpen) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, Second(100));
  stream_.SetIdle(a_, 10s);
  EXPECT_EQ(stream_.Advance(10s), kEventTimeMin);
  stream_.SetIdle(b_, 10s);
  EXPECT_TRUE(stream_.moves_with_time());
  EXPECT_EQ(stream_.Advance(11s), Second(101));
}

TEST_F(StreamWatermarkTest, APartitionThatComesBackIsToldTheWatermarkInTheSameStep) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, Second(100));
  stream_.Report(b_, Second(90));
  stream_.SetIdle(a_, 10s);
  stream_.SetIdle(b_, 10s);
  EXPECT_EQ(stream_.SetActive(b_, 17s), Second(97));
  EXPECT_EQ(stream_.partitions().at(b_).watermark, Second(97));
  // From here on b holds it, whatever the time.
  EXPECT_EQ(stream_.Advance(1000s), Second(97));
  stream_.Report(b_, Second(99));
  EXPECT_EQ(stream_.Advance(1000s), Second(99));
  EXPECT_EQ(stream_.SetActive(a_, 1000s), Second(99));
  EXPECT_EQ(stream_.partitions().at(a_).watermark, Second(100));
}

TEST_F(StreamWatermarkTest, BoundedInputIsInfiniteAtItsEnd) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, At(100));
  stream_.Report(b_, At(50));
  stream_.SetEnded(b_, 1s);
  EXPECT_EQ(stream_.Advance(1s), At(100));
  stream_.SetEnded(a_, 2s);
  EXPECT_EQ(stream_.Advance(2s), kEventTimeMax);
  EXPECT_FALSE(stream_.moves_with_time());
  EXPECT_EQ(stream_.Holder(), std::nullopt);
}

TEST_F(StreamWatermarkTest, EmptyBoundedInputAlsoEnds) {
  stream_.AddPartition(a_);
  stream_.SetEnded(a_, 1s);
  EXPECT_EQ(stream_.Advance(1s), kEventTimeMax);
  EXPECT_EQ(StreamWatermark().Advance(1s), kEventTimeMin);
}

TEST_F(StreamWatermarkTest, EndedAndIdleTogetherAreAllIdle) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, Second(100));
  stream_.Report(b_, Second(50));
  stream_.SetIdle(b_, 10s);
  stream_.SetEnded(a_, 20s);
  EXPECT_TRUE(stream_.moves_with_time());
  EXPECT_EQ(stream_.Advance(23s), Second(103));
  stream_.SetEnded(b_, 24s);
  EXPECT_EQ(stream_.Advance(24s), kEventTimeMax);
}

TEST_F(StreamWatermarkTest, AnEndedPartitionStaysEnded) {
  stream_.AddPartition(a_);
  stream_.AddPartition(b_);
  stream_.Report(a_, At(100));
  stream_.SetEnded(b_, 1s);
  EXPECT_EQ(stream_.SetActive(b_, 2s), At(100));
  stream_.SetIdle(b_, 2s);
  stream_.Report(a_, At(300));
  EXPECT_EQ(stream_.Advance(3s), At(300));
}

TEST_F(StreamWatermarkTest, TimeDoesNotCarryItOverTheLimit) {
  stream_.AddPartition(a_);
  stream_.Report(a_, At(INT64_MAX - 10));
  stream_.SetIdle(a_, 0s);
  EXPECT_EQ(stream_.Advance(1s), kEventTimeMax);
}

}  // namespace
}  // namespace millrace
