// OVER in plans: what becomes of a query, what is refused, and docs/sql.md's list of functions.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/plan/documented_testing.h"
#include "engine/plan/over_functions.h"
#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

TestJob JobWith(const std::string& sql) {
  TestJob job;
  job.Readings().Query("q", sql).Sink("q");
  return job;
}

// Of one select item of a query over `readings`.
std::string Messages(const std::string& item) {
  return JobWith("SELECT observed_at, " + item + " AS x\nFROM readings").Messages();
}

TEST(Over, ShowsItsNodes) {
  TestJob job = JobWith(
      "SELECT device_id, observed_at, temperature,\n"
      "  (temperature - avg(temperature) OVER w) / nullif(stddev_samp(temperature) OVER w, 0) AS "
      "z,\n"
      "  temperature - lag(temperature, 2, 0) OVER (PARTITION BY device_id ORDER BY observed_at)\n"
      "    AS change,\n"
      "  count(*) FILTER (WHERE ok) OVER\n"
      "    (PARTITION BY device_id ORDER BY observed_at RANGE '5 minutes' PRECEDING) AS good\n"
      "FROM readings WHERE level > 1\n"
      "WINDOW w AS (PARTITION BY device_id ORDER BY observed_at ROWS 99 PRECEDING)");
  EXPECT_EQ(job.Messages(), "");
  EXPECT_EQ(FormatPlan(job.Plan()),
            R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision, level integer, ok boolean (5 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project q.input
      filter: level > 1
      columns: observed_at, device_id, temperature, 0.0, ok
    exchange by hash(device_id)
    over q.over: rows in the order of event time
        event time: observed_at
        keys: device_id
        functions: avg(temperature) OVER (ROWS BETWEEN 99 PRECEDING AND CURRENT ROW), stddev_samp(temperature) OVER (ROWS BETWEEN 99 PRECEDING AND CURRENT ROW), lag(temperature, 2, 0.0), count(*) FILTER (WHERE ok) OVER (RANGE BETWEEN 5m PRECEDING AND CURRENT ROW)
      project q.output
          columns: device_id, observed_at, temperature, (temperature - avg(temperature) OVER (ROWS BETWEEN 99 PRECEDING AND CURRENT ROW)) / nullif(stddev_samp(temperature) OVER (ROWS BETWEEN 99 PRECEDING AND CURRENT ROW), 0.0) AS z, temperature - lag(temperature, 2, 0.0) AS change, count(*) FILTER (WHERE ok) OVER (RANGE BETWEEN 5m PRECEDING AND CURRENT ROW) AS good
        sink sink.0: console
            keys: device_id
            time: observed_at
)");
}

// What tells a sensor's health shares what it is computed of, also with what the user wrote.
TEST(Over, ShowsWhatHealthIsComputedOf) {
  TestJob job = JobWith(
      "SELECT device_id, observed_at, lag(temperature) OVER w AS before,\n"
      "  rate_of_change(temperature) OVER w AS rate, gap_seconds() OVER w AS gap,\n"
      "  is_sudden_change(temperature, level) OVER w AS jump,\n"
      "  is_stuck(temperature, 10) OVER w AS stuck, is_stuck(temperature, '1 h') OVER w AS stale,\n"
      "  unchanged_seconds(temperature) OVER w AS seconds, is_silent('5 min') OVER w AS silent,\n"
      "  is_out_of_range(temperature, -40, 85) AS out_of_range\n"
      "FROM readings WINDOW w AS (PARTITION BY device_id ORDER BY observed_at)");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const PlanNode& over = NodeNamed(plan, "q.over");
  std::vector<std::string> names;
  for (const Field& field : over.output.fields) names.push_back(field.name);
  const std::vector<std::string> expected = {"device_id",
                                             "observed_at",
                                             "temperature",
                                             "level",
                                             "lag(temperature)",
                                             "lag(observed_at)",
                                             "unchanged_rows(temperature)",
                                             "unchanged_since(temperature)",
                                             "is_silent(5m)"};
  EXPECT_EQ(names, expected);
  EXPECT_TRUE(std::get<OverNode>(over.kind).looks_ahead());
  std::vector<Type> types;
  for (const Field& field : NodeNamed(plan, "q.output").output.fields) types.push_back(field.type);
  using enum Type;
  EXPECT_EQ(types, (std::vector<Type>{kText, kTimestamp, kDouble, kDouble, kDouble, kBoolean,
                                      kBoolean, kBoolean, kDouble, kBoolean, kBoolean}));
}

TEST(Over, ComputesTheSameCallOnce) {
  TestJob job = JobWith(
      "SELECT observed_at, sum(level) OVER w AS a, sum(level) OVER (ORDER BY observed_at) AS b,\n"
      "  row_number() OVER w AS c, row_number() OVER (w ROWS 3 PRECEDING) AS d\n"
      "FROM readings WINDOW w AS (ORDER BY observed_at)");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const auto& over = std::get<OverNode>(NodeNamed(plan, "q.over").kind);
  ASSERT_EQ(over.calls.size(), 2u);
  EXPECT_EQ(over.keys, std::vector<int>{});
  EXPECT_FALSE(over.looks_ahead());
  EXPECT_FALSE(plan.WaitsForRowsAhead(NodeNamed(plan, "sink.0").id));
  EXPECT_EQ(plan.OwnersOf(NodeNamed(plan, "sink.0").id), std::vector{NodeNamed(plan, "q.over").id});
  const KeyedInput keyed = KeyedInputOf(NodeNamed(plan, "q.over"));
  EXPECT_EQ(keyed.event_time, over.event_time);
  EXPECT_EQ(keyed.pane, Micros(1));
}

// Behind a window a row's time is the end of its window, less a microsecond.
TEST(Over, ReadsWindowsAndIsReadByThem) {
  TestJob job;
  job.Readings()
      .Query("minutes",
             "SELECT window_end, device_id, avg(temperature) AS t\n"
             "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, device_id")
      .Query("steps",
             "SELECT window_end, device_id, t - lag(t) OVER (PARTITION BY device_id\n"
             "  ORDER BY window_end) AS step FROM minutes")
      .Query("hours",
             "SELECT window_end, max(step) AS step\n"
             "FROM tumble(steps, INTERVAL '1 hour') GROUP BY window_end")
      .Sink("hours");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const PlanNode& over = NodeNamed(plan, "steps.over");
  EXPECT_EQ(NodeNamed(plan, "steps.input").output.fields[0].name, "event_time");
  EXPECT_EQ(over.output.fields[size_t(over.window_end)].name, "window_end");
  EXPECT_EQ(plan.OwnersOf(NodeNamed(plan, "hours.input").id), std::vector{over.id});
}

// An alert on rows is known by all columns: where they came from is lost.
TEST(Over, AlertsAreKnownByTheRow) {
  TestJob job = JobWith(
      "SELECT device_id, observed_at, temperature - lag(temperature) OVER (PARTITION BY\n"
      "device_id ORDER BY observed_at) AS step FROM readings");
  job.Alert("Jump", "q", "step > 5").Sink("");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const auto& alert = std::get<AlertNode>(NodeNamed(plan, "q.alerts").kind);
  EXPECT_TRUE(alert.of_row);
  EXPECT_FALSE(alert.windowed);
  EXPECT_EQ(alert.keys, std::vector<int>{0});
  EXPECT_EQ(alert.time_column, 1);
}

TEST(Over, WaitsWhereItLooksAhead) {
  for (const char* ahead :
       {"lead(level) OVER (ORDER BY observed_at)",
        "sum(level) OVER (ORDER BY observed_at ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING)",
        "sum(level) OVER (ORDER BY observed_at RANGE BETWEEN '1 min' PRECEDING AND '1 s' "
        "FOLLOWING)"}) {
    TestJob job = JobWith("SELECT observed_at, " + std::string(ahead) + " AS x FROM readings");
    EXPECT_EQ(job.Messages(), "") << ahead;
    const JobPlan plan = job.Plan();
    EXPECT_TRUE(std::get<OverNode>(NodeNamed(plan, "q.over").kind).looks_ahead()) << ahead;
    EXPECT_TRUE(plan.WaitsForRowsAhead(NodeNamed(plan, "sink.0").id)) << ahead;
  }
}

TEST(Over, TellsMistakesByPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"row_number() OVER ()",
       "10:39 OVER needs ORDER BY and the event time; write ORDER BY observed_at\n"},
      {"sum(level) OVER (ORDER BY observed_at DESC)",
       "10:47 rows come in ascending order of event time only; write ORDER BY observed_at\n"},
      {"sum(level) OVER (ORDER BY observed_at, level)",
       "10:60 OVER is ordered by the event time alone; rows of one time are in the order of all "
       "columns that the query uses\n"},
      {"sum(level) OVER (ORDER BY level)",
       "10:47 OVER orders rows by their event time, 'observed_at'; write ORDER BY observed_at\n"},
      {"sum(level) OVER (ORDER BY observed_at GROUPS 1 PRECEDING)",
       "10:37 GROUPS in OVER is not supported; write ROWS or RANGE\n"},
      {"sum(level) OVER (ORDER BY observed_at ROWS 1 PRECEDING EXCLUDE TIES)",
       "10:37 EXCLUDE in OVER is not supported\n"},
      {"sum(level) OVER (ORDER BY observed_at ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING)",
       "10:37 a frame cannot end at UNBOUNDED FOLLOWING: a stream has no end; end it at CURRENT "
       "ROW, or so many rows or so much time later\n"},
      {"sum(level) OVER (ORDER BY observed_at ROWS 10001 PRECEDING)",
       "10:64 the number of ROWS is a whole number from 0 to 10000\n"},
      {"sum(level) OVER (ORDER BY observed_at ROWS level PRECEDING)",
       "10:64 the number of ROWS is a whole number from 0 to 10000\n"},
      {"sum(level) OVER (ORDER BY observed_at ROWS BETWEEN 1 PRECEDING AND 2 PRECEDING)",
       "10:37 a frame cannot end before it begins\n"},
      {"sum(level) OVER (ORDER BY observed_at RANGE 10 PRECEDING)",
       "10:65 the length of a RANGE must be an interval; write INTERVAL '5 minutes'\n"},
      {"sum(level) OVER (ORDER BY observed_at RANGE '1 month' PRECEDING)",
       "10:65 the length of a RANGE must be fixed; months and years differ in length; write "
       "days\n"},
      {"sum(level) OVER (ORDER BY observed_at RANGE '-1 s' PRECEDING)",
       "10:65 the length of a RANGE must not be negative\n"},
      {"lag(level, 10001) OVER (ORDER BY observed_at)",
       "10:32 the number of rows in lag() is a whole number from 0 to 10000\n"},
      {"lag(level, level) OVER (ORDER BY observed_at)",
       "10:32 the number of rows in lag() is a whole number from 0 to 10000\n"},
      {"lag(level, 1, 'x') OVER (ORDER BY observed_at)",
       "10:35 invalid input for type integer: 'x'\n"},
      {"lag(level, 1, ok) OVER (ORDER BY observed_at)",
       "10:35 lag() of integer cannot give boolean\n"},
      {"nth_value(level, 0) OVER (ORDER BY observed_at)",
       "10:38 the number of rows in nth_value() is a whole number from 1 to 10000\n"},
      {"nth_value(level) OVER (ORDER BY observed_at)",
       "10:21 nth_value() does not take 1 argument; write nth_value(x, n)\n"},
      {"rank(level) OVER (ORDER BY observed_at)",
       "10:21 rank() does not take 1 argument; write rank()\n"},
      {"lag(level)", "10:21 lag() needs OVER; write lag(...) OVER (ORDER BY ...)\n"},
      {"ntile(4) OVER (ORDER BY observed_at)",
       "10:21 ntile() is not supported: it needs all rows of a partition; a stream has no end\n"},
      {"sum(DISTINCT level) OVER (ORDER BY observed_at)", "10:21 DISTINCT does not go with OVER\n"},
      {"median(level) OVER (ORDER BY observed_at)",
       "10:21 median() needs all values of its frame, and this one only grows; begin the frame so "
       "many rows or so much time before, as ROWS 99 PRECEDING\n"},
      {"approx_percentile(level, 0.5) OVER (ORDER BY observed_at ROWS 9 PRECEDING)",
       "10:21 approx_percentile() does not go with OVER; it needs all rows of its frame again and "
       "again: use a window in FROM\n"},
      {"mode() WITHIN GROUP (ORDER BY level) OVER (ORDER BY observed_at)",
       "10:21 WITHIN GROUP does not go with OVER\n"},
      {"first_value(level) FILTER (WHERE ok) OVER (ORDER BY observed_at)",
       "10:54 FILTER does not go with first_value(); it is for aggregates\n"},
      {"sum(sum(level) OVER (ORDER BY observed_at)) OVER (ORDER BY observed_at)",
       "10:41 window functions cannot be nested; compute the inner one in a stream of its own\n"},
      {"rate_of_change(device_id) OVER (ORDER BY observed_at)",
       "10:36 rate_of_change() takes numbers, not text\n"},
      {"rate_of_change() OVER (ORDER BY observed_at)",
       "10:21 rate_of_change() does not take 0 arguments; write rate_of_change(x)\n"},
      {"gap_seconds(level) OVER (ORDER BY observed_at)",
       "10:21 gap_seconds() does not take 1 argument; write gap_seconds()\n"},
      {"gap_seconds() FILTER (WHERE ok) OVER (ORDER BY observed_at)",
       "10:49 FILTER does not go with gap_seconds(); it is for aggregates\n"},
      {"is_sudden_change(level, 'x') OVER (ORDER BY observed_at)",
       "10:45 is_sudden_change() takes numbers, not text\n"},
      {"is_stuck(level, 1) OVER (ORDER BY observed_at)",
       "10:37 the number of rows in is_stuck() is a whole number from 2 to 1000000000\n"},
      {"is_stuck(level, 2.5) OVER (ORDER BY observed_at)",
       "10:37 the number of rows in is_stuck() is a whole number from 2 to 1000000000\n"},
      {"is_stuck(level, level) OVER (ORDER BY observed_at)",
       "10:37 is_stuck() takes a number of rows or a time, as a literal; write is_stuck(x, 10) or "
       "is_stuck(x, INTERVAL '5 minutes')\n"},
      {"is_stuck(level, '-5 min') OVER (ORDER BY observed_at)",
       "10:37 the time of is_stuck() must not be negative\n"},
      {"is_stuck(level, 'soon') OVER (ORDER BY observed_at)",
       "10:37 invalid input for type interval: 'soon'; write numbers with units, such as '90 "
       "minutes'\n"},
      {"is_stuck(level, INTERVAL '0') OVER (ORDER BY observed_at)",
       "10:37 the time of is_stuck() must not be zero\n"},
      {"is_silent(300) OVER (ORDER BY observed_at)",
       "10:31 the time of is_silent() must be an interval; write INTERVAL '5 minutes'\n"},
      {"is_silent('1 year') OVER (ORDER BY observed_at)",
       "10:31 the time of is_silent() must be fixed; months and years differ in length; write "
       "days\n"},
      {"is_silent('200 years') OVER (ORDER BY observed_at)",
       "10:31 the time of is_silent() must be fixed; months and years differ in length; write "
       "days\n"},
      {"is_silent('40000 days') OVER (ORDER BY observed_at)",
       "10:31 the time of is_silent() is too long\n"},
      {"unchanged_rows(lag(level) OVER (ORDER BY observed_at)) OVER (ORDER BY observed_at)",
       "10:52 window functions cannot be nested; compute the inner one in a stream of its own\n"},
      {"unchanged_rows(device_id::json) OVER (ORDER BY observed_at)",
       "10:45 could not identify an equality operator for type json; take a part of it as text: "
       "x->>'key'\n"},
      {"is_silent('5 min')",
       "10:21 is_silent() needs OVER; write is_silent(...) OVER (ORDER BY ...)\n"},
      {"is_stuk(level, 3) OVER (ORDER BY observed_at)",
       "10:21 unknown function 'is_stuk'; did you mean 'is_stuck'?\n"},
      {"is_out_of_range(level, 3)",
       "10:21 is_out_of_range() takes a value and its two bounds; write is_out_of_range(x, low, "
       "high)\n"},
      {"is_out_of_rage(level, 3, 4)",
       "10:21 unknown function 'is_out_of_rage'; did you mean 'is_out_of_range'?\n"},
      {"sum(level) OVER w", "10:37 window 'w' does not exist\n"},
      {"sum(level) OVER (w ROWS 1 PRECEDING)", "10:37 window 'w' does not exist\n"},
      {"abs(level) OVER (ORDER BY observed_at)",
       "10:37 OVER does not go with abs(): it is no window function\n"},
      {"lagg(level) OVER (ORDER BY observed_at)",
       "10:21 unknown function 'lagg'; did you mean 'lag'?\n"},
      {"sum(device_id) OVER (ORDER BY observed_at)", "10:21 function does not exist: sum(text)\n"},
      {"row_number() OVER (PARTITION BY INTERVAL '1 day' ORDER BY observed_at)",
       "10:53 an interval cannot be a column; write extract(epoch FROM x) for its seconds, or "
       "x::text\n"},
  };
  for (const auto& [item, expected] : cases) EXPECT_EQ(Messages(item), expected) << item;
}

TEST(Over, TellsMistakesOfWindows) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"SELECT sum(level) OVER w AS x FROM readings WINDOW w AS (ORDER BY observed_at),\n"
       "w AS (ORDER BY observed_at)",
       "11:6 window 'w' is already defined\n"},
      {"SELECT sum(level) OVER (w PARTITION BY ok) AS x FROM readings\n"
       "WINDOW w AS (ORDER BY observed_at)",
       "10:24 cannot override PARTITION BY of window 'w'\n"},
      {"SELECT sum(level) OVER (w ORDER BY observed_at) AS x FROM readings\n"
       "WINDOW w AS (ORDER BY observed_at)",
       "10:24 cannot override ORDER BY of window 'w'\n"},
      {"SELECT sum(level) OVER (w) AS x FROM readings\n"
       "WINDOW w AS (ORDER BY observed_at ROWS 3 PRECEDING)",
       "10:24 cannot copy window 'w' because it has a frame; write OVER w\n"},
      {"SELECT sum(level) OVER (PARTITION BY ok ORDER BY observed_at) AS x,\n"
       "sum(level) OVER (PARTITION BY level ORDER BY observed_at) AS y FROM readings",
       "11:17 a query has one PARTITION BY in all of its windows; compute what has another one in "
       "a query over this stream\n"},
      {"SELECT level FROM readings WHERE row_number() OVER (ORDER BY observed_at) > 1",
       "10:52 window functions are not allowed in WHERE; filter in a query over this stream\n"},
      {"SELECT count(*) OVER (ORDER BY window_end) AS x FROM tumble(readings, INTERVAL '1 min')\n"
       "GROUP BY window_end",
       "10:22 OVER does not go with a window in FROM; write it in a query over this stream\n"},
      {"SELECT level FROM readings WINDOW w AS (ORDER BY level)",
       "10:50 OVER orders rows by their event time, 'observed_at'; write ORDER BY observed_at\n"},
  };
  for (const auto& [sql, expected] : cases) EXPECT_EQ(JobWith(sql).Messages(), expected) << sql;
}

TEST(Over, NeedsAnEventTime) {
  TestJob job;
  job.Readings()
      .Query("plain", "SELECT device_id, level FROM readings")
      .Query("q", "SELECT sum(level) OVER (ORDER BY level) AS x FROM plain")
      .Sink("q");
  EXPECT_EQ(
      job.Messages(),
      "20:34 OVER needs an event time, and 'plain' has none; select observed_at in 'plain'\n");
}

std::string TableOf(bool health) {
  std::string table = "| call | gives | computes |\n|---|---|---|\n";
  for (const OverFunctionInfo& info : OverFunctions()) {
    if (info.is_of_health() != health) continue;
    std::string call(info.call);
    for (size_t at = call.find('|'); at != std::string::npos; at = call.find('|', at + 2)) {
      call.insert(at, 1, '\\');
    }
    table += "| `" + call + "` | " + std::string(info.result) + " | " + std::string(info.summary) +
             " |\n";
  }
  return table;
}

TEST(Over, FunctionsAreDocumented) {
  ExpectDocumented("over functions", TableOf(false));
  ExpectDocumented("sensor health", TableOf(true));
}

}  // namespace
}  // namespace millrace
