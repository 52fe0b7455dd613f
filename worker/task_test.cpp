#include "worker/task.h"

#include <gtest/gtest.h>

#include "engine/windows/key_hash.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

class Script final : public TaskHost, public Outlet {
 public:
  std::vector<std::string> lines;
  bool credit = true;
  MonotonicTime fetched{0};
  int64_t returned = 0;
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return credit; }
  void SetFetched(MonotonicTime time) override { fetched = time; }
  void Broadcast(const FrameBody& body) override {
    lines.push_back(std::holds_alternative<EndFrame>(body) ? "end" : "barrier");
  }
  void ForwardWatermark(EventTime watermark, MonotonicTime) override {
    lines.push_back("forward " + std::to_string(watermark.time_since_epoch().count() / 1'000'000));
  }
  void ReturnCredit(size_t, const Frame& frame) override { returned += frame.bytes; }
  void AcknowledgeBarrier(Epoch epoch) override {
    lines.push_back("acknowledge " + std::to_string(epoch.value()));
  }
  void Done() override { lines.push_back("done"); }

  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows& rows) override {
    const auto& ends = static_cast<const arrow::TimestampArray&>(*rows.batch->column(1));
    lines.push_back("window " + std::to_string(ends.Value(0) / 1'000'000) + " fetched " +
                    std::to_string(fetched.count()));
  }
  void ToDeadLetters(std::vector<DeadLetter>) override {}
};

using Lines = std::vector<std::string>;

template <typename Body>
std::shared_ptr<const Frame> FrameOf(Body body, int64_t bytes = 0) {
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(body);
  frame->bytes = bytes;
  return frame;
}

std::shared_ptr<const Frame> Row(int64_t seconds) {
  arrow::StringBuilder keys;
  arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                arrow::default_memory_pool());
  arrow::DoubleBuilder values;
  EXPECT_TRUE(keys.Append("a").ok() && times.Append(seconds * 1'000'000).ok() &&
              values.Append(1).ok());
  Rows rows;
  static const auto kSchema = MakePlan().node(kInput).output.ToArrow();
  rows.batch =
      arrow::RecordBatch::Make(kSchema, 1, {*keys.Finish(), *times.Finish(), *values.Finish()});
  auto hashes = std::make_shared<std::vector<uint64_t>>();
  const std::vector<int> columns = {0};
  EXPECT_TRUE(HashKeys(*rows.batch, columns, hashes.get()).ok());
  return FrameOf(DataFrame{kWindow, rows, hashes, {0}, MonotonicTime(0)}, 100);
}

std::shared_ptr<const Frame> Watermark(int64_t seconds, int64_t fetched) {
  return FrameOf(WatermarkFrame{Event(seconds), MonotonicTime(fetched)});
}

class TaskTest : public testing::Test {
 protected:
  void Begin(size_t inputs, EventTime horizon = kEventTimeMin) {
    task_ = Task::Make(plan_, kWindow, inputs, horizon, &account_).ValueOrDie();
  }
  Lines Run() {
    EXPECT_EQ(task_->Run(&script_, 1000).ValueOrDie(), false);
    return script_.Take();
  }
  const JobPlan plan_ = MakePlan();
  JobAccount account_{plan_};
  std::unique_ptr<Task> task_;
  Script script_;
};

// Windows of 60 s every 20 s: a reading at 10 is in those that end at 20, 40 and 60.
TEST_F(TaskTest, GivesOutWindowsBeforeTheWatermarkThatMadeThemDue) {
  Begin(2);
  task_->Push(0, Row(10));
  task_->Push(0, Watermark(45, 7));
  EXPECT_EQ(Run(), Lines{});
  task_->Push(1, Watermark(100, 9));
  EXPECT_EQ(Run(), (Lines{"window 20 fetched 9", "window 40 fetched 9", "forward 45"}));
}

TEST_F(TaskTest, WhatAnEarlierRunPublishedIsNotGivenOutAgain) {
  Begin(1, Event(40));
  task_->Push(0, Row(10));
  task_->Push(0, Watermark(100, 7));
  EXPECT_EQ(Run(), (Lines{"window 60 fetched 7", "forward 100"}));
}

// Watermarks cost no credit: a task that waits for an hour must not gather them.
TEST_F(TaskTest, WithoutCreditItHoldsOneWatermarkBetweenRowsAndBarriers) {
  Begin(1);
  script_.credit = false;
  task_->Push(0, Row(10));
  for (int i = 1; i <= 1000; ++i) task_->Push(0, Watermark(20 + i % 7, i));
  task_->Push(0, FrameOf(BarrierFrame{Epoch(1)}));
  for (int i = 1; i <= 1000; ++i) task_->Push(0, Watermark(40, i));
  EXPECT_EQ(task_->frames_held(), 4u);
  EXPECT_EQ(Run(), Lines{});
  EXPECT_EQ(script_.returned, 0);
  script_.credit = true;
  // The largest of them, and the fetch that has waited longest.
  EXPECT_EQ(Run(), (Lines{"window 20 fetched 1", "forward 26", "barrier", "acknowledge 1",
                          "window 40 fetched 1", "forward 40"}));
  EXPECT_EQ(script_.returned, 100);
}

TEST_F(TaskTest, AStopLeavesWindowsOpenAndCountsThem) {
  Begin(1);
  task_->Push(0, Row(10));
  task_->Push(0, FrameOf(BarrierFrame{Epoch(1)}));
  task_->Push(0, FrameOf(EndFrame{}));
  EXPECT_EQ(Run(), (Lines{"barrier", "acknowledge 1", "end", "done"}));
  EXPECT_EQ(account_.stream("metrics").open, 1);
  EXPECT_EQ(account_.stream("metrics").counted, 0);
}

TEST_F(TaskTest, ATaskThatFailsHasCountedWhatItTook) {
  Begin(1);
  task_->Push(0, Row(10));
  task_->Push(0, FrameOf(DeadLetterFrame{}));  // meant for a publisher
  EXPECT_FALSE(task_->Run(&script_, 1000).ok());
  EXPECT_EQ(account_.stream("metrics").open, 1);
}

}  // namespace
}  // namespace millrace
