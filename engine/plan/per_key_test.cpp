// Watermarks a key (event_time.per_key): which windows close by them, and what is refused because
// it would wait for keys that are offline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

// `readings` with a watermark a device.
TestJob PerDevice(std::vector<std::string> key = {"device_id"}) {
  TestJob job;
  job.Readings();
  PerKeySpec per_key;
  for (std::string& column : key) per_key.key.push_back({std::move(column), {5, 9}});
  per_key.offline_for = std::chrono::hours(2);
  std::get<SourceStreamSpec>(job.spec().streams[0].kind).event_time->per_key = std::move(per_key);
  return job;
}

const WindowAggregateNode& WindowOf(const JobPlan& plan, const std::string& stream) {
  return std::get<WindowAggregateNode>(NodeNamed(plan, stream + ".window").kind);
}
QueryStreamSpec& QueryOf(TestJob* job, size_t stream) {
  return std::get<QueryStreamSpec>(job->spec().streams[stream].kind);
}

const std::string kMinutes =
    "SELECT window_end, device_id, count(*) AS n FROM tumble(readings, INTERVAL '1 minute') "
    "GROUP BY window_end, device_id";

TEST(PerKey, WindowsByTheKeyCloseByItsWatermark) {
  TestJob job = PerDevice();
  job.Query("metrics",
            "SELECT window_end, device_id, avg(temperature / level) AS x "
            "FROM tumble(readings, INTERVAL '1 minute') WHERE ok AND humidity > 10 "
            "GROUP BY window_end, device_id")
      .Sink("metrics");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(job.Messages(), "");
  const WindowAggregateNode& window = WindowOf(plan, "metrics");
  ASSERT_TRUE(window.clock.has_value());
  EXPECT_EQ(window.clock->keys, window.keys);
  EXPECT_EQ(window.clock->max_delay, std::chrono::minutes(10));
  EXPECT_EQ(window.clock->offline_for, std::chrono::hours(2));
  // Readings that WHERE leaves out come along, and nothing that may fail is computed of them.
  EXPECT_EQ(FormatPlan(plan), R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision, humidity double precision, level integer, ok boolean (6 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
    watermark: one a device_id, offline after 2h
  project metrics.input
      columns: observed_at, device_id, CASE WHEN ok AND (humidity > 10.0) THEN temperature / level::double precision ELSE NULL END AS temperature / level::double precision, CASE WHEN ok AND (humidity > 10.0) THEN true ELSE false END AS passes
      computed once: ok AND (humidity > 10.0)
    exchange by hash(device_id)
    window metrics.window: tumble 1m
        event time: observed_at
        closes: by the watermark of each device_id, or the fleet's less 2h; rows without passes only move it
        keys: device_id
        aggregates: avg(temperature / level::double precision)
      project metrics.output
          columns: window_end, device_id, avg(temperature / level::double precision) AS x
        sink sink.0: console
            keys: device_id
            time: window_end
)");
  EXPECT_EQ(plan.UpstreamsOf(NodeNamed(plan, "metrics.window").id).front().delay, Micros(0));
  EXPECT_EQ(plan.UpstreamsOf(NodeNamed(plan, "sink.0").id).front().delay, std::chrono::hours(2));
}

TEST(PerKey, KeysThatAreFinerHaveTheClockOfTheirDevice) {
  TestJob job = PerDevice();
  job.Query("metrics",
            "SELECT window_end, level, device_id, count(*) AS n "
            "FROM hop(readings, INTERVAL '1 minute', INTERVAL '10 seconds') "
            "GROUP BY window_end, level, device_id")
      .Sink("metrics");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const WindowAggregateNode& window = WindowOf(plan, "metrics");
  ASSERT_TRUE(window.clock.has_value());
  EXPECT_EQ(window.clock->keys, (std::vector<int>{window.keys[1]}));
  EXPECT_EQ(window.clock->passes, -1);
}

TEST(PerKey, WindowsOfWindowsGoByTheirRows) {
  TestJob job = PerDevice();
  job.Query("minutes", kMinutes)
      .Query("plain", "SELECT device_id AS d, window_end, n FROM minutes WHERE n > 1")
      .Query("hours",
             "SELECT window_end, d, sum(n) AS n FROM tumble(plain, INTERVAL '1 hour') "
             "GROUP BY window_end, d")
      .Query("levels",
             "SELECT window_end, device_id, level, count(*) AS n "
             "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, device_id, level")
      .Query("of_levels",
             "SELECT window_end, device_id, sum(n) AS n FROM tumble(levels, INTERVAL '1 hour') "
             "GROUP BY window_end, device_id")
      .Sink("hours")
      .Sink("of_levels");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  // A minute of a device is one row: what is of its last microsecond closes with it. Of one that is
  // cut by level there may be more.
  EXPECT_EQ(WindowOf(plan, "hours").clock->max_delay, Micros(-1));
  EXPECT_EQ(WindowOf(plan, "of_levels").clock->max_delay, Micros(0));
  EXPECT_EQ(WindowOf(plan, "hours").clock->offline_for, Micros(0));
  EXPECT_EQ(plan.UpstreamsOf(NodeNamed(plan, "hours.window").id).front().delay,
            std::chrono::hours(2));
}

TEST(PerKey, WhatWouldWaitForKeysThatAreOfflineIsRefused) {
  const auto messages = [](const std::string& sql, bool accepts) {
    TestJob job = PerDevice();
    job.Query("minutes", kMinutes).Query("q", sql).Sink("q");
    if (accepts) QueryOf(&job, 2).accept_delay = SourcePlace{8, 7};
    return job.Messages();
  };
  const std::string fleet =
      "SELECT window_end, count(*) AS n FROM tumble(readings, INTERVAL '1 minute') "
      "GROUP BY window_end";
  const std::string of_minutes =
      "SELECT window_end, sum(n) AS n FROM tumble(minutes, INTERVAL '1 hour') GROUP BY window_end";
  const std::string warning =
      "2:5 warning: nothing uses stream 'minutes'; add a sink, an alert or a query that reads it\n";
  EXPECT_EQ(messages(fleet, false),
            "20:46 what follows waits offline_for, 2h: each key of 'readings' has a watermark of "
            "its own, and it is grouped without device_id; group by device_id, or say "
            "accept_delay: true\n" +
                warning);
  EXPECT_EQ(messages(fleet, true), warning);
  EXPECT_EQ(messages(of_minutes, false),
            "20:44 what follows waits offline_for, 2h: each key of 'readings' has a watermark of "
            "its own, and it is grouped without device_id; group by device_id, or say "
            "accept_delay: true\n");
  EXPECT_EQ(messages(of_minutes, true), "");
  const std::string over =
      "SELECT device_id, n, lag(n) OVER (PARTITION BY device_id ORDER BY "
      "window_end) AS before FROM minutes";
  EXPECT_EQ(messages(over, false),
            "20:94 what follows waits offline_for, 2h: each key of 'readings' has a watermark of "
            "its own, and OVER puts rows in order by the fleet's; say accept_delay: true\n");
  EXPECT_EQ(messages(over, true), "");
  EXPECT_EQ(messages("SELECT level, lag(level) OVER (PARTITION BY device_id ORDER BY observed_at) "
                     "AS x FROM readings",
                     true),
            "20:87 OVER does not go with event_time.per_key of 'readings'; write it over windows "
            "by the key, with accept_delay: true\n" +
                warning);
}

// A window without the key waits for every device that is not offline yet, as with lateness that is
// allowed.
TEST(PerKey, AcceptedDelayIsTheWindows) {
  TestJob job = PerDevice();
  job.Query("fleet",
            "SELECT window_end, count(*) AS n FROM tumble(readings, INTERVAL '1 minute') "
            "GROUP BY window_end")
      .Query("hours",
             "SELECT window_end, sum(n) AS n FROM tumble(fleet, INTERVAL '1 hour') "
             "GROUP BY window_end")
      .Sink("hours");
  QueryOf(&job, 1).accept_delay = SourcePlace{8, 7};
  QueryOf(&job, 1).allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_FALSE(WindowOf(plan, "fleet").clock.has_value());
  EXPECT_EQ(WindowOf(plan, "fleet").allowed_lateness, std::chrono::minutes(125));
  EXPECT_FALSE(WindowOf(plan, "hours").clock.has_value());
  EXPECT_EQ(WindowOf(plan, "hours").allowed_lateness, Micros(0));
}

TEST(PerKey, AcceptDelayWhereNothingIsDelayedIsToldSo) {
  const auto messages = [](TestJob job, const std::string& sql) {
    job.Query("q", sql).Sink("q");
    QueryOf(&job, 1).accept_delay = SourcePlace{8, 7};
    return job.Messages();
  };
  TestJob without;
  without.Readings();
  EXPECT_EQ(messages(without, kMinutes),
            "8:7 nothing is delayed here: no watermark a key is above 'q'\n");
  EXPECT_EQ(messages(PerDevice(), "SELECT device_id FROM readings"),
            "8:7 accept_delay needs a window or OVER in this query\n");
  EXPECT_EQ(messages(PerDevice(), kMinutes),
            "8:7 nothing is delayed here: 'q' is grouped by the key of 'readings'\n");
}

TEST(PerKey, RefusesWhatClosesAWindowOfAllKeysAtOnce) {
  TestJob top = PerDevice();
  top.Query("q", kMinutes + " ORDER BY n LIMIT 3").Sink("q");
  EXPECT_EQ(top.Messages(),
            "10:57 ORDER BY and LIMIT do not go with windows that close a key at a time; take the "
            "first rows in a stream over this one, with accept_delay: true\n");
  TestJob emits = PerDevice();
  emits.Query("q", kMinutes).Sink("q");
  QueryOf(&emits, 1).changes_every = PlacedDuration{std::chrono::seconds(5), {8, 1}};
  EXPECT_EQ(emits.Messages(),
            "8:1 emit does not go with windows that close a key at a time (per_key of "
            "'readings')\n"
            "8:1 warning: no sink takes the running rows of 'q'; say rows: changes in a kafka or "
            "console sink of it\n");
  TestJob changes = PerDevice();
  changes.Query("q", kMinutes).Sink("q");
  QueryOf(&changes, 1).allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
  changes.spec().sinks[0].rows = SinkRows::kChanges;
  changes.spec().sinks[0].rows_place = {9, 1};
  EXPECT_EQ(changes.Messages(),
            "9:1 rows: changes does not go with windows that close a key at a time, as those of "
            "'q' do (per_key); take final rows\n");
  TestJob panes = PerDevice();
  panes.Query("minutes", kMinutes)
      .Query("fives",
             "SELECT window_end, device_id, count(*) AS n "
             "FROM tumble(readings, INTERVAL '5 minutes') GROUP BY window_end, device_id")
      .Sink("fives");
  QueryOf(&panes, 2).panes_of = PlacedText{"minutes", {7, 1}};
  EXPECT_EQ(panes.Messages(), "7:1 panes_of does not go with event_time.per_key\n");
}

TEST(PerKey, AColumnThatIsNotThereIsTold) {
  TestJob job = PerDevice({"devise_id"});
  job.Query("q", kMinutes).Sink("q");
  EXPECT_EQ(job.Messages(), "5:9 unknown column 'devise_id'; did you mean 'device_id'?\n");
}

TEST(PerKey, TwoColumnsAreAKeyTogether) {
  TestJob job = PerDevice({"device_id", "level"});
  job.Query("q", kMinutes).Sink("q");
  EXPECT_THAT(job.Messages(), testing::HasSubstr("it is grouped without level; group by level"));
}

}  // namespace
}  // namespace millrace
