#include "engine/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, ShowsNothingBeforeItIsUsed) { EXPECT_EQ(Metrics().Text(), ""); }

TEST(MetricsTest, CountersAreShownByNameAndLabel) {
  Metrics metrics;
  metrics.RecordsIn("readings").Increment(3);
  metrics.RecordsIn("readings").Increment(2);
  metrics.DeadLetterRecords("readings", "malformed").Increment();
  metrics.DeadLetterRecords("readings", "late").Increment(4);
  metrics.SetBuildInfo("0.1.0");
  EXPECT_EQ(metrics.Text(),
            "# HELP millrace_build_info 1, labelled with the version of this program\n"
            "# TYPE millrace_build_info gauge\n"
            "millrace_build_info{version=\"0.1.0\"} 1\n"
            "# HELP millrace_dead_letter_records_total Records that were sent to the dead letters, "
            "by reason\n"
            "# TYPE millrace_dead_letter_records_total counter\n"
            "millrace_dead_letter_records_total{reason=\"late\",stream=\"readings\"} 4\n"
            "millrace_dead_letter_records_total{reason=\"malformed\",stream=\"readings\"} 1\n"
            "# HELP millrace_records_in_total Records read from a stream's source\n"
            "# TYPE millrace_records_in_total counter\n"
            "millrace_records_in_total{stream=\"readings\"} 5\n");
}

TEST(MetricsTest, HistogramsAreCumulative) {
  Metrics metrics;
  metrics.EndToEndLatencySeconds().Observe(0.02);
  metrics.EndToEndLatencySeconds().Observe(0.4);
  metrics.EndToEndLatencySeconds().Observe(1000);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("millrace_end_to_end_latency_seconds_count 3\n"));
  EXPECT_THAT(text, HasSubstr("millrace_end_to_end_latency_seconds_bucket{le=\"0.01\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("millrace_end_to_end_latency_seconds_bucket{le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("millrace_end_to_end_latency_seconds_bucket{le=\"0.5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("millrace_end_to_end_latency_seconds_bucket{le=\"+Inf\"} 3\n"));
}

TEST(MetricsTest, EveryFamilyHasItsName) {
  Metrics metrics;
  metrics.CountedRecords("s");
  metrics.FilteredRecords("s");
  metrics.LateRecords("s");
  metrics.SourceBytes("s");
  metrics.LostOffsets("t");
  metrics.EmptyRecords("s");
  metrics.SourceLagRecords("s");
  metrics.WatermarkDelaySeconds("s");
  metrics.RecordsOut("o");
  metrics.NonFiniteValues("o");
  metrics.CheckpointDurationSeconds();
  metrics.CheckpointAlignmentSeconds();
  metrics.CheckpointSizeBytes();
  metrics.Checkpoints("completed");
  metrics.LastCheckpointTimestampSeconds();
  metrics.UnpublishedEpochs();
  metrics.TaskTimeSeconds("w", "busy");
  metrics.StateSizeBytes();
  metrics.JobState("running");
  metrics.CoordinatorTerm();
  const std::string text = metrics.Text();
  for (const char* line : {"millrace_counted_records_total{stream=\"s\"} 0",
                           "millrace_filtered_records_total{stream=\"s\"} 0",
                           "millrace_late_records_total{stream=\"s\"} 0",
                           "millrace_source_bytes_total{stream=\"s\"} 0",
                           "millrace_lost_offsets_total{topic=\"t\"} 0",
                           "millrace_empty_records_total{stream=\"s\"} 0",
                           "millrace_source_lag_records{stream=\"s\"} 0",
                           "millrace_watermark_delay_seconds{stream=\"s\"} 0",
                           "millrace_records_out_total{sink=\"o\"} 0",
                           "millrace_non_finite_values_total{sink=\"o\"} 0",
                           "millrace_checkpoint_duration_seconds_count 0",
                           "millrace_checkpoint_alignment_seconds_count 0",
                           "millrace_checkpoint_size_bytes 0",
                           "millrace_checkpoints_total{result=\"completed\"} 0",
                           "millrace_last_checkpoint_timestamp_seconds 0",
                           "millrace_unpublished_epochs 0",
                           "millrace_task_time_seconds_total{state=\"busy\",task=\"w\"} 0",
                           "millrace_state_size_bytes 0",
                           "millrace_job_state{state=\"running\"} 0",
                           "millrace_coordinator_term 0"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST(MetricsTest, ChildrenAreBounded) {
  Metrics metrics;
  for (int i = 0; i < 12'000; ++i) {
    metrics.DeadLetterRecords("s", "reason_" + std::to_string(i)).Increment();
  }
  const std::string text = metrics.Text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10'000 + 2);
  EXPECT_THAT(text, HasSubstr("{reason=\"other\",stream=\"other\"} 2001\n"));
  EXPECT_THAT(text, HasSubstr("{reason=\"reason_9998\",stream=\"s\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("reason_9999\"")));
  // What was there stays itself.
  metrics.DeadLetterRecords("s", "reason_7").Increment();
  EXPECT_THAT(metrics.Text(), HasSubstr("{reason=\"reason_7\",stream=\"s\"} 2\n"));
}

}  // namespace
}  // namespace millrace
