// A job that is killed, stopped or fails, and is started anew on the same state folder: over all of
// its starts its files hold exactly the rows of an undisturbed run. On real threads; where the test
// moves the clock it decides which readings a checkpoint holds.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tools/millrace/job_testing.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

constexpr int32_t kPartitions = 4;
constexpr int64_t kRows = 7200;  // two hours

std::set<std::string> KeysOf(const std::map<std::string, int>& rows) {
  std::set<std::string> keys;
  for (const auto& [row, times] : rows) keys.insert(row);
  return keys;
}

// What a job has given once it has ended.
struct Outcome {
  Lines minutes;
  Lines hours;
  Lines alerts;
  Lines topic;
  std::set<std::string> direct;
  std::string account;
};

Outcome OutcomeOf(const World& world, const Life& job) {
  Lines topic = world.topic.records;
  std::ranges::sort(topic);
  return {world.LinesOf("minutes"),    world.LinesOf("hours"),
          world.LinesOf("alerts"),     topic,
          KeysOf(world.sinks[3].rows), job.account().Counts().DebugString()};
}

const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    World world;
    world.rows_per_partition = kRows;
    Life job(&world, Nested(), {.partitions = kPartitions});
    EXPECT_EQ(job.Start(), Status::OK());
    EXPECT_EQ(job.Wait(), Status::OK());
    Outcome all = OutcomeOf(world, job);
    EXPECT_EQ(all.minutes.size(), 10u * 120);
    EXPECT_EQ(all.hours.size(), 10u * 2);
    EXPECT_EQ(all.alerts.size(), kPartitions * 72u + 10 * 120 + 10 * 2);
    EXPECT_EQ(all.topic, all.alerts);
    return all;
  }();
  return outcome;
}

class JobRestart : public testing::Test {
 protected:
  JobRestart() {
    world_.rows_per_partition = kRows;
    world_.Release(0);
  }

  LifeOptions ByHand(int32_t parallelism) const {
    return {.parallelism = parallelism, .partitions = kPartitions, .clock = &clock_};
  }
  std::map<TopicPartition, int64_t> All(int64_t offset) const {
    std::map<TopicPartition, int64_t> offsets;
    for (int32_t i = 0; i < kPartitions; ++i) offsets[{"readings", i}] = offset;
    return offsets;
  }
  // Everything up to `rows` is read, and stands in a checkpoint.
  void ReadAndCheckpoint(int64_t rows) {
    world_.Release(rows);
    ASSERT_TRUE(world_.AwaitRead(rows));
    const int64_t before = world_.Look([&] { return world_.seen.checkpoints; });
    clock_.Advance(kEpochInterval);
    ASSERT_TRUE(world_.AwaitCheckpoints(before + 1));
  }
  // The job goes on to its end and has given what an undisturbed one gives.
  void ExpectToEndAsUndisturbed(Life* job) {
    world_.Release(INT64_MAX);
    EXPECT_EQ(job->Wait(), Status::OK());
    job->ExpectBalanced();
    const Outcome outcome = OutcomeOf(world_, *job);
    EXPECT_EQ(outcome.minutes, Undisturbed().minutes);
    EXPECT_EQ(outcome.hours, Undisturbed().hours);
    EXPECT_EQ(outcome.alerts, Undisturbed().alerts);
    EXPECT_EQ(outcome.topic, Undisturbed().topic);
    EXPECT_EQ(outcome.direct, Undisturbed().direct);
    EXPECT_EQ(outcome.account, Undisturbed().account);
  }

  World world_;
  ManualClock clock_;
};

// Before and after.
class JobRestartAt : public JobRestart,
                     public testing::WithParamInterface<std::pair<int32_t, int32_t>> {};

TEST_P(JobRestartAt, KilledAfterACheckpointItReadsAgainFromThere) {
  const auto [before, after] = GetParam();
  Life first(&world_, Nested(), ByHand(before));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(1500);
  ReadAndCheckpoint(3000);
  world_.Release(6000);
  ASSERT_TRUE(world_.AwaitRead(6000));
  first.Kill();
  EXPECT_EQ(world_.seen.checkpoints, 2);

  world_.Release(0);
  Life second(&world_, Nested(), ByHand(after));
  ASSERT_EQ(second.Start(), Status::OK());
  ASSERT_TRUE(world_.Await([&] { return world_.seen.started.size() == size_t(kPartitions); }));
  EXPECT_EQ(world_.Look([&] { return world_.seen.started; }), All(3000));
  ExpectToEndAsUndisturbed(&second);
}

INSTANTIATE_TEST_SUITE_P(, JobRestartAt,
                         testing::Values(std::pair(2, 2), std::pair(2, 3), std::pair(3, 1),
                                         std::pair(1, 4)),
                         [](const auto& of) {
                           return "From" + std::to_string(of.param.first) + "To" +
                                  std::to_string(of.param.second);
                         });

TEST_F(JobRestart, KilledAgainAndAgainWhileItWorks) {
  for (int life = 0; life < 5; ++life) {
    SCOPED_TRACE("life " + std::to_string(life));
    world_.Release(kRows * (life + 1) / 6);
    Life job(&world_, Nested(), {.parallelism = 1 + life % 3, .partitions = kPartitions});
    ASSERT_EQ(job.Start(), Status::OK());
    // Every partition has got further than the life before, for good.
    ASSERT_TRUE(world_.Await([&] {
      return world_.seen.committed.size() == size_t(kPartitions) &&
             std::ranges::all_of(world_.seen.committed, [&](const auto& entry) {
               return entry.second > world_.seen.started.at(entry.first);
             });
    }));
    job.Kill();
  }
  Life last(&world_, Nested(), {.parallelism = 3, .partitions = kPartitions});
  ASSERT_EQ(last.Start(), Status::OK());
  ExpectToEndAsUndisturbed(&last);
}

TEST_F(JobRestart, KilledBeforeAnyCheckpointItBeginsAnew) {
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  world_.Release(3000);
  ASSERT_TRUE(world_.AwaitRead(3000));
  first.Kill();
  EXPECT_EQ(world_.LinesOf("alerts"), Lines());

  Life second(&world_, Nested(), ByHand(2));
  ASSERT_EQ(second.Start(), Status::OK());
  ExpectToEndAsUndisturbed(&second);
  EXPECT_EQ(world_.seen.started, All(0));
}

TEST_F(JobRestart, WhatACheckpointHoldsOfOutputIsPublishedByTheNextStart) {
  world_.sinks[0].paused = world_.sinks[2].paused = world_.sinks[4].paused = true;
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(3000);
  first.Kill();
  EXPECT_EQ(world_.LinesOf("minutes"), Lines());
  EXPECT_EQ(world_.LinesOf("alerts"), Lines());
  EXPECT_EQ(world_.topic.records, Lines());

  // Without reading anything, and without a checkpoint of its own.
  for (Target& sink : world_.sinks) sink.paused = false;
  Life second(&world_, Nested(), ByHand(3));
  ASSERT_EQ(second.Start(), Status::OK());
  const int64_t sealed = second.RestoredRows("sink.2");
  EXPECT_GE(sealed, kPartitions * 30);  // readings of 99; minutes are as the watermark came
  const int64_t records = second.RestoredRows("sink.4");
  ASSERT_TRUE(world_.Await([&] {
    return world_.seen.published["sink.2"] == sealed &&
           int64_t(world_.topic.records.size()) == records;
  }));
  EXPECT_EQ(int64_t(world_.LinesOf("alerts").size()), sealed);
  EXPECT_EQ(world_.Look([&] { return world_.seen.checkpoints; }), 0);
  ExpectToEndAsUndisturbed(&second);
}

// The checkpoint does not know of it: names of files and the topic's registers do.
TEST_F(JobRestart, WhatWasPublishedAfterTheLastCheckpointIsNotPublishedAgain) {
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(3000);
  ASSERT_TRUE(world_.Await([&] { return world_.seen.unpublished_epochs == 0; }));
  first.Kill();
  const Lines alerts = world_.LinesOf("alerts");
  EXPECT_GE(int64_t(alerts.size()), kPartitions * 30);  // readings of 99
  EXPECT_EQ(world_.topic.records.size(), alerts.size());

  Life second(&world_, Nested(), ByHand(3));
  ASSERT_EQ(second.Start(), Status::OK());
  EXPECT_EQ(second.RestoredRows("sink.4"), int64_t(alerts.size()));
  ExpectToEndAsUndisturbed(&second);
}

TEST_F(JobRestart, ARollThatWasCutShortIsFinishedByTheNextStart) {
  TestJob job = Nested();
  std::get<FilesSinkSpec>(job.spec().sinks[2].target).roll_bytes = 1000;  // many files a roll
  world_.sinks[2].batches_max = 5;
  Life first(&world_, job, ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(3000);
  const Status status = first.Wait();
  EXPECT_EQ(status.message(), "sink.2: the power is off");
  EXPECT_EQ(CodeOf(status), "cut_short");
  const size_t written = world_.LinesOf("alerts").size();
  EXPECT_GT(written, 0u);

  world_.sinks[2].batches_max = INT64_MAX;
  Life second(&world_, job, ByHand(2));
  ASSERT_EQ(second.Start(), Status::OK());
  EXPECT_LT(int64_t(written), second.RestoredRows("sink.2"));
  ExpectToEndAsUndisturbed(&second);
}

TEST_F(JobRestart, AfterAFailureOfItsSourceItGoesOn) {
  world_.poll_fails_at = 5000;
  world_.poll_fails = ExternalError("broker_unreachable", "away", Retry::kNo);
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(4000);
  world_.Release(INT64_MAX);
  EXPECT_EQ(CodeOf(first.Wait()), "broker_unreachable");

  world_.poll_fails_at = INT64_MAX;
  Life second(&world_, Nested(), ByHand(2));
  ASSERT_EQ(second.Start(), Status::OK());
  ExpectToEndAsUndisturbed(&second);
  EXPECT_EQ(world_.seen.started, All(4000));
}

// Open windows are left to the next start, and files that were taken away do not come back.
TEST_F(JobRestart, StoppedItGoesOnWhereItWasAndEndsOnce) {
  world_.Release(3000);
  Life first(&world_, Nested(), {.parallelism = 2, .partitions = kPartitions});
  ASSERT_EQ(first.Start(), Status::OK());
  ASSERT_TRUE(world_.AwaitRead(3000));
  first.RequestStop();
  EXPECT_EQ(first.Wait(), Status::OK());
  first.ExpectBalanced();
  EXPECT_GE(world_.seen.checkpoints, 1);
  EXPECT_EQ(first.account().streams().at("readings")->rows_in, kPartitions * 3000);
  EXPECT_GE(first.account().streams().at("minutes")->open, kPartitions * 600);
  const Lines minutes = world_.LinesOf("minutes");
  const Lines alerts = world_.LinesOf("alerts");
  EXPECT_EQ(int64_t(minutes.size()), first.account().streams().at("minutes")->rows_out);
  EXPECT_EQ(int64_t(alerts.size()), first.account().SinkRows()["sink.2"]);
  for (const char* taken : {"minutes", "alerts"}) {
    std::filesystem::rename(world_.folder.Path("out/" + std::string(taken)),
                            world_.folder.Path("taken-" + std::string(taken)));
  }

  Life second(&world_, Nested(), {.parallelism = 3, .partitions = kPartitions});
  ASSERT_EQ(second.Start(), Status::OK());
  world_.Release(INT64_MAX);
  EXPECT_EQ(second.Wait(), Status::OK());
  EXPECT_EQ(world_.seen.started, All(3000));
  Outcome outcome = OutcomeOf(world_, second);
  outcome.minutes.insert(outcome.minutes.end(), minutes.begin(), minutes.end());
  outcome.alerts.insert(outcome.alerts.end(), alerts.begin(), alerts.end());
  std::ranges::sort(outcome.minutes);
  std::ranges::sort(outcome.alerts);
  EXPECT_EQ(outcome.minutes, Undisturbed().minutes);
  EXPECT_EQ(outcome.hours, Undisturbed().hours);
  EXPECT_EQ(outcome.alerts, Undisturbed().alerts);
  EXPECT_EQ(outcome.topic, Undisturbed().topic);
  EXPECT_EQ(outcome.account, Undisturbed().account);
  for (const auto& [row, times] : world_.sinks[3].rows) EXPECT_EQ(times, 1) << row;

  Life third(&world_, Nested(), {.parallelism = 2, .partitions = kPartitions});
  ASSERT_EQ(third.Start(), Status::OK());
  EXPECT_TRUE(third.already_finished());
  EXPECT_EQ(third.account().Counts().DebugString(), Undisturbed().account);
}

TEST_F(JobRestart, AStopThatIsCutOffIsMadeUpForByTheNextStart) {
  for (const size_t sink : {0, 1, 2, 4}) world_.sinks[sink].paused = true;
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  world_.Release(6000);
  ASSERT_TRUE(world_.AwaitRead(6000));
  first.RequestStop();
  ASSERT_TRUE(world_.AwaitCheckpoints(1));
  EXPECT_EQ(world_.Look([&] { return world_.seen.ended; }), std::nullopt);
  first.Kill();
  EXPECT_EQ(world_.LinesOf("alerts"), Lines());

  for (Target& sink : world_.sinks) sink.paused = false;
  Life second(&world_, Nested(), ByHand(1));
  ASSERT_EQ(second.Start(), Status::OK());
  ExpectToEndAsUndisturbed(&second);
  EXPECT_EQ(world_.seen.started, All(6000));
}

// A savepoint has all of its output published, and its end begins a new generation.
TEST_F(JobRestart, FromASavepointItGoesOn) {
  Life first(&world_, Nested(), ByHand(2));
  ASSERT_EQ(first.Start(), Status::OK());
  ReadAndCheckpoint(1500);
  world_.Release(3000);
  ASSERT_TRUE(world_.AwaitRead(3000));
  first.RequestSavepoint("before");
  ASSERT_TRUE(world_.Await([&] { return world_.seen.savepoints.contains("before"); }));
  EXPECT_EQ(world_.Look([&] { return world_.seen.savepoints.at("before"); }), Status::OK());
  world_.Release(5000);
  ASSERT_TRUE(world_.AwaitRead(5000));
  first.Kill();

  LifeOptions options = ByHand(3);
  options.savepoint = "before";
  Life second(&world_, Nested(), options);
  ASSERT_EQ(second.Start(), Status::OK());
  ExpectToEndAsUndisturbed(&second);
  EXPECT_EQ(world_.seen.started, All(3000));
}

}  // namespace
}  // namespace millrace
