#include "coordinator/job_coordinator.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

const NodeId kSource(0);
const ParticipantId kReader0(0), kReader1(1), kTask(2), kPublisher(3);
const TopicPartition kP0{"t", 0}, kP1{"t", 1};

constexpr MonotonicTime At(int ms) { return std::chrono::milliseconds(ms); }
constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

// Writes down what the coordinator says.
class Script final : public CoordinatorHost {
 public:
  std::vector<std::string> lines;
  size_t pending = 0;
  MonotonicTime fetched{0};  // of the last watermark

  void Send(ParticipantId reader, StreamWatermarkMoved moved) override {
    fetched = moved.fetched;
    Say(reader, moved.watermark == kEventTimeMax
                    ? "watermark max"
                    : "watermark " +
                          std::to_string(moved.watermark.time_since_epoch().count() / 1'000'000));
  }
  void Send(ParticipantId reader, OpenEpoch open) override {
    Say(reader, "open " + std::to_string(open.epoch.value()));
  }
  void Send(ParticipantId reader, CommitPositions commit) override {
    Say(reader, "commit " + std::to_string(commit.epoch.value()) + " horizon " +
                    std::to_string(commit.horizon.time_since_epoch().count() / 1'000'000));
  }
  void Send(ParticipantId reader, FinishReading finish) override {
    Say(reader, "finish " + std::to_string(finish.epoch.value()) + (finish.drain ? " drain" : ""));
  }
  void Send(ParticipantId reader, PartitionFloor floor) override {
    Say(reader, "floor " + std::to_string(floor.floor.time_since_epoch().count() / 1'000'000));
  }
  void Send(ParticipantId reader, AddPartition add) override {
    Say(reader, "add " + std::to_string(add.start.partition.partition));
  }
  void OnCompleted(const CompletedCheckpoint& checkpoint) override {
    lines.push_back("completed " + std::to_string(checkpoint.epoch.value()));
  }
  void OnPending(size_t epochs) override { pending = epochs; }
  void OnBlocked(MonotonicTime) override { lines.push_back("blocked"); }
  void Ended(const Status& status) override {
    lines.push_back(status.ok() ? "ended" : "failed: " + status.message());
  }

  // What was said since the last call.
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

 private:
  void Say(ParticipantId reader, const std::string& what) {
    lines.push_back("r" + std::to_string(reader.value()) + " " + what);
  }
};

using Lines = std::vector<std::string>;

CoordinatorPlan TwoReaders(bool bounded = false) {
  CoordinatorPlan plan;
  plan.sources.push_back(
      {kSource, bounded, {kReader0, kReader1}, {{kP0, kReader0}, {kP1, kReader1}}});
  plan.participants = 4;
  plan.checkpoint_interval = std::chrono::seconds(1);
  return plan;
}

TEST(JobCoordinator, TellsEveryReaderTheLeastWatermark) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnReport({kSource, {{kP0, Event(100)}}, At(1)}, At(1), &script);
  EXPECT_EQ(script.Take(), Lines{});
  job.OnReport({kSource, {{kP1, Event(50)}}, At(2)}, At(2), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 50", "r1 watermark 50"}));
  job.OnReport({kSource, {{kP0, Event(200)}}, At(3)}, At(3), &script);
  EXPECT_EQ(script.Take(), Lines{});
}

TEST(JobCoordinator, AnIdlePartitionDoesNotHoldTheStreamAndIsJudgedAgainstItWhenItReturns) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  script.Take();
  job.OnIdle({kSource, kP1}, At(10), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 100", "r1 watermark 100"}));
  job.OnActive({kSource, kP1}, At(11), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 floor 100"});
}

TEST(JobCoordinator, CommitsAtTheLeastHorizonOnceEverybodyIsSafe) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnTick(At(0), &script);
  job.OnTick(At(1000), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 open 1", "r1 open 1"}));
  job.OnReaderAtBarrier({kReader0, Epoch(1), Event(70)}, At(1001), &script);
  job.OnReaderAtBarrier({kReader1, Epoch(1), Event(60)}, At(1002), &script);
  job.OnSafe({kTask, Epoch(1)}, At(1003), &script);
  EXPECT_EQ(script.Take(), Lines{});
  job.OnSafe({kPublisher, Epoch(1)}, At(1004), &script);
  EXPECT_EQ(script.Take(),
            (Lines{"r0 commit 1 horizon 60", "r1 commit 1 horizon 60", "completed 1"}));
}

TEST(JobCoordinator, ANewPartitionGoesToTheReaderWithTheFewest) {
  CoordinatorPlan plan = TwoReaders();
  plan.sources[0].partitions[TopicPartition{"t", 2}] = kReader0;
  JobCoordinator job(plan);
  Script script;
  job.OnFound({kSource, {TopicPartition{"t", 3}, 0}}, &script);
  job.OnFound({kSource, {TopicPartition{"t", 3}, 0}}, &script);
  EXPECT_EQ(script.Take(), Lines{"r1 add 3"});
}

TEST(JobCoordinator, EndsOnlyWhenTheLastEpochIsSafeAndEverybodyIsDone) {
  JobCoordinator job(TwoReaders(/*bounded=*/true));
  Script script;
  job.OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  script.Take();
  job.OnEnded({kSource, kP0}, At(2), &script);
  script.Take();
  job.OnEnded({kSource, kP1}, At(3), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark max", "r1 watermark max", "r0 finish 1 drain",
                                  "r1 finish 1 drain"}));
  job.OnReaderAtBarrier({kReader0, Epoch(1), Event(70)}, At(4), &script);
  job.OnReaderAtBarrier({kReader1, Epoch(1), Event(60)}, At(4), &script);
  for (ParticipantId participant : {kReader0, kReader1, kTask}) {
    job.OnDone({participant}, At(5), &script);
  }
  job.OnSafe({kTask, Epoch(1)}, At(6), &script);
  job.OnDone({kPublisher}, At(7), &script);
  EXPECT_EQ(script.Take(), Lines{});
  job.OnSafe({kPublisher, Epoch(1)}, At(8), &script);
  EXPECT_EQ(script.Take(),
            (Lines{"r0 commit 1 horizon 60", "r1 commit 1 horizon 60", "completed 1", "ended"}));
}

// A topic that is only treated as ended must not leave "everything is published" behind.
TEST(JobCoordinator, AnUnboundedSourcesEndIsNotToldAsItsWatermark) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  script.Take();
  job.OnEnded({kSource, kP0}, At(2), &script);
  job.OnEnded({kSource, kP1}, At(3), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 1 drain", "r1 finish 1 drain"}));
}

TEST(JobCoordinator, AStopLeavesWindowsOpenAndHappensOnce) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.RequestStop(At(1), &script);
  job.RequestStop(At(2), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 1", "r1 finish 1"}));
  job.OnTick(At(5000), &script);
  EXPECT_EQ(script.Take(), Lines{});
}

TEST(JobCoordinator, AFailureEndsTheJobOnceWithItsReason) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnFailed({"sink.0", std::make_shared<Status>(Status::IOError("disk full"))}, &script);
  job.OnFailed({"sink.1", std::make_shared<Status>(Status::IOError("other"))}, &script);
  EXPECT_EQ(script.Take(), Lines{"failed: disk full"});
  EXPECT_TRUE(job.ended());
}

TEST(JobCoordinator, CountsEpochsThatAreNotSafeYet) {
  CoordinatorPlan plan = TwoReaders();
  plan.participants = 2;
  JobCoordinator job(plan);
  Script script;
  for (int second = 0; second <= 2; ++second) job.OnTick(At(second * 1000), &script);
  EXPECT_EQ(script.pending, 2u);
  for (const auto reader : {kReader0, kReader1}) {
    job.OnReaderAtBarrier({reader, Epoch(1), Event(1)}, At(2001), &script);
  }
  EXPECT_EQ(script.pending, 1u);
}

TEST(JobCoordinator, NoNewEpochOpensWhileTheMostArePendingAndItIsTold) {
  JobCoordinator job(TwoReaders());
  Script script;
  for (int second = 0; second <= 1024; ++second) job.OnTick(At(second * 1000), &script);
  EXPECT_EQ(script.pending, 1024u);
  script.Take();
  job.OnTick(At(1'025'000), &script);
  EXPECT_EQ(script.Take(), Lines{"blocked"});
}

TEST(JobCoordinator, WhileAllAreIdleTimeMovesTheWatermarkInStepsAndAReturnHoldsIt) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(100)}}, At(1)}, At(1), &script);
  job.OnIdle({kSource, kP0}, At(1000), &script);
  job.OnIdle({kSource, kP1}, At(1000), &script);
  script.Take();
  for (int ms = 1020; ms < 1200; ms += 20) job.OnTick(At(ms), &script);
  EXPECT_LE(script.Take().size(), 4u);  // two readers, every 100 ms
  job.OnTick(At(11'000), &script);
  EXPECT_EQ(script.fetched, At(11'000));
  script.Take();
  job.OnActive({kSource, kP1}, At(12'000), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 floor 111"});
  job.OnReport({kSource, {{kP1, Event(111)}}, At(12'001)}, At(12'001), &script);
  // Told at last what the partition was told.
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 111", "r1 watermark 111"}));
}

// Latency does not count the wait for a topic's end.
TEST(JobCoordinator, WhatTheEndOfATopicMakesDueIsFetchedWhenTheEndIsKnown) {
  JobCoordinator job(TwoReaders());
  Script script;
  job.OnReport({kSource, {{kP0, Event(50)}, {kP1, Event(100)}}, At(1)}, At(1), &script);
  job.OnEnded({kSource, kP0}, At(3000), &script);
  EXPECT_EQ(script.Take().back(), "r1 watermark 100");
  EXPECT_EQ(script.fetched, At(3000));
}

TEST(JobCoordinator, ABoundedSourceWithoutPartitionsIsAtItsEnd) {
  CoordinatorPlan plan;
  plan.sources.push_back({kSource, true, {kReader0}, {}});
  plan.participants = 1;
  plan.checkpoint_interval = std::chrono::seconds(1);
  JobCoordinator job(plan);
  Script script;
  job.OnTick(At(0), &script);
  EXPECT_EQ(script.Take(), Lines{"r0 finish 1 drain"});
}

TEST(JobCoordinator, ATopicWithoutPartitionsWaitsForThem) {
  CoordinatorPlan plan;
  plan.sources.push_back({kSource, false, {kReader0}, {}});
  plan.sources.push_back({NodeId(1), true, {kReader1}, {{kP1, kReader1}}});
  plan.participants = 2;
  plan.checkpoint_interval = std::chrono::hours(1);
  JobCoordinator job(plan);
  Script script;
  job.OnTick(At(0), &script);
  job.OnEnded({NodeId(1), kP1}, At(1), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 watermark max"});
}

TEST(JobCoordinator, TwoSourcesHaveTheirOwnHorizonsAndEndTogether) {
  CoordinatorPlan plan;
  plan.sources.push_back({kSource, true, {kReader0}, {{kP0, kReader0}}});
  plan.sources.push_back({NodeId(1), true, {kReader1}, {{kP1, kReader1}}});
  plan.participants = 2;
  plan.checkpoint_interval = std::chrono::seconds(1);
  JobCoordinator job(plan);
  Script script;
  job.OnTick(At(0), &script);
  job.OnTick(At(1000), &script);
  script.Take();
  job.OnReaderAtBarrier({kReader0, Epoch(1), Event(70)}, At(1001), &script);
  job.OnReaderAtBarrier({kReader1, Epoch(1), Event(10)}, At(1001), &script);
  EXPECT_EQ(script.Take(),
            (Lines{"r0 commit 1 horizon 70", "r1 commit 1 horizon 10", "completed 1"}));
  job.OnEnded({kSource, kP0}, At(1002), &script);
  EXPECT_EQ(script.Take(), Lines{"r0 watermark max"});
  job.OnEnded({NodeId(1), kP1}, At(1003), &script);
  EXPECT_EQ(script.Take(), (Lines{"r1 watermark max", "r0 finish 2 drain", "r1 finish 2 drain"}));
}

TEST(SpreadPartitions, IsEvenAndStable) {
  std::vector<TopicPartition> partitions;
  for (int32_t i = 9; i >= 0; --i) partitions.push_back({"t", i});
  const auto spread = SpreadPartitions(partitions, 3);
  std::vector<int> load(3);
  for (const auto& [partition, reader] : spread) ++load[reader];
  EXPECT_EQ(load, (std::vector<int>{4, 3, 3}));
  EXPECT_EQ(spread.at({"t", 4}), 1u);
}

}  // namespace
}  // namespace millrace
