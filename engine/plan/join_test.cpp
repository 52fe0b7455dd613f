// Joins, unions and what else has several inputs, in plans.
#include <gtest/gtest.h>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

SourceColumn Column(const char* name, Type type) {
  SourceColumn column;
  column.field.name = name;
  column.field.type = type;
  column.from = name;
  return column;
}

// `readings`, and `doors`: device_id text, opened timestamp (event time), by text, wide integer;
// a lookup `devices`: id text, floor integer, room text, known by id; and `prices`: item text,
// since, until timestamps, price double, valid from since to until.
TestJob Job() {
  TestJob job;
  job.Readings();
  SourceStreamSpec doors;
  doors.input = KafkaSourceSpec{{"doors"}, {}, {}, OnDataLoss::kFail, std::chrono::seconds(10)};
  doors.columns = {Column("device_id", Type::kText), Column("opened", Type::kTimestamp),
                   Column("by", Type::kText), Column("wide", Type::kInteger)};
  doors.event_time.emplace();
  doors.event_time->column = "opened";
  job.Stream("doors", doors);
  LookupSpec devices;
  devices.name = "devices";
  devices.columns = {Column("id", Type::kText), Column("floor", Type::kInteger),
                     Column("room", Type::kText)};
  devices.key = {PlacedText{"id", {}}};
  job.Lookup(devices);
  LookupSpec prices;
  prices.name = "prices";
  prices.columns = {Column("item", Type::kText), Column("level", Type::kInteger),
                    Column("since", Type::kTimestamp), Column("until", Type::kTimestamp),
                    Column("price", Type::kDouble)};
  prices.key = {PlacedText{"item", {}}, PlacedText{"level", {}}};
  prices.valid_from = PlacedText{"since", {}};
  prices.valid_to = PlacedText{"until", {}};
  job.Lookup(prices);
  return job;
}

std::string PlanOf(const std::string& sql) {
  return FormatPlan(Job().Query("q", sql).Sink("q").Plan());
}
std::string MessagesOf(const std::string& sql) {
  const std::string messages = Job().Query("q", sql).Sink("q").Messages();
  // What is said of lookups that are not used.
  return messages.substr(0, messages.find("1:50 warning"));
}

TEST(JoinPlan, Interval) {
  EXPECT_EQ(
      PlanOf("SELECT r.device_id, d.by, r.observed_at, temperature FROM readings r JOIN doors d "
             "ON r.device_id = d.device_id AND d.opened BETWEEN r.observed_at - INTERVAL '5 s' "
             "AND r.observed_at AND r.level > d.wide AND d.wide > 1 AND r.ok"),
      R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision, level integer, ok boolean (5 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project q:join.left
      filter: ok
      columns: false AS is_right, observed_at AS event_time, device_id AS key, device_id, observed_at, temperature, level, NULL AS by, NULL AS wide
    to q:join.sides
source doors: kafka doors, json
    reads: device_id text, opened timestamp, by text, wide integer (4 of 4 columns)
    event time: opened, at most 0 late, idle after 30s
  project q:join.right
      filter: wide > 1
      columns: true AS is_right, opened AS event_time, device_id AS key, NULL AS device_id, NULL AS observed_at, NULL AS temperature, NULL AS level, by, wide
    union q:join.sides: q:join.left, q:join.right
      exchange by hash(key)
      join q:join.join
          right less left: -5s to 0
          keys: key
          left: device_id, observed_at, temperature, level
          right: by, wide
        project q:join
            filter: level > wide
            columns: device_id, observed_at, temperature, by
          project q
              columns: device_id, by, observed_at, temperature
            sink sink.0: console
                time: observed_at
)");
}

TEST(JoinPlan, Lookup) {
  EXPECT_EQ(PlanOf("SELECT window_end, d.floor, count(*) AS n FROM tumble(readings, INTERVAL '1 "
                   "minute') r JOIN devices d ON d.id = r.device_id AND d.floor > 1 LEFT JOIN "
                   "prices p ON p.item = d.room AND p.level = r.level WHERE p.price > 2 GROUP BY "
                   "window_end, d.floor"),
            R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, level integer (3 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project q:d.input
      columns: device_id, observed_at, level
    lookup q:d: devices
        keys: device_id
        columns: floor, room
        without a row: left out
      project q:p.input
          filter: floor > 1
          columns: observed_at, level, floor, room
        lookup q:p: prices
            keys: room, level
            valid at: observed_at
            columns: price
            without a row: kept, with nulls
          project q.input
              filter: price > 2.0
              columns: observed_at, floor
            exchange by hash(floor)
            window q.window: tumble 1m
                event time: observed_at
                keys: floor
                aggregates: count(*)
              project q.output
                  columns: window_end, floor, count(*) AS n
                sink sink.0: console
                    keys: floor
                    time: window_end
)");
}

TEST(JoinPlan, Union) {
  EXPECT_EQ(
      PlanOf("SELECT device_id, temperature, observed_at FROM readings WHERE ok UNION ALL SELECT "
             "device_id, wide, opened FROM doors"),
      R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision, ok boolean (4 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project q:1
      filter: ok
      columns: device_id, temperature, observed_at
    to q
source doors: kafka doors, json
    reads: device_id text, opened timestamp, wide integer (3 of 4 columns)
    event time: opened, at most 0 late, idle after 30s
  project q:2
      columns: device_id, wide, opened
    project q:2.cast
        columns: device_id, wide::double precision AS temperature, opened AS observed_at
      union q: q:1, q:2.cast
        sink sink.0: console
            time: observed_at
)");
}

TEST(JoinPlan, Windows) {
  EXPECT_EQ(
      PlanOf(
          "WITH a AS (SELECT window_start, window_end, device_id, count(*) AS n FROM "
          "tumble(readings, INTERVAL '1 minute') GROUP BY 1, 2, 3), b AS (SELECT window_start, "
          "window_end, device_id, sum(wide) AS w FROM tumble(doors, INTERVAL '1 minute') GROUP BY "
          "1, 2, 3) SELECT COALESCE(a.window_end, b.window_end) AS t, a.n, b.w FROM a FULL JOIN b "
          "ON a.window_start = b.window_start AND a.device_id = b.device_id"),
      R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp (2 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project q:a.input
      columns: observed_at, device_id
    exchange by hash(device_id)
    window q:a.window: tumble 1m
        event time: observed_at
        keys: device_id
        aggregates: count(*)
      project q:a.output
          columns: window_end, device_id, count(*) AS n
        project q:join.left
            columns: false AS is_right, window_end - INTERVAL '1 microseconds' AS event_time, device_id AS key, window_end, n, NULL AS b.window_end, NULL AS w
          to q:join.sides
source doors: kafka doors, json
    reads: device_id text, opened timestamp, wide integer (3 of 4 columns)
    event time: opened, at most 0 late, idle after 30s
  project q:b.input
      columns: opened, device_id, wide
    exchange by hash(device_id)
    window q:b.window: tumble 1m
        event time: opened
        keys: device_id
        aggregates: sum(wide)
      project q:b.output
          columns: window_end, device_id, sum(wide) AS w
        project q:join.right
            columns: true AS is_right, window_end - INTERVAL '1 microseconds' AS event_time, device_id AS key, NULL AS window_end, NULL AS n, window_end AS b.window_end, w
          union q:join.sides: q:join.left, q:join.right
            exchange by hash(key)
            full join q:join.join
                right less left: 0
                keys: key
                left: window_end, n
                right: b.window_end, w
              project q:join
                  columns: n, w, coalesce(window_end, b.window_end) AS time#
                project q
                    columns: time# AS t, n, w
                  sink sink.0: console
                      time: t
)");
}

TEST(JoinPlan, TellsMistakes) {
  const std::string from = "SELECT r.device_id FROM readings r ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {from + "JOIN doors d ON r.device_id = d.device_id",
       "10:41 a join of streams needs to know how far apart their rows may be; add ON d.opened "
       "BETWEEN r.observed_at - INTERVAL '1 minute' AND r.observed_at, or such a bound\n"},
      {from + "JOIN doors d ON r.device_id = d.device_id AND d.opened >= r.observed_at",
       "10:41 rows would be kept for ever: ON does not say how much later d.opened may be than "
       "r.observed_at; add d.opened <= r.observed_at + INTERVAL '1 minute', or such a bound\n"},
      {from + "JOIN doors d ON d.opened - r.observed_at < INTERVAL '1 h'",
       "10:41 rows would be kept for ever: ON does not say how much earlier d.opened may be than "
       "r.observed_at; add d.opened >= r.observed_at - INTERVAL '1 minute', or such a bound\n"},
      {from + "JOIN doors d ON d.opened > r.observed_at AND d.opened < r.observed_at",
       "10:41 no rows are so far apart: the bounds on time exclude each other\n"},
      {from + "LEFT JOIN doors d ON d.opened = r.observed_at AND r.ok",
       "10:86 ON of an outer join has equal columns, bounds on time, and conditions on the side "
       "that may be missing; filter in WHERE, or before the join\n"},
      {from +
           "FULL JOIN doors d ON d.opened BETWEEN r.observed_at AND r.observed_at + INTERVAL '1 s'",
       "10:46 FULL JOIN of streams needs equal times; join windows by window_end, or write LEFT "
       "JOIN\n"},
      {from + "FULL JOIN doors d USING (device_id)",
       "10:25 USING does not go with FULL JOIN; write ON, and COALESCE(a.device_id, "
       "b.device_id)\n"},
      {from + "JOIN doors d USING (devices)",
       "10:25 unknown column 'devices' left of the join; USING names columns of both sides\n"},
      {from + "JOIN doors d ON d.opened = r.observed_at AND device_id = 'a'",
       "10:81 column reference 'device_id' is ambiguous; write r.device_id or d.device_id\n"},
      {from + "JOIN doors r ON r.opened = r.observed_at",
       "10:41 table name 'r' is there twice; give one another alias\n"},
      {from + "JOIN doors d ON d.open = r.observed_at",
       "10:52 unknown column 'open' of 'd'; known: device_id, opened, by, wide\n"},
      {from + "JOIN doors d ON x.opened = r.observed_at",
       "10:52 'x' is not in FROM; did you mean 'r'?\n"},
      {from + "JOIN devices d ON d.floor = r.level",
       "10:41 lookup 'devices' is joined by its key, and ON lacks id; add d.id = ...\n1:51 "
       "warning: nothing uses lookup 'prices'; join a stream with it\n2:5 warning: nothing uses "
       "stream 'doors'; add a sink, an alert or a query that reads it\n"},
      {from + "JOIN prices p ON p.item = r.device_id",
       "10:41 lookup 'prices' is joined by its key, and ON lacks level; add p.level = ...\n"},
      {from + "LEFT JOIN devices d ON d.id = r.device_id AND d.floor > 1",
       "10:90 ON of a LEFT JOIN with a lookup has its key alone; filter in WHERE\n1:51 warning: "
       "nothing uses lookup 'prices'; join a stream with it\n2:5 warning: nothing uses stream "
       "'doors'; add a sink, an alert or a query that reads it\n"},
      {from + "RIGHT JOIN devices d ON d.id = r.device_id",
       "10:47 a lookup is joined by JOIN or LEFT JOIN; rows come of the stream: there are none "
       "without one\n1:51 warning: nothing uses lookup 'prices'; join a stream with it\n2:5 "
       "warning: nothing uses stream 'doors'; add a sink, an alert or a query that reads it\n"},
      {from + "JOIN prices p ON p.item = r.device_id AND p.level = r.fire_alarm",
       "10:86 the key 'level' of lookup 'prices' is integer, and is compared with bigint; declare "
       "it as bigint in the lookup, or cast the other side\n"},
      {"SELECT d.id FROM devices d",
       "10:18 'devices' is a lookup, not a stream; write FROM stream JOIN devices ON ...\n"},
      {"SELECT d.id FROM devices d JOIN readings r ON d.id = r.device_id",
       "10:18 'devices' is a lookup, not a stream; write FROM stream JOIN devices ON ...\n"},
      {"WITH x AS (SELECT device_id, level FROM readings) SELECT price FROM x JOIN prices p ON "
       "p.item "
       "= x.device_id AND p.level = x.level",
       "10:76 rows of lookup 'prices' are valid for a time, and 'q:x' has no event time; select "
       "the column that is its event time there\n"},
      {"WITH x AS (SELECT device_id, level FROM readings) SELECT by FROM x JOIN doors d ON "
       "d.device_id "
       "= x.device_id",
       "10:66 a join of streams needs an event time, and 'q:x' has none; select the column that is "
       "its event time there\n"},
      {"SELECT by FROM asof_join(readings, doors, readings.device_id = doors.device_id)",
       "10:16 asof_join() needs to know how far to look back; without it rows would be kept for "
       "ever: write within => INTERVAL '5 minutes'\n"},
      {"SELECT by FROM asof_join(readings, doors, within => INTERVAL '1 s')",
       "10:16 asof_join() needs a condition; write condition => a.device = b.device\n"},
      {"SELECT by FROM asof_join(readings, doors, doors.opened <= readings.observed_at, INTERVAL "
       "'1 s')",
       "10:56 asof_join() itself looks at times; say with `within` how far back it looks\n"},
      {"SELECT by FROM asof_join(readings, doors, true, INTERVAL '1 s', 5)",
       "10:65 asof_join() has too many arguments; known: condition, within\n"},
      {"SELECT by FROM asof_join(readings, doors, true, INTERVAL '-1 s')",
       "10:49 'within' of asof_join() must be more than zero\n"},
      {"SELECT by FROM asof_join(readings, devices, true, INTERVAL '1 s')",
       "10:36 asof_join() takes streams; a lookup with `valid` has the row that is valid at the "
       "event time: join it by its key\n"},
      {"SELECT by FROM asof_join(readings, doors, true, INTERVAL '1 s') AS j",
       "10:16 an alias of a join is not supported; columns are named by the streams: a.x, b.x\n"},
      {"SELECT by FROM hop(readings, INTERVAL '1 s', INTERVAL '1 ms') r JOIN doors d ON d.opened = "
       "r.window_end",
       "10:20 of windows only tumble() is joined row by row; group first: join queries that group "
       "by window_start, window_end\n"},
      {"SELECT by FROM tumble(readings, INTERVAL '1 s') r JOIN doors d ON d.opened = r.window_end",
       "10:23 a window is joined with a window; group first: join queries that group by "
       "window_start, window_end\n"},
  };
  for (const auto& [sql, expected] : cases) EXPECT_EQ(MessagesOf(sql), expected) << sql;
}

// `levels` queries of WITH, each over the one before in `query`, where it is "@".
std::string Nested(int levels, const std::string& query) {
  std::string sql = "WITH a0 AS (SELECT device_id, observed_at FROM readings)";
  for (int level = 1; level <= levels; ++level) {
    std::string one = query;
    const std::string before = "a" + std::to_string(level - 1);
    for (size_t at = one.find('@'); at != std::string::npos; at = one.find('@')) {
      one.replace(at, 1, before);
    }
    sql += ", a" + std::to_string(level) + " AS (" + one + ")";
  }
  return sql + " SELECT device_id, observed_at FROM a" + std::to_string(levels);
}

// Each level doubles the ways from the source; what is asked of a plan takes no longer for it.
TEST(JoinPlan, JoinsOfJoinsAreWalkedOnce) {
  const JobPlan plan =
      Job()
          .Query("q", Nested(60,
                             "SELECT x.device_id, x.observed_at FROM @ x JOIN @ y ON "
                             "y.observed_at BETWEEN x.observed_at AND x.observed_at + "
                             "INTERVAL '1 second'"))
          .Sink("q")
          .Plan();
  const NodeId sink = NodeNamed(plan, "sink.0").id;
  const std::vector<JobPlan::Upstream> upstreams = plan.UpstreamsOf(sink);
  ASSERT_EQ(upstreams.size(), 1u);
  EXPECT_EQ(upstreams[0].delay, std::chrono::seconds(60));
  EXPECT_EQ(plan.OwnersOf(sink), std::vector{NodeNamed(plan, "q:a60:join.join").id});
  EXPECT_FALSE(plan.WaitsForRowsAhead(sink));
}

TEST(JoinPlan, BoundsTheWaysThroughUnions) {
  const std::string twice =
      "SELECT device_id, observed_at FROM @ UNION ALL SELECT device_id, observed_at FROM @";
  EXPECT_EQ(MessagesOf(Nested(9, twice)), "");
  const std::string messages = MessagesOf(Nested(60, twice));
  EXPECT_NE(messages.find(" rows come here in 1024 ways, at most 1000 are allowed; each query of a "
                          "UNION ALL brings rows of its stream once more\n"),
            std::string::npos)
      << messages;
}

TEST(JoinPlan, TellsWhichTimeAFullJoinHas) {
  const std::string minutes =
      "WITH a AS (SELECT window_end, device_id, count(*) AS n FROM tumble(readings, INTERVAL '1 "
      "minute') GROUP BY 1, 2), b AS (SELECT a.window_end, b.n FROM a FULL JOIN a b ON "
      "a.window_end = b.window_end AND a.device_id = b.device_id) ";
  EXPECT_EQ(MessagesOf(minutes + "SELECT sum(n) OVER (ORDER BY window_end) AS s FROM b"),
            "10:258 OVER needs an event time, and 'b' has none; of a FULL JOIN it is "
            "COALESCE(a.time, b.time): select that in 'q:b'\n");
}

}  // namespace
}  // namespace millrace
