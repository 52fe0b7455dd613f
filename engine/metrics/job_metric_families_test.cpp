#include "engine/metrics/job_metric_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

class JobMetricFamiliesTest : public testing::Test {
 protected:
  Metrics metrics_;
  const JobMetricFamilies fleet_{&metrics_, "fleet"};
  const JobMetricFamilies plant_{&metrics_, "plant"};
};

TEST_F(JobMetricFamiliesTest, SeveralJobsShareAFamily) {
  fleet_.RecordsIn("readings").Increment(3);
  plant_.RecordsIn("readings").Increment(7);
  fleet_.RecordsIn("readings").Increment(2);
  fleet_.DeadLetterRecords("readings", "malformed").Increment();
  EXPECT_EQ(metrics_.Text(),
            "# HELP millrace_dead_letter_records_total Records that were sent to the dead letters, "
            "by reason\n"
            "# TYPE millrace_dead_letter_records_total counter\n"
            "millrace_dead_letter_records_total{job=\"fleet\",reason=\"malformed\","
            "stream=\"readings\"} 1\n"
            "# HELP millrace_records_in_total Records read from a stream's source\n"
            "# TYPE millrace_records_in_total counter\n"
            "millrace_records_in_total{job=\"fleet\",stream=\"readings\"} 5\n"
            "millrace_records_in_total{job=\"plant\",stream=\"readings\"} 7\n");
}

TEST_F(JobMetricFamiliesTest, HistogramsAreCumulative) {
  for (const double seconds : {0.02, 0.4, 1000.0}) {
    fleet_.EndToEndLatencySeconds().Observe(seconds);
  }
  const std::string name = "millrace_end_to_end_latency_seconds";
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr(name + "_count{job=\"fleet\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{job=\"fleet\",le=\"0.01\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{job=\"fleet\",le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{job=\"fleet\",le=\"0.5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket{job=\"fleet\",le=\"+Inf\"} 3\n"));
}

TEST_F(JobMetricFamiliesTest, EveryFamilyHasItsNameAndItsJob) {
  fleet_.CountedRecords("s");
  fleet_.FilteredRecords("s");
  fleet_.LateRecords("s");
  fleet_.SourceBytes("s");
  fleet_.LostOffsets("t");
  fleet_.EmptyRecords("s");
  fleet_.SourceLagRecords("s");
  fleet_.WatermarkDelaySeconds("s");
  fleet_.LookupRows("l");
  fleet_.LookupRowsWithoutKey("l");
  fleet_.LookupBytes("l");
  fleet_.LookupRefreshes("l", "failed");
  fleet_.LookupLastRefreshTimestampSeconds("l");
  fleet_.LookupMisses("l");
  fleet_.Keys("s", "live");
  fleet_.RecordsOut("o");
  fleet_.NonFiniteValues("o");
  fleet_.CheckpointDurationSeconds();
  fleet_.CheckpointAlignmentSeconds();
  fleet_.CheckpointStallSeconds();
  fleet_.CheckpointSizeBytes();
  fleet_.Checkpoints("completed");
  fleet_.LastCheckpointTimestampSeconds();
  fleet_.CheckpointDelaySeconds();
  fleet_.UnpublishedEpochs();
  fleet_.UnpublishedBytes();
  fleet_.TaskTimeSeconds("w", "busy");
  fleet_.StateSizeBytes();
  fleet_.JobState("running");
  fleet_.JobRestarts("failed");
  const std::string text = metrics_.Text();
  for (const char* line : {"counted_records_total{job=\"fleet\",stream=\"s\"}",
                           "filtered_records_total{job=\"fleet\",stream=\"s\"}",
                           "late_records_total{job=\"fleet\",stream=\"s\"}",
                           "source_bytes_total{job=\"fleet\",stream=\"s\"}",
                           "lost_offsets_total{job=\"fleet\",topic=\"t\"}",
                           "empty_records_total{job=\"fleet\",stream=\"s\"}",
                           "source_lag_records{job=\"fleet\",stream=\"s\"}",
                           "watermark_delay_seconds{job=\"fleet\",stream=\"s\"}",
                           "lookup_rows{job=\"fleet\",lookup=\"l\"}",
                           "lookup_rows_without_key{job=\"fleet\",lookup=\"l\"}",
                           "lookup_bytes{job=\"fleet\",lookup=\"l\"}",
                           "lookup_refreshes_total{job=\"fleet\",lookup=\"l\",result=\"failed\"}",
                           "lookup_last_refresh_timestamp_seconds{job=\"fleet\",lookup=\"l\"}",
                           "lookup_misses_total{job=\"fleet\",lookup=\"l\"}",
                           "keys{job=\"fleet\",state=\"live\",stream=\"s\"}",
                           "records_out_total{job=\"fleet\",sink=\"o\"}",
                           "non_finite_values_total{job=\"fleet\",sink=\"o\"}",
                           "checkpoint_duration_seconds_count{job=\"fleet\"}",
                           "checkpoint_alignment_seconds_count{job=\"fleet\"}",
                           "checkpoint_stall_seconds_count{job=\"fleet\"}",
                           "checkpoint_size_bytes{job=\"fleet\"}",
                           "checkpoints_total{job=\"fleet\",result=\"completed\"}",
                           "last_checkpoint_timestamp_seconds{job=\"fleet\"}",
                           "checkpoint_delay_seconds{job=\"fleet\"}",
                           "unpublished_epochs{job=\"fleet\"}",
                           "unpublished_bytes{job=\"fleet\"}",
                           "task_time_seconds_total{job=\"fleet\",state=\"busy\",task=\"w\"}",
                           "state_size_bytes{job=\"fleet\"}",
                           "job_state{job=\"fleet\",state=\"running\"}",
                           "job_restarts_total{job=\"fleet\",reason=\"failed\"}"}) {
    EXPECT_THAT(text, HasSubstr("\nmillrace_" + std::string(line) + " 0\n"));
  }
}

TEST_F(JobMetricFamiliesTest, GaugesOfOneJobAreTakenAway) {
  metrics_.CoordinatorTerm().Set(1);
  fleet_.RecordsIn("readings").Increment(3);
  fleet_.StateSizeBytes().Set(100);
  fleet_.Keys("readings", "live").Set(5);
  plant_.StateSizeBytes().Set(200);
  fleet_.RemoveGauges();
  EXPECT_EQ(metrics_.Text(),
            "# HELP millrace_coordinator_term The coordinator's term\n"
            "# TYPE millrace_coordinator_term gauge\n"
            "millrace_coordinator_term 1\n"
            "# HELP millrace_records_in_total Records read from a stream's source\n"
            "# TYPE millrace_records_in_total counter\n"
            "millrace_records_in_total{job=\"fleet\",stream=\"readings\"} 3\n"
            "# HELP millrace_state_size_bytes Memory held by window state\n"
            "# TYPE millrace_state_size_bytes gauge\n"
            "millrace_state_size_bytes{job=\"plant\"} 200\n");
  fleet_.StateSizeBytes().Set(50);
  EXPECT_THAT(metrics_.Text(), HasSubstr("millrace_state_size_bytes{job=\"fleet\"} 50\n"));
}

TEST_F(JobMetricFamiliesTest, AJobIsTakenAway) {
  fleet_.RecordsIn("readings").Increment(3);
  fleet_.StateSizeBytes().Set(100);
  fleet_.CheckpointDurationSeconds().Observe(1);
  plant_.RecordsIn("readings").Increment(7);
  fleet_.Remove();
  EXPECT_EQ(metrics_.Text(),
            "# HELP millrace_records_in_total Records read from a stream's source\n"
            "# TYPE millrace_records_in_total counter\n"
            "millrace_records_in_total{job=\"plant\",stream=\"readings\"} 7\n");
  // It begins at zero where it comes again.
  fleet_.RecordsIn("readings").Increment();
  EXPECT_THAT(metrics_.Text(), HasSubstr("{job=\"fleet\",stream=\"readings\"} 1\n"));
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("duration")));
}

TEST_F(JobMetricFamiliesTest, WhatIsTakenAwayMakesRoom) {
  for (int i = 0; i < 12'000; ++i) {
    fleet_.DeadLetterRecords("s", "reason_" + std::to_string(i)).Increment();
  }
  fleet_.Remove();
  plant_.DeadLetterRecords("s", "late").Increment();
  EXPECT_THAT(metrics_.Text(), HasSubstr("{job=\"plant\",reason=\"late\",stream=\"s\"} 1\n"));
}

}  // namespace
}  // namespace millrace
