#include "worker/job_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/fixture.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

const EventTime kNow{std::chrono::seconds(1000)};

class JobMetricsTest : public testing::Test {
 protected:
  // A start of the job, with accounts that begin at zero.
  struct Start {
    explicit Start(JobMetricsTest* test) : account(test->plan_), metrics(test->families_) {}
    void Update() {
      metrics.UpdateCounters(account, figures, {});
      metrics.UpdateGauges(account, figures, {}, kNow);
    }
    JobAccount account;
    RunFigures figures;
    JobMetrics metrics;
  };
  double records_in() { return families_.RecordsIn("readings").Value(); }

  const JobPlan plan_ = test::MakePlan();
  Metrics metrics_;
  const JobMetricFamilies families_{&metrics_, "test"};
};

TEST_F(JobMetricsTest, WhatCameSinceTheLastCallIsAdded) {
  Start start(this);
  start.account.stream("readings").rows_in = 10;
  start.Update();
  EXPECT_EQ(records_in(), 10);
  start.Update();
  EXPECT_EQ(records_in(), 10);
  start.account.stream("readings").rows_in = 25;
  start.Update();
  EXPECT_EQ(records_in(), 25);
}

TEST_F(JobMetricsTest, StartsOfOneProcessAddUp) {
  Start first(this);
  first.account.stream("readings").rows_in = 10;
  first.account.AddDeadLetters("readings", "malformed", 2);
  first.figures.sinks["sink.0"].rows_written = 4;
  first.figures.task_times["metrics.window.0"].busy = std::chrono::seconds(3);
  first.Update();
  Start second(this);
  second.account.stream("readings").rows_in = 3;
  second.account.AddDeadLetters("readings", "malformed", 1);
  second.figures.sinks["sink.0"].rows_written = 1;
  second.figures.task_times["metrics.window.0"].busy = std::chrono::seconds(1);
  second.Update();
  EXPECT_EQ(records_in(), 13);
  EXPECT_EQ(families_.DeadLetterRecords("readings", "malformed").Value(), 3);
  EXPECT_EQ(families_.RecordsOut("sink.0").Value(), 5);
  EXPECT_EQ(families_.TaskTimeSeconds("metrics.window.0", "busy").Value(), 4);
}

TEST_F(JobMetricsTest, EveryCountOfAStreamIsShown) {
  Start start(this);
  StreamAccount& stream = start.account.stream("metrics");
  stream.rows_in = 20;
  stream.counted = 11;
  stream.filtered = 5;
  stream.late = 4;
  stream.bytes_in = 900;
  stream.lost = 2;
  stream.empty_records = 1;
  start.Update();
  EXPECT_EQ(families_.RecordsIn("metrics").Value(), 20);
  EXPECT_EQ(families_.CountedRecords("metrics").Value(), 11);
  EXPECT_EQ(families_.FilteredRecords("metrics").Value(), 5);
  EXPECT_EQ(families_.LateRecords("metrics").Value(), 4);
  EXPECT_EQ(families_.SourceBytes("metrics").Value(), 900);
  EXPECT_EQ(families_.LostOffsets("metrics").Value(), 2);
  EXPECT_EQ(families_.EmptyRecords("metrics").Value(), 1);
  EXPECT_EQ(records_in(), 0);
}

TEST_F(JobMetricsTest, WhatAStartHoldsGoesWithIt) {
  Start start(this);
  start.account.stream("readings").rows_in = 10;
  start.account.stream("readings").watermark = 990'000'000;
  start.figures.lag["readings"] = 7;
  start.figures.state_bytes = 4096;
  start.figures.censuses["metrics"]["metrics.window.0"].live = 3;
  start.figures.censuses["metrics"]["metrics.window.1"].live = 2;
  start.Update();
  EXPECT_EQ(families_.WatermarkDelaySeconds("readings").Value(), 10);
  EXPECT_EQ(families_.SourceLagRecords("readings").Value(), 7);
  EXPECT_EQ(families_.StateSizeBytes().Value(), 4096);
  EXPECT_EQ(families_.Keys("metrics", "live").Value(), 5);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("stream=\"hot\"} -")));  // no watermark yet

  start.metrics.RemoveGauges();
  start.account.stream("readings").rows_in = 12;
  start.metrics.UpdateCounters(start.account, start.figures, {});
  EXPECT_EQ(records_in(), 12);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("gauge")));
}

// They are of the side that leads.
TEST_F(JobMetricsTest, NothingOfCheckpointsIsShown) {
  Start start(this);
  start.Update();
  EXPECT_THAT(metrics_.Text(), HasSubstr("millrace_state_size_bytes{job=\"test\"} 0\n"));
  for (const char* name : {"unpublished", "checkpoint", "job_state"}) {
    EXPECT_THAT(metrics_.Text(), Not(HasSubstr(name)));
  }
}

}  // namespace
}  // namespace millrace
