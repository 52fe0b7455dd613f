// A job's actors together, on real threads, between input and targets that stand in for the world:
// many partitions, windows over windows, back-pressure, stops and failures. What a restart does is
// in job_restart_test.cpp.
#include "tools/millrace/job_actors.h"

#include <gtest/gtest.h>

#include <new>

#include "tools/millrace/job_testing.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

EventTime At(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

std::string WindowLine(int64_t start, int64_t size, int64_t device) {
  return "{\"window_start\":\"" + FormatTimestamp(At(start)) + "\",\"window_end\":\"" +
         FormatTimestamp(At(start + size)) + "\",\"device_id\":\"d" + std::to_string(device) +
         "\",";
}

// The rows of Nested() over `rows` readings in each of `partitions`.
Lines ExpectedMinutes(int64_t partitions, int64_t rows) {
  Lines lines;
  for (int64_t start = 0; start < rows; start += 60) {
    for (int64_t device = 0; device < 10; ++device) {
      int64_t hottest = 0;
      for (int64_t row = start + device; row < start + 60; row += 10) {
        hottest = std::max(hottest, row % 100);
      }
      lines.push_back(
          WindowLine(start, 60, device) + "\"records\":" + std::to_string(partitions * 6) +
          ",\"hottest\":" + std::to_string(hottest) +
          ",\"partitions\":" + std::to_string(partitions * (partitions - 1) / 2 * 6) + "}");
    }
  }
  std::ranges::sort(lines);
  return lines;
}

Lines ExpectedHours(int64_t partitions, int64_t rows) {
  Lines lines;
  for (int64_t start = 0; start < rows; start += 3600) {
    for (int64_t device = 0; device < 10; ++device) {
      lines.push_back(WindowLine(start, 3600, device) +
                      "\"minutes\":60,\"records\":" + std::to_string(partitions * 360) +
                      ",\"hottest\":" + std::to_string(90 + device) + "}");
    }
  }
  std::ranges::sort(lines);
  return lines;
}

// What is projected of readings, written at once.
TestJob Stateless() {
  TestJob job;
  job.Readings().Query("all", "SELECT device_id, observed_at, temperature, humidity FROM readings");
  job.Sink("all");
  return job;
}

TEST(JobActors, ManyPartitionsThroughWindowsOverWindowsWithNothingLost) {
  constexpr int32_t kPartitions = 64;
  constexpr int64_t kRows = 7200;  // two hours
  World world;
  world.rows_per_partition = kRows;
  Life job(&world, Nested(), {.parallelism = 8, .partitions = kPartitions});
  ASSERT_EQ(job.Start(), Status::OK());
  EXPECT_EQ(job.Wait(), Status::OK());
  EXPECT_EQ(world.LinesOf("minutes"), ExpectedMinutes(kPartitions, kRows));
  EXPECT_EQ(world.LinesOf("hours"), ExpectedHours(kPartitions, kRows));
  // One reading in a hundred has 99.
  constexpr int64_t kAlerts = kPartitions * kRows / 100 + 10 * 120 + 10 * 2;
  const Lines alerts = world.LinesOf("alerts");
  EXPECT_EQ(int64_t(alerts.size()), kAlerts);
  EXPECT_EQ(std::ranges::adjacent_find(alerts), alerts.end());
  Lines records = world.topic.records;
  std::ranges::sort(records);
  EXPECT_EQ(records, alerts);
  EXPECT_EQ(int64_t(world.sinks[3].rows.size()), kAlerts);
  EXPECT_EQ(world.sinks[3].rows_written, kAlerts);
  EXPECT_EQ(world.LinesOf("letters"), Lines());

  job.ExpectBalanced();
  EXPECT_EQ(job.account().streams().at("readings")->rows_in, kPartitions * kRows);
  EXPECT_EQ(job.account().streams().at("minutes")->counted, kPartitions * kRows);
  EXPECT_EQ(job.account().streams().at("minutes")->rows_out, 10 * 120);
  EXPECT_EQ(job.account().streams().at("hours")->counted, 10 * 120);
  EXPECT_EQ(job.account().streams().at("hours")->rows_out, 10 * 2);
  EXPECT_EQ(
      job.account().SinkRows(),
      (std::map<std::string, int64_t>{
          {"sink.0", 10 * 120}, {"sink.1", 10 * 2}, {"sink.2", kAlerts}, {"sink.4", kAlerts}}));
}

TEST(JobActors, TwoSourcesOfOneSinkEndTogether) {
  TestJob test;
  test.Readings();
  const auto other = std::get<SourceStreamSpec>(test.spec().streams[0].kind);
  test.Stream("others", other);
  test.Alert("A", "readings", "temperature > 98").Alert("B", "others", "temperature > 97");
  test.Sink("");
  ToFiles(&test, 0, Micros(0));
  World world;
  world.rows_per_partition = 10'000;
  Life job(&world, test, {.partitions = 3});
  ASSERT_EQ(job.Start(), Status::OK());
  EXPECT_EQ(job.Wait(), Status::OK());
  job.ExpectBalanced();
  EXPECT_EQ(job.account().Alerts(), (std::map<std::string, int64_t>{{"A", 300}, {"B", 600}}));
  const Lines alerts = world.LinesOf("alerts");
  EXPECT_EQ(alerts.size(), 900u);
  EXPECT_EQ(std::ranges::adjacent_find(alerts), alerts.end());
}

TEST(JobActors, DeadLettersStandInTheirFilesOnce) {
  TestJob test;
  test.Readings().Query("q", "SELECT 1 / (temperature - 5) AS x FROM readings").Sink("q");
  ToFiles(&test, 0, Micros(0));
  World world;
  world.rows_per_partition = 1000;
  Life job(&world, test, {.partitions = 3});
  ASSERT_EQ(job.Start(), Status::OK());
  EXPECT_EQ(job.Wait(), Status::OK());
  job.ExpectBalanced();
  Lines expected;
  for (int partition = 0; partition < 3; ++partition) {
    for (int offset = 5; offset < 1000; offset += 100) {
      expected.push_back("\"partition\":" + std::to_string(partition) +
                         ",\"offset\":" + std::to_string(offset) + ",");
    }
  }
  const Lines letters = world.LinesOf("letters");
  EXPECT_EQ(letters.size(), expected.size());
  for (const std::string& place : expected) {
    EXPECT_EQ(std::ranges::count_if(letters,
                                    [&](const std::string& line) {
                                      return line.find(place) != std::string::npos &&
                                             line.find("division_by_zero") != std::string::npos;
                                    }),
              1)
        << place;
  }
  EXPECT_EQ(world.LinesOf("q").size(), 3u * 990);
  EXPECT_EQ(job.account().SinkRows(),
            (std::map<std::string, int64_t>{{"dead_letters", 30}, {"sink.0", 3 * 990}}));
}

// What was read for the sink, in bytes on its channel; all frames are as large as the first.
int64_t BytesRead(const World& world) {
  const Target& sink = world.sinks[0];
  return sink.first_rows == 0 ? 0 : world.seen.rows_read * sink.first_bytes / sink.first_rows;
}

TEST(JobActors, APausedSinkStopsTheReaderBeforeMuchIsOnItsWay) {
  constexpr int64_t kRows = 400'000;
  World world;
  world.rows_per_partition = kRows;
  world.sinks[0].paused = true;
  Life job(&world, Stateless(), {.parallelism = 1, .partitions = 1});
  ASSERT_EQ(job.Start(), Status::OK());
  ASSERT_TRUE(world.Await([&] { return BytesRead(world) >= kChannelBytesMax; }));
  ASSERT_TRUE(world.AwaitReaderTicks(2));
  const int64_t rows_read = world.Look([&] { return world.seen.rows_read; });
  EXPECT_LT(rows_read, kRows);
  // A poll more than fits, at most.
  EXPECT_LT(world.Look([&] { return BytesRead(world) - world.sinks[0].first_bytes; }),
            kChannelBytesMax);
  // It has turns, but does not read.
  ASSERT_TRUE(world.AwaitReaderTicks(2));
  EXPECT_EQ(world.Look([&] { return world.seen.rows_read; }), rows_read);
  EXPECT_EQ(world.Look([&] { return world.sinks[0].rows_written; }), 0);
  EXPECT_EQ(world.Look([&] { return world.seen.checkpoints; }), 0);

  world.Change([&] { world.sinks[0].paused = false; });
  EXPECT_EQ(job.Wait(), Status::OK());
  EXPECT_EQ(world.sinks[0].rows_written, kRows);
  EXPECT_EQ(int64_t(world.sinks[0].rows.size()), kRows);
  job.ExpectBalanced();
}

// A slow target does not hold the channel: its output waits on disk, and only when that is too much
// do the readers pause.
TEST(JobActors, ReadersPauseWhileTooMuchOutputWaitsToBePublished) {
  TestJob test = Stateless();
  ToFiles(&test, 0, Micros(0));
  test.spec().checkpoint.outbox_bytes_max = 64 << 10;
  World world;
  world.rows_per_partition = 20'000;
  world.sinks[0].paused = true;
  world.Release(10'000);
  ManualClock clock;
  Life job(&world, test, {.parallelism = 1, .partitions = 2, .clock = &clock});
  ASSERT_EQ(job.Start(), Status::OK());
  ASSERT_TRUE(world.AwaitRead(10'000));
  clock.Advance(kEpochInterval);
  ASSERT_TRUE(world.AwaitCheckpoints(1));
  // The next one is due. Once that was told twice the readers have been told to pause.
  clock.Advance(kEpochInterval);
  ASSERT_TRUE(world.Await([&] { return world.seen.blocked[Blocked::kOutbox] >= 2; }));
  ASSERT_TRUE(world.AwaitReaderTicks(2));
  world.Release(20'000);
  ASSERT_TRUE(world.AwaitReaderTicks(2));
  EXPECT_EQ(world.Look([&] { return world.seen.rows_read; }), 2 * 10'000);
  EXPECT_EQ(world.LinesOf("all"), Lines());

  world.Change([&] { world.sinks[0].paused = false; });
  EXPECT_EQ(job.Wait(), Status::OK());
  EXPECT_EQ(world.seen.blocked.size(), 1u);
  const Lines lines = world.LinesOf("all");
  EXPECT_EQ(lines.size(), 2u * 20'000);
  EXPECT_EQ(std::ranges::adjacent_find(lines), lines.end());
  job.ExpectBalanced();
}

TEST(JobActors, AStopDuringBackPressureEndsWithEveryRowWritten) {
  TestJob test = Stateless();
  test.Query("minutes",
             "SELECT window_end, count(*) AS records FROM tumble(readings, "
             "size => INTERVAL '1 minute') GROUP BY window_start, window_end");
  test.Sink("minutes");
  ToFiles(&test, 1, Micros(0));
  World world;
  world.rows_per_partition = INT64_MAX;
  world.sinks[0].paused = true;
  Life job(&world, test, {.parallelism = 1, .partitions = 2, .bounded = false});
  ASSERT_EQ(job.Start(), Status::OK());
  ASSERT_TRUE(world.Await([&] { return BytesRead(world) >= kChannelBytesMax; }));
  job.RequestStop();
  world.Change([&] { world.sinks[0].paused = false; });
  EXPECT_EQ(job.Wait(), Status::OK());
  job.ExpectBalanced();
  EXPECT_GE(world.seen.checkpoints, 1);
  const StreamAccount& minutes = *job.account().streams().at("minutes");
  EXPECT_EQ(world.sinks[0].rows_written, world.seen.rows_read);
  EXPECT_EQ(int64_t(world.sinks[0].rows.size()), world.seen.rows_read);
  EXPECT_EQ(job.account().streams().at("readings")->rows_in, world.seen.rows_read);
  EXPECT_GT(minutes.open, 0);
  EXPECT_EQ(int64_t(world.LinesOf("minutes").size()), minutes.rows_out);
}

TEST(JobActors, AStopBeforeAnythingWasReadEnds) {
  World world;
  world.rows_per_partition = INT64_MAX;
  world.Release(0);
  Life job(&world, Nested(), {.bounded = false});
  ASSERT_EQ(job.Start(), Status::OK());
  job.RequestStop();
  EXPECT_EQ(job.Wait(), Status::OK());
  EXPECT_GE(world.seen.checkpoints, 1);
  EXPECT_EQ(job.account().streams().at("readings")->rows_in, 0);
}

Status NoSpace() { return ExternalError("disk_full", "no space", Retry::kNo); }

// How the endless job ends.
Status EndOf(World* world, const TestJob& test) {
  world->rows_per_partition = INT64_MAX;
  Life job(world, test, {.bounded = false});
  EXPECT_EQ(job.Start(), Status::OK());
  return job.Wait();
}

TEST(JobActors, AFileSinkThatFailsEndsTheJobWithItsReason) {
  World world;
  world.sinks[0].fails = NoSpace;
  const Status status = EndOf(&world, Nested());
  EXPECT_EQ(status.message(), "sink.0: no space");
  EXPECT_EQ(CodeOf(status), "disk_full");
  EXPECT_EQ(world.LinesOf("minutes"), Lines());
}

TEST(JobActors, ADirectSinkThatFailsEndsTheJobWithItsReason) {
  World world;
  world.sinks[3].fails = NoSpace;
  const Status status = EndOf(&world, Nested());
  EXPECT_EQ(status.message(), "sink.3: no space");
  EXPECT_EQ(CodeOf(status), "disk_full");
}

TEST(JobActors, DeadLettersThatCannotBeWrittenEndTheJob) {
  TestJob test;
  test.Readings().Query("q", "SELECT 1 / (temperature - 5) AS x FROM readings").Sink("q");
  World world;
  world.letters.fails = NoSpace;
  const Status status = EndOf(&world, test);
  EXPECT_EQ(status.message(), "dead_letters: no space");
  EXPECT_EQ(CodeOf(status), "disk_full");
}

TEST(JobActors, AnExceptionOfALibraryEndsTheJob) {
  World world;
  world.sinks[0].fails = []() -> Status { throw std::bad_alloc(); };
  const Status status = EndOf(&world, Nested());
  EXPECT_EQ(status.message(), "sink.0: out of memory");
  EXPECT_EQ(CodeOf(status), "out_of_memory");
}

TEST(JobActors, ASourceThatFailsEndsTheJobWithItsReason) {
  World world;
  world.poll_fails_at = 5000;
  world.poll_fails = ExternalError("topic_deleted", "gone", Retry::kNo);
  const Status status = EndOf(&world, Nested());
  EXPECT_TRUE(status.message() == "readings.reader.0: gone" ||
              status.message() == "readings.reader.1: gone")
      << status.message();
  EXPECT_EQ(CodeOf(status), "topic_deleted");
}

}  // namespace
}  // namespace millrace
