#include "engine/checkpoint/task_checkpoint.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using Gathered = TaskCheckpoint::Gathered;

TEST(TaskCheckpoint, IsAcknowledgedOnceItsFilesAreSafe) {
  TaskCheckpoint checkpoint;
  ASSERT_TRUE(checkpoint.OnBarrier(Epoch(3)).ok());
  EXPECT_TRUE(checkpoint.writing());
  EXPECT_FALSE(checkpoint.gathering());
  checkpoint.OnWritten();
  EXPECT_FALSE(checkpoint.writing());
  EXPECT_TRUE(checkpoint.gathering());
  EXPECT_EQ(checkpoint.OnGathered(Epoch(3)), Gathered::kAcknowledge);
  EXPECT_FALSE(checkpoint.gathering());
}

TEST(TaskCheckpoint, AnEpochThatWasGivenUpMeanwhileIsStale) {
  TaskCheckpoint checkpoint;
  ASSERT_TRUE(checkpoint.OnBarrier(Epoch(1)).ok());
  checkpoint.OnWritten();
  ASSERT_TRUE(checkpoint.OnBarrier(Epoch(2)).ok());
  EXPECT_EQ(checkpoint.OnGathered(Epoch(1)), Gathered::kStale);
  checkpoint.OnWritten();
  EXPECT_EQ(checkpoint.epoch(), Epoch(2));
  EXPECT_EQ(checkpoint.OnGathered(Epoch(2)), Gathered::kAcknowledge);
}

TEST(TaskCheckpoint, RefusesEpochsThatDoNotRiseAndABarrierBeforeTheLastIsWritten) {
  TaskCheckpoint checkpoint;
  ASSERT_TRUE(checkpoint.OnBarrier(Epoch(2)).ok());
  EXPECT_EQ(ErrorDetail::Of(checkpoint.OnBarrier(Epoch(3)))->code(), "barrier_out_of_order");
  checkpoint.OnWritten();
  EXPECT_EQ(ErrorDetail::Of(checkpoint.OnBarrier(Epoch(2)))->code(), "barrier_out_of_order");
  EXPECT_EQ(ErrorDetail::Of(checkpoint.OnBarrier(Epoch(1)))->code(), "barrier_out_of_order");
  EXPECT_TRUE(checkpoint.OnBarrier(Epoch(3)).ok());
}

}  // namespace
}  // namespace millrace
