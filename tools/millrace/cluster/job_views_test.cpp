// Jobs, workers and savepoints as people see them: tables, the report of `describe`, `top`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/millrace/cluster/job_report.h"
#include "tools/millrace/cluster/status_tables.h"
#include "tools/millrace/cluster/top_screen.h"

namespace millrace {
namespace {

proto::JobStatus RunningJob(const std::string& name) {
  proto::JobStatus job;
  job.set_name(name);
  job.set_state("running");
  job.set_desired("running");
  job.set_why("all of it runs");
  job.set_parallelism(3);
  job.set_lag_records(1200);
  job.set_state_bytes(12'595);
  job.set_checkpoints(311);
  job.set_last_epoch(1234);
  job.set_attempt(3);
  job.set_restarts(1);
  for (const char* const worker : {"worker-1", "worker-0", "worker-0"}) {
    job.add_slot_workers(worker);
  }
  job.set_seconds_in_state(192);
  job.set_watermark_delay_seconds(12.5);
  job.set_seconds_since_checkpoint(0.84);
  job.set_records_in(34'560'000);
  job.set_records_out(42);
  job.set_age("3d4h");
  return job;
}

proto::JobStatus PausedJob(const std::string& name) {
  proto::JobStatus job;
  job.set_name(name);
  job.set_state("paused");
  job.set_desired("paused");
  job.set_wanted_parallelism(8);
  job.set_lag_records(-1);
  job.set_watermark_delay_seconds(-1);
  job.set_seconds_since_checkpoint(-1);
  job.set_age("5m");
  return job;
}

TEST(StatusTables, Jobs) {
  EXPECT_EQ(TextTable(JobColumns(false))
                .Format({JobCells(RunningJob("smoke"), false), JobCells(PausedJob("rig"), false)}),
            "NAME   STATE    DESIRED     PAR   LAG  WM-DELAY  LAST-CKPT  RESTARTS   AGE\n"
            "smoke  running  running       3  1200       12s       0.8s         1  3d4h\n"
            "rig    paused   paused   0 of 8     -         -          -         0    5m\n");
}

TEST(StatusTables, WideJobsSayWhereAndWhy) {
  const TableCells cells = JobCells(RunningJob("smoke"), true);
  ASSERT_EQ(cells.size(), JobColumns(true).size());
  EXPECT_THAT(std::vector<std::string>(cells.begin() + 9, cells.end()),
              testing::ElementsAre("3", "1234", "12.3 KiB", "34.6M", "42", "0",
                                   "2 worker-0, 1 worker-1", "all of it runs"));
}

TEST(StatusTables, WhatIsMeasuredIsNoChange) {
  const TextTable table(JobColumns(false));
  proto::JobStatus job = RunningJob("smoke");
  const std::string before = table.Unmeasured(JobCells(job, false));
  job.set_lag_records(7);
  job.set_watermark_delay_seconds(1);
  job.set_seconds_since_checkpoint(3);
  job.set_age("3d5h");
  EXPECT_EQ(table.Unmeasured(JobCells(job, false)), before);
  job.set_restarts(2);
  EXPECT_NE(table.Unmeasured(JobCells(job, false)), before);
}

proto::WorkerStatus Worker() {
  proto::WorkerStatus worker;
  worker.set_name("worker-0");
  worker.set_state("active");
  worker.set_slots(4);
  worker.add_jobs("smoke");
  worker.add_jobs("rig");
  worker.set_seconds_since_beat(0.3);
  worker.set_build("0.1.0");
  worker.set_exchange_address("10.0.0.7:7071");
  return worker;
}

TEST(StatusTables, Workers) {
  EXPECT_EQ(TextTable(WorkerColumns(false)).Format({WorkerCells(Worker(), false)}),
            "NAME      STATE   SLOTS  JOBS  BEAT  BUILD\n"
            "worker-0  active      4     2  0.3s  0.1.0\n");
  EXPECT_EQ(TextTable(WorkerColumns(true)).Format({WorkerCells(Worker(), true)}),
            "NAME      STATE   SLOTS  JOBS  BEAT  BUILD  EXCHANGE       METRICS  JOB-NAMES\n"
            "worker-0  active      4     2  0.3s  0.1.0  10.0.0.7:7071  -        smoke,rig\n");
}

TEST(StatusTables, Savepoints) {
  proto::SavepointStatus savepoint;
  savepoint.set_name("before-edit");
  savepoint.set_state("complete");
  savepoint.set_epoch(1234);
  savepoint.set_created("2026-03-01T08:00:10.000000Z");
  savepoint.set_generation("0123456789abcdef");
  proto::SavepointStatus begun;
  begun.set_name("next");
  begun.set_state("in_progress");
  EXPECT_EQ(TextTable(SavepointColumns(false))
                .Format({SavepointCells(savepoint, false), SavepointCells(begun, false)}),
            "NAME         STATE        EPOCH  CREATED                      GENERATION\n"
            "before-edit  complete      1234  2026-03-01T08:00:10.000000Z  01234567\n"
            "next         in_progress      -  -                            -\n");
}

proto::JobDescription Description() {
  proto::JobDescription description;
  *description.mutable_status() = RunningJob("smoke");
  description.mutable_status()->set_unpublished_epochs(2);
  description.mutable_status()->set_last_failure("worker worker-2 was lost");
  description.mutable_status()->add_notes("topic readings has 3 partitions: no more than 3 slots");
  description.add_findings("partition readings/2 holds the watermark of readings: 40m behind");
  description.add_findings("sink alerts: no broker\nanswers");
  description.set_file_name("job.yaml");
  description.set_file("kind: StreamJob\n");
  proto::SourceStatus& source = *description.add_sources();
  source.set_stream("readings");
  source.set_watermark("2026-03-01T08:00:10.000000Z");
  source.set_watermark_delay_seconds(2400);
  source.set_lag_records(1200);
  source.set_partitions(3);
  source.set_held_by("readings/2");
  source.set_held_for_seconds(2395);
  source.add_idle_partitions("readings/0");
  proto::StreamStatus& stream = *description.add_streams();
  stream.set_name("minutes");
  stream.set_records_in(34'560'000);
  stream.set_late(3);
  stream.set_keys_behind(2);
  stream.set_keys_offline(1);
  stream.set_furthest_behind("device-7 by 40m");
  proto::SinkStatus& sink = *description.add_sinks();
  sink.set_name("alerts");
  sink.set_target("kafka topic alerts");
  sink.set_records_out(42);
  sink.set_latency_seconds(-1);
  sink.set_last_warning("delivery failed: \x1b[31mtimed out");
  proto::LogLine& line = *description.add_log();
  line.set_time("2026-03-01T08:00:11.000000Z");
  line.set_level("warn");
  line.set_where("worker-0");
  line.set_message("two\nlines");
  return description;
}

TEST(JobReport, SaysHowItIsAndWhyFirst) {
  EXPECT_EQ(
      FormatJobReport(Description()),
      "Job         smoke\n"
      "State       running for 3m12s: all of it runs\n"
      "Failure     worker worker-2 was lost\n"
      "Attempt     3; 1 restart since this coordinator leads\n"
      "Slots       3: 2 worker-0, 1 worker-1\n"
      "Checkpoint  epoch 1234, 0.8s ago; 311 of this attempt; state 12.3 KiB\n"
      "Unpublished output of 2 epochs\n"
      "Records     34.6M in, 42 out, of this attempt; lag 1200\n"
      "File        job.yaml\n"
      "Age         3d4h\n"
      "\n"
      "Findings\n"
      "  - partition readings/2 holds the watermark of readings: 40m behind\n"
      "  - sink alerts: no broker\n"
      "    answers\n"
      "\n"
      "Limits\n"
      "  - topic readings has 3 partitions: no more than 3 slots\n"
      "\n"
      "Sources\n"
      "  STREAM    WATERMARK                    DELAY   LAG  PARTITIONS  HELD-BY"
      "                                 IDLE\n"
      "  readings  2026-03-01T08:00:10.000000Z  40m0s  1200           3  readings/2, 39m55s behind "
      "the next one  readings/0\n"
      "\n"
      "Streams\n"
      "  STREAM      IN  FILTERED  LATE  DEAD  WINDOWS  WATERMARK  KEYS\n"
      "  minutes  34.6M         0     3     0        0  -          2 behind, 1 offline; device-7 "
      "by "
      "40m\n"
      "\n"
      "Sinks\n"
      "  SINK    TARGET              OUT  LATENCY\n"
      "  alerts  kafka topic alerts   42        -\n"
      "\n"
      "Warnings of sinks\n"
      "  - alerts: delivery failed: \\x1b[31mtimed out\n"
      "\n"
      "Log\n"
      "  2026-03-01T08:00:11.000000Z  warn   worker-0      two\n"
      "      lines\n");
}

TEST(JobReport, AJobThatStandsSaysWhatIsWantedOfIt) {
  proto::JobDescription description;
  *description.mutable_status() = PausedJob("rig");
  description.mutable_status()->set_state("waiting");
  description.mutable_status()->set_why("no worker is there");
  description.mutable_status()->set_desired("running");
  description.mutable_status()->set_seconds_in_state(4);
  EXPECT_EQ(FormatJobReport(description),
            "Job         rig\n"
            "State       waiting for 4.0s, shall be running: no worker is there\n"
            "Attempt     0; 0 restarts since this coordinator leads\n"
            "Slots       0 of 8\n"
            "Checkpoint  none yet of this attempt\n"
            "Records     0 in, 0 out, of this attempt; lag -\n"
            "Age         5m\n");
}

TEST(JobReport, ARunningJobWithoutFindingsSaysSo) {
  proto::JobDescription description;
  *description.mutable_status() = RunningJob("smoke");
  EXPECT_THAT(FormatJobReport(description),
              testing::HasSubstr("\nFindings\n  none: nothing is known that holds its output"));
}

TEST(TopScreen, RatesAreOfOneAttempt) {
  using std::chrono::seconds;
  JobRates rates;
  proto::JobList jobs;
  proto::JobStatus& job = *jobs.add_jobs();
  job = RunningJob("smoke");
  rates.Update(jobs, seconds(10));
  EXPECT_FALSE(rates.Of("smoke").has_value());
  job.set_records_in(job.records_in() + 5000);
  job.set_records_out(job.records_out() + 10);
  rates.Update(jobs, seconds(12));
  ASSERT_TRUE(rates.Of("smoke").has_value());
  EXPECT_EQ(rates.Of("smoke")->in, 2500);
  EXPECT_EQ(rates.Of("smoke")->out, 5);
  job.set_attempt(4);
  rates.Update(jobs, seconds(13));
  EXPECT_FALSE(rates.Of("smoke").has_value());
  job.set_records_in(0);
  rates.Update(jobs, seconds(14));
  EXPECT_FALSE(rates.Of("smoke").has_value());
  EXPECT_FALSE(rates.Of("other").has_value());
}

ClusterSight Sight() {
  ClusterSight sight;
  sight.cluster.set_cluster("plant");
  sight.cluster.set_coordinator("coordinator-1");
  sight.cluster.set_term(7);
  *sight.jobs.add_jobs() = RunningJob("a");
  *sight.jobs.add_jobs() = RunningJob("b");
  sight.jobs.mutable_jobs(1)->set_lag_records(99'000);
  *sight.jobs.add_jobs() = PausedJob("rig");
  *sight.workers.add_workers() = Worker();
  return sight;
}

TEST(TopScreen, WhatStandsAndWhatLagsComesFirst) {
  EXPECT_EQ(FormatTop(Sight(), JobRates()),
            "cluster plant: coordinator-1 leads (term 7), 3 jobs, 1 workers\n"
            "\n"
            "JOB  STATE       PAR  IN/S  OUT/S    LAG  WM-DELAY  LAST-CKPT  STATE-SIZE  RESTARTS\n"
            "rig  paused   0 of 8     -      -      -         -          -         0 B         0\n"
            "b    running       3     -      -  99000       12s       0.8s    12.3 KiB         1\n"
            "a    running       3     -      -   1200       12s       0.8s    12.3 KiB         1\n"
            "\n"
            "WORKER    STATE   SLOTS  USED  JOBS  BEAT\n"
            "worker-0  active      4     4     2  0.3s\n");
}

TEST(TopScreen, IsCutToTheScreen) {
  EXPECT_EQ(CutToScreen("one\n°°°°\nthree\n", 3, 2), "one\n°°°");
  EXPECT_EQ(CutToScreen("one\n\nthree\n", 80, 24), "one\n\nthree");
}

}  // namespace
}  // namespace millrace
