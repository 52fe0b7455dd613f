#include "coordinator/job_placements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class JobPlacementsTest : public testing::Test {
 protected:
  JobPlacementsTest() { SetWorkers(2); }

  void SetWorkers(int32_t count) {
    workers_.resize(size_t(count));
    for (int32_t i = 0; i < count; ++i) {
      workers_[size_t(i)].name = "worker-" + std::to_string(i);
      workers_[size_t(i)].slots = 2;
    }
    placements_.BeginTurn();
  }
  // Prepares its next attempt, which runs from then on.
  SlotWorkers Start(const std::string& job, int32_t wanted, int32_t partitions = 100,
                    int32_t kept = 0) {
    const JobPlacement& placement =
        placements_.Place(job, ++attempt_, wanted, partitions, workers_, jobs_, kept);
    jobs_[job].phase = JobPhase::kRunning;
    jobs_[job].attempt = attempt_;
    return placement.slots;
  }
  bool WouldMove(const std::string& job) { return placements_.WouldMove(job, workers_, jobs_); }
  // Two beats a second.
  void Run(const std::string& job, const std::vector<double>& cores, MonotonicTime span) {
    std::vector<double> cpu(cores.size());
    for (const MonotonicTime end = now_ + span; now_ < end; now_ += milliseconds(500)) {
      proto::AttemptLoad load;
      load.set_job(job);
      load.set_attempt(jobs_[job].attempt);
      for (size_t i = 0; i < cores.size(); ++i) {
        proto::SlotLoad& slot = *load.add_slots();
        slot.set_slot(int32_t(i));
        slot.set_cpu_micros(int64_t(cpu[i] * 1e6));
        cpu[i] += 0.5 * cores[i];
      }
      placements_.TakeLoad(load, now_);
    }
    placements_.BeginTurn();
  }

  JobPlacements placements_;
  JobPlacements::Jobs jobs_;
  std::vector<WorkerInfo> workers_;
  int64_t attempt_ = 0;
  MonotonicTime now_{0};
};

TEST_F(JobPlacementsTest, JobsThatStartOneAfterTheOtherShareTheWorkers) {
  EXPECT_THAT(Start("a", 1), ElementsAre("worker-0"));
  EXPECT_THAT(Start("b", 1), ElementsAre("worker-1"));
  EXPECT_THAT(Start("c", 2), UnorderedElementsAre("worker-0", "worker-1"));
  for (const char* job : {"a", "b", "c"}) EXPECT_FALSE(WouldMove(job));
}

TEST_F(JobPlacementsTest, SlotsThatAreKeptStayUntilTheWorkerIsBack) {
  SetWorkers(2);
  ASSERT_EQ(Start("a", 0).size(), 4u);
  SetWorkers(1);
  EXPECT_TRUE(WouldMove("a"));
  EXPECT_EQ(Start("a", 0, 100, /*kept=*/4), SlotWorkers(4, "worker-0"));
  EXPECT_THAT(placements_.Find("a")->notes,
              ElementsAre("1 worker with 2 slots, job parallelism 4: kept while workers are "
                          "missing"));
  EXPECT_FALSE(WouldMove("a")) << "to fewer slots";
  SetWorkers(2);
  EXPECT_TRUE(WouldMove("a"));
  EXPECT_THAT(Start("a", 0), UnorderedElementsAre("worker-0", "worker-0", "worker-1", "worker-1"));
  SetWorkers(1);
  EXPECT_EQ(Start("a", 0), SlotWorkers(2, "worker-0")) << "it has left in order";
}

TEST_F(JobPlacementsTest, WhenAWorkerComesEnoughJobsMoveAndNoMore) {
  for (const char* job : {"a", "b", "c", "d"}) Start(job, 1);
  SetWorkers(3);
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  const auto moving = [&] {
    return std::ranges::count_if(names, [&](const auto& job) { return WouldMove(job); });
  };
  ASSERT_EQ(moving(), 1);
  const auto mover = *std::ranges::find_if(names, [&](const auto& job) { return WouldMove(job); });
  jobs_[mover].phase = JobPhase::kWaiting;
  EXPECT_THAT(Start(mover, 1), ElementsAre("worker-2"));
  EXPECT_EQ(moving(), 0);
}

// Of two jobs that were stopped for the same change, the first does not take what is for both.
TEST_F(JobPlacementsTest, AJobThatWasStoppedTooCountsWhereItWillBe) {
  Start("a", 4);
  Start("b", 4);
  SetWorkers(4);
  ASSERT_TRUE(WouldMove("a"));
  ASSERT_TRUE(WouldMove("b"));
  jobs_["a"].phase = JobPhase::kPreparing;
  jobs_["b"].phase = JobPhase::kStopping;
  const auto each = UnorderedElementsAre("worker-0", "worker-1", "worker-2", "worker-3");
  EXPECT_THAT(Start("a", 4), each);
  EXPECT_THAT(Start("b", 4), each);
  EXPECT_FALSE(WouldMove("a"));
  EXPECT_FALSE(WouldMove("b"));
}

TEST_F(JobPlacementsTest, AJobThatDoesNotRunLeavesItsRoomAndComesBackToIt) {
  EXPECT_THAT(Start("a", 1), ElementsAre("worker-0"));
  EXPECT_THAT(Start("b", 1), ElementsAre("worker-1"));
  jobs_["b"].phase = JobPhase::kPaused;
  EXPECT_THAT(Start("c", 1), ElementsAre("worker-1"));
  jobs_["c"].phase = JobPhase::kFinished;
  EXPECT_THAT(Start("b", 1), ElementsAre("worker-1"));
}

TEST_F(JobPlacementsTest, AJobGetsAsManySlotsAsThereAreAndItsTopicHas) {
  Start("a", 0, /*partitions=*/5);
  EXPECT_EQ(placements_.Find("a")->slots.size(), 4);
  EXPECT_THAT(placements_.Find("a")->notes, ElementsAre());
  SetWorkers(3);
  ASSERT_TRUE(WouldMove("a"));
  EXPECT_EQ(Start("a", 0, /*partitions=*/5).size(), 5);
  EXPECT_THAT(placements_.Find("a")->notes,
              ElementsAre("3 workers with 6 slots, job parallelism 5: the topic has 5 partitions"));
  EXPECT_FALSE(WouldMove("a"));
}

TEST_F(JobPlacementsTest, AJobMovesForItsLoadAndNotForNoise) {
  ASSERT_THAT(Start("a", 4), ElementsAre("worker-0", "worker-0", "worker-1", "worker-1"));
  Run("a", {0.50, 0.42, 0.45, 0.44}, seconds(31));
  EXPECT_FALSE(WouldMove("a"));
  Run("a", {0.90, 0.90, 0.10, 0.10}, seconds(61));
  ASSERT_TRUE(WouldMove("a"));
  const SlotWorkers moved = Start("a", 4);
  EXPECT_NE(moved[0], moved[1]);
  placements_.BeginTurn();
  EXPECT_FALSE(WouldMove("a"));
}

TEST_F(JobPlacementsTest, WhatWasForgottenIsNew) {
  Start("a", 1);
  EXPECT_THAT(Start("b", 1), ElementsAre("worker-1"));
  placements_.Forget("a");
  placements_.Forget("b");
  jobs_.clear();
  EXPECT_EQ(placements_.Find("b"), nullptr);
  EXPECT_FALSE(WouldMove("b"));
  EXPECT_THAT(Start("b", 1), ElementsAre("worker-0"));
}

}  // namespace
}  // namespace millrace
