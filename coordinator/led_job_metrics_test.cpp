#include "coordinator/led_job_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::HasSubstr;

class LedJobMetricsTest : public testing::Test {
 protected:
  CompletedCheckpoint Checkpoint(int64_t bytes) {
    CompletedCheckpoint checkpoint;
    checkpoint.opened = std::chrono::seconds(10);
    checkpoint.completed = std::chrono::milliseconds(10'200);
    checkpoint.bytes = bytes;
    return checkpoint;
  }

  Metrics metrics_;
  const JobMetricFamilies families_{&metrics_, "test"};
};

TEST_F(LedJobMetricsTest, CheckpointsAreShown) {
  LedJobMetrics led(families_);
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("millrace_checkpoints_total{job=\"test\",result=\"abandoned\"} 0\n"));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("millrace_checkpoints_total{job=\"test\",result=\"completed\"} 0\n"));
  led.OnCheckpoint(Checkpoint(100), EventTime(std::chrono::seconds(1000)));
  led.OnCheckpoint(Checkpoint(70), EventTime(std::chrono::milliseconds(1'001'500)));
  led.OnAbandoned();
  EXPECT_EQ(families_.Checkpoints("completed").Value(), 2);
  EXPECT_EQ(families_.Checkpoints("abandoned").Value(), 1);
  EXPECT_EQ(families_.CheckpointSizeBytes().Value(), 70);
  EXPECT_EQ(families_.LastCheckpointTimestampSeconds().Value(), 1001.5);
  const std::string duration = "millrace_checkpoint_duration_seconds_bucket{job=\"test\",le=";
  EXPECT_THAT(metrics_.Text(), HasSubstr(duration + "\"0.1\"} 0\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr(duration + "\"0.25\"} 2\n"));
}

TEST_F(LedJobMetricsTest, WhatWaitsIsShown) {
  LedJobMetrics led(families_);
  led.OnUnpublished(3, 4096);
  EXPECT_EQ(families_.UnpublishedEpochs().Value(), 3);
  EXPECT_EQ(families_.UnpublishedBytes().Value(), 4096);
  led.OnUnpublished(0, 0);
  EXPECT_EQ(families_.UnpublishedEpochs().Value(), 0);
  EXPECT_EQ(families_.UnpublishedBytes().Value(), 0);
}

TEST_F(LedJobMetricsTest, ADelayIsOverWithTheCheckpointOrTheStart) {
  std::optional<LedJobMetrics> led(families_);
  const auto delay = [&] { return families_.CheckpointDelaySeconds().Value(); };
  led->OnDelayed(std::chrono::milliseconds(2500));
  EXPECT_EQ(delay(), 2.5);
  led->OnCheckpoint(Checkpoint(1), EventTime());
  EXPECT_EQ(delay(), 0);
  led->OnDelayed(std::chrono::seconds(4));
  led->OnAbandoned();
  EXPECT_EQ(delay(), 0);
  led->OnDelayed(std::chrono::seconds(5));
  led.reset();
  EXPECT_EQ(delay(), 0);
  // What waits to be published still does.
  led.emplace(families_);
  led->OnUnpublished(2, 10);
  led.reset();
  EXPECT_EQ(families_.UnpublishedEpochs().Value(), 2);
}

TEST_F(LedJobMetricsTest, AJobIsInOneStateOfAll) {
  ShowJobState(families_, JobPhase::kPreparing);
  ShowJobState(families_, JobPhase::kFailed);
  std::string expected =
      "# HELP millrace_job_state 1 for the state that the job is in, else 0\n"
      "# TYPE millrace_job_state gauge\n";
  for (const char* state : {"canceled", "deploying", "ending", "failed", "finished", "paused",
                            "preparing", "running", "stopping", "waiting"}) {
    expected += "millrace_job_state{job=\"test\",state=\"" + std::string(state) + "\"} " +
                (state == std::string("failed") ? "1" : "0") + "\n";
  }
  EXPECT_EQ(metrics_.Text(), expected);
}

}  // namespace
}  // namespace millrace
