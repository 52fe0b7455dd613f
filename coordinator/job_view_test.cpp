#include "coordinator/job_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

// Of 2024-01-01, a day of which everything here is.
EventTime At(int hours, int minute, int second = 0) {
  constexpr std::chrono::sys_days kDay = std::chrono::year(2024) / 1 / 1;
  return EventTime(kDay.time_since_epoch() + std::chrono::hours(hours) + minutes(minute) +
                   seconds(second));
}

// A job that runs well: two workers, one source, everything is in time.
JobView Running() {
  JobView view;
  view.record.set_name("counting");
  view.record.set_file_name("counting.yaml");
  view.wall = At(1, 0);
  view.record.set_created((view.wall - minutes(90)).time_since_epoch().count());
  view.phase = JobPhase::kRunning;
  view.in_phase = minutes(5);
  view.attempt = 3;
  view.slots = {"worker-0", "worker-1"};
  view.checkpoints = 300;
  view.since_checkpoint = seconds(1);
  view.checkpoint_interval = seconds(1);
  SourceProgress progress;
  progress.watermark = At(0, 59, 50);
  progress.partitions = 4;
  progress.holder = TopicPartition{"readings", 3};
  progress.holds_by = seconds(2);
  view.sources.push_back({"readings", progress});
  view.sinks = {{"sink.0", "kafka topic minutes"}};
  for (const char* worker : {"worker-0", "worker-1"}) {
    proto::AttemptLoad& load = view.loads[worker];
    load.set_lag_records(5);
    load.set_state_bytes(1000);
    proto::StreamLoad& stream = *load.add_streams();
    stream.set_name("readings");
    stream.set_records_in(100);
    stream.set_watermark(progress.watermark.time_since_epoch().count());
    stream.set_lag_records(5);
    proto::SinkLoad& sink = *load.add_sinks();
    sink.set_name("sink.0");
    sink.set_records_out(7);
  }
  return view;
}

proto::StreamLoad& FirstStream(JobView* view) {
  return *view->loads.at("worker-0").mutable_streams(0);
}

TEST(JobViewTest, SumsWhatWorkersSay) {
  JobView view = Running();
  view.longest_latencies["sink.0"] = 1'500'000;
  const proto::JobDescription description = DescriptionOf(view);
  EXPECT_EQ(description.status().state(), "running");
  EXPECT_EQ(description.status().lag_records(), 10);
  EXPECT_EQ(description.status().state_bytes(), 2000);
  EXPECT_EQ(description.status().records_in(), 200);
  EXPECT_EQ(description.status().records_out(), 14);
  EXPECT_EQ(description.status().watermark_delay_seconds(), 10);
  EXPECT_EQ(description.status().seconds_since_checkpoint(), 1);
  EXPECT_EQ(description.status().age(), "1h30m");
  ASSERT_EQ(description.sources_size(), 1);
  EXPECT_EQ(description.sources(0).watermark(), "2024-01-01T00:59:50.000000Z");
  EXPECT_EQ(description.sources(0).held_by(), "readings/3");
  EXPECT_EQ(description.sources(0).held_for_seconds(), 2);
  EXPECT_EQ(description.sources(0).lag_records(), 10);
  ASSERT_EQ(description.streams_size(), 1);
  EXPECT_EQ(description.streams(0).records_in(), 200);
  ASSERT_EQ(description.sinks_size(), 1);
  EXPECT_EQ(description.sinks(0).target(), "kafka topic minutes");
  EXPECT_EQ(description.sinks(0).records_out(), 14);
  EXPECT_EQ(description.sinks(0).latency_seconds(), 1.5);
}

TEST(JobViewTest, AJobThatRunsWellGivesNothingToSay) {
  EXPECT_THAT(FindingsOf(Running()), IsEmpty());
}

TEST(JobViewTest, WhatIsNotKnownIsSaidSo) {
  JobView view;
  view.record.set_name("new");
  view.why = "no worker is there";
  view.in_phase = seconds(65);
  const proto::JobStatus status = StatusOf(view);
  EXPECT_EQ(status.lag_records(), -1);
  EXPECT_EQ(status.watermark_delay_seconds(), -1);
  EXPECT_EQ(status.seconds_since_checkpoint(), -1);
  EXPECT_THAT(FindingsOf(view), ElementsAre("it is waiting since 1m5s: no worker is there"));
}

TEST(JobViewTest, APartitionThatHoldsTheWatermarkIsNamed) {
  JobView view = Running();
  view.sources[0].progress.holds_by = minutes(63);
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("partition readings/3 holds the watermark of 'readings': its readings "
                          "are 1h3m behind the next partition's, and windows wait for it"));
}

TEST(JobViewTest, ASourceWithoutReadingsIsNamed) {
  JobView view = Running();
  view.sources[0].progress.watermark = kEventTimeMin;
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("source 'readings' has no watermark yet: partition readings/3 has had no "
                          "reading; it holds windows back until it has, or is idle"));
  for (auto& [worker, load] : view.loads) load.mutable_streams(0)->set_records_in(0);
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("source 'readings' has read nothing: its topics are empty, or it starts "
                          "at their ends"));
  view.sources[0].progress.partitions = 0;
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("source 'readings' has no partition: is its topic there?"));
}

TEST(JobViewTest, KeysThatAreBehindAreNamed) {
  JobView view = Running();
  FirstStream(&view).set_keys_behind(2);
  FirstStream(&view).set_furthest_behind("device-7 by 40m, device-9 by 12m");
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("2 keys of 'readings' are behind the fleet, and their windows wait for "
                          "them: device-7 by 40m, device-9 by 12m"));
}

TEST(JobViewTest, OutputThatWaitsComesBeforeAllElse) {
  JobView view = Running();
  view.blocked = Blocked::kEpochs;
  view.blocked_for = seconds(40);
  view.unpublished_epochs = 8;
  view.unpublished_bytes = 4096;
  view.last_warnings["publisher.0"] = "the broker is away";
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("readers pause since 40s: 8 checkpoints' output (4096 bytes) waits to be "
                          "published: see the sinks' warnings",
                          "publisher.0 warns: the broker is away"));
}

TEST(JobViewTest, CheckpointsThatDoNotComeAreTold) {
  JobView view = Running();
  view.since_checkpoint = minutes(2);
  EXPECT_THAT(FindingsOf(view), ElementsAre("no checkpoint is complete since 2m, and rows are "
                                            "published with checkpoints"));
  view.checkpoint_interval = minutes(5);
  EXPECT_THAT(FindingsOf(view), IsEmpty());
}

TEST(JobViewTest, DeadLettersAreToldWhereTheyAreMany) {
  JobView view = Running();
  FirstStream(&view).set_dead_letters(1);
  EXPECT_THAT(FindingsOf(view), IsEmpty());
  FirstStream(&view).set_dead_letters(30);
  FirstStream(&view).set_late(20);
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("30 of 200 rows of 'readings' ended as dead letters (20 came too late): "
                          "each says why"));
}

TEST(JobViewTest, JobsThatDoNotRunSayWhatToDo) {
  JobView view = Running();
  view.phase = JobPhase::kPaused;
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("it is paused: `millrace resume counting` goes on from its last "
                          "checkpoint"));
  view.phase = JobPhase::kFailed;
  view.why = "division by zero";
  view.last_failure = "division by zero";
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("it has failed and is not tried again: division by zero; mend the cause, "
                          "then `millrace resume counting`, or apply a corrected file"));
  view.phase = JobPhase::kRunning;
  view.restarts = 2;
  EXPECT_THAT(FindingsOf(view),
              ElementsAre("it was started again 2 times; the last failure: division by zero"));
}

}  // namespace
}  // namespace millrace
