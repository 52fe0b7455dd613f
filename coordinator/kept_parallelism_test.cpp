// A loss keeps a job's slots, an order changes them: what ClusterState says of the next attempt.
#include <gtest/gtest.h>

#include "coordinator/cluster_state_testing.h"

namespace millrace {
namespace {

class KeptParallelismTest : public ClusterStateTest {
 protected:
  // Of the attempt that is being prepared.
  bool Keeps() {
    EXPECT_EQ(phase(), JobPhase::kPreparing);
    return job().keeps_parallelism();
  }
};

TEST_F(KeptParallelismTest, ALossKeepsIt) {
  Reach(JobPhase::kRunning);
  Lose("b");
  EndOn({"a"});
  EXPECT_TRUE(Keeps());
}

TEST_F(KeptParallelismTest, ALossDuringPreparationKeepsIt) {
  Begin();
  const WorkerInfo a = state_.workers().at("a"), b = state_.workers().at("b");
  Lose("b");
  PreparedOn({a, b});
  EXPECT_TRUE(Keeps());
}

TEST_F(KeptParallelismTest, AFailureKeepsIt) {
  Reach(JobPhase::kRunning);
  Done(BrokerAway());
  EndOn({"a", "b"});
  Pass(std::chrono::minutes(2));
  EXPECT_TRUE(Keeps());
}

TEST_F(KeptParallelismTest, AnotherLeaderKeepsIt) {
  Reach(JobPhase::kRunning);
  Anew(state_.ToCatalog());
  Come("a");
  EXPECT_TRUE(Keeps());
}

// One of several that were lost may be back.
TEST_F(KeptParallelismTest, AWorkerThatComesKeepsIt) {
  Reach(JobPhase::kRunning);
  Come("c");
  Pass(ClusterState::kSettle);
  ASSERT_EQ(phase(), JobPhase::kStopping);
  Done();
  EndOn({"a", "b"});
  EXPECT_TRUE(Keeps());
}

TEST_F(KeptParallelismTest, AWorkerThatLeavesInOrderDoesNot) {
  Reach(JobPhase::kRunning);
  Leave("b");
  Checkpoint();  // which is the last one before the order is carried out
  Done();
  EndOn({"a", "b"});
  EXPECT_FALSE(Keeps());
}

TEST_F(KeptParallelismTest, RescalingDoesNot) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Rescale(3).ok());
  Done();
  EndOn({"a", "b"});
  EXPECT_FALSE(Keeps());
}

TEST_F(KeptParallelismTest, AnOrderStandsBesideALoss) {
  Reach(JobPhase::kRunning);
  Lose("b");
  ASSERT_TRUE(Rescale(3).ok());
  EndOn({"a"});
  EXPECT_FALSE(Keeps());
}

TEST_F(KeptParallelismTest, AWorkerThatLeavesWhileAJobRestsIsNotWaitedFor) {
  Reach(JobPhase::kPaused);
  Leave("b");
  ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
  EXPECT_FALSE(Keeps());
}

TEST_F(KeptParallelismTest, AnOrderStandsUntilAnAttemptByItHasACheckpoint) {
  Reach(JobPhase::kRunning);
  Leave("b");
  Done();
  EndOn({"a", "b"});
  RunOn({"a"});
  Break();
  EndOn({"a"});
  EXPECT_FALSE(Keeps());
  RunOn({"a"});
  Checkpoint();
  Break();
  EndOn({"a"});
  Pass(std::chrono::minutes(2));
  EXPECT_TRUE(Keeps());
}

// Its last checkpoint counts as well.
TEST_F(KeptParallelismTest, AnOrderIsOverWhenAnAttemptByItIsPaused) {
  Reach(JobPhase::kRunning);
  Leave("b");
  Done();
  EndOn({"a", "b"});
  RunOn({"a"});
  ASSERT_TRUE(Desire(proto::JOB_PAUSED).ok());
  Checkpoint();
  Done();
  EndOn({"a"});
  ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
  EXPECT_TRUE(Keeps());
}

// It has nothing there, and runs on with the slots that it has.
TEST_F(KeptParallelismTest, AnOrderThatDoesNotConcernAnAttemptIsOverWithItsNextCheckpoint) {
  Begin();
  Come("c");
  RunOn({"a", "b"});
  Leave("c");
  Checkpoint();
  Lose("b");
  EndOn({"a"});
  EXPECT_TRUE(Keeps());
}

}  // namespace
}  // namespace millrace
