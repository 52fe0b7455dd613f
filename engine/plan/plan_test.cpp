// The layout of plans: nodes, columns, keys, times, and the text that shows them.
#include "engine/plan/plan.h"

#include <gmock/gmock.h>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

TEST(Plan, ShowsATumblingQuery) {
  TestJob job;
  job.Readings()
      .Query("metrics",
             "SELECT window_start, window_end, device_id, count(*) AS records,\n"
             "       avg(temperature) AS avg_temperature\n"
             "FROM tumble(readings, size => INTERVAL '1 minute')\n"
             "GROUP BY window_start, window_end, device_id")
      .Sink("metrics");
  EXPECT_EQ(job.Messages(), "");
  EXPECT_EQ(FormatPlan(job.Plan()),
            R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision (3 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project metrics.input
      columns: observed_at, device_id, temperature
    exchange by hash(device_id)
    window metrics.window: tumble 1m
        event time: observed_at
        keys: device_id
        aggregates: count(*), avg(temperature)
      project metrics.output
          columns: window_start, window_end, device_id, count(*) AS records, avg(temperature) AS avg_temperature
        sink sink.0: console
            keys: device_id
            time: window_end
)");
}

// The shape of the smoke detection job.
TestJob SmokeJob() {
  TestJob job;
  job.Readings()
      .Query("metrics",
             "SELECT window_start, window_end, device_id, count(*) AS records,\n"
             "       avg(temperature) AS avg_temperature, stddev_samp(temperature) AS deviation,\n"
             "       percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) AS p95,\n"
             "       count(*) FILTER (WHERE fire_alarm = 1) AS fire_alarms\n"
             "FROM hop(readings, size => INTERVAL '5 minutes', slide => INTERVAL '1 minute')\n"
             "WHERE temperature IS NOT NULL\n"
             "GROUP BY window_start, window_end, device_id\n"
             "HAVING count(*) > 0")
      .Alert("Hot", "metrics", "avg_temperature > 80")
      .Alert("Warm", "metrics", "avg_temperature BETWEEN 60 AND 80")
      .Alert("Fire", "readings", "fire_alarm = 1")
      .Sink("metrics")
      .Sink("");
  AlertSpec& hot = job.spec().alerts[0];
  hot.labels["severity"] = {"critical", {120, 1}};
  hot.annotations["summary"] = {"{{ avg_temperature }} on {{device_id}}!", {121, 1}};
  SinkSpec& lake = job.spec().sinks[0];
  ParquetSinkSpec parquet;
  parquet.path = "/lake/smoke";
  parquet.partition_by = {"date"};
  lake.target = parquet;
  KafkaSinkSpec kafka;
  kafka.topic = "smoke_alerts";
  job.spec().sinks[1].target = kafka;
  return job;
}

SinkSpec& ToKafka(TestJob* job, std::vector<std::string> key) {
  SinkSpec& sink = job->spec().sinks.back();
  KafkaSinkSpec kafka;
  kafka.topic = "out";
  for (std::string& name : key) {
    kafka.key.push_back({std::move(name), {9, 20 + int(kafka.key.size())}});
  }
  sink.target = std::move(kafka);
  return sink;
}

TEST(Plan, ASinksKeyIsWhatItSaysInItsOrder) {
  TestJob job;
  job.Readings().Query("q", "SELECT level, temperature, device_id FROM readings").Sink("q");
  ToKafka(&job, {"device_id", "level"});
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).keys, (std::vector<int>{2, 0}));
  const std::string shown = FormatPlan(plan);
  EXPECT_NE(shown.find("sink sink.0: kafka out\n        keys: device_id, level\n"),
            std::string::npos)
      << shown;
}

TEST(Plan, ASinksKeyTakesTheGroupingColumnsPlace) {
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT window_end, device_id, level, count(*) AS n FROM tumble(readings, INTERVAL "
             "'1 minute') GROUP BY window_end, device_id, level")
      .Sink("q");
  ToKafka(&job, {"level"});
  EXPECT_EQ(job.Messages(), "");
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(job.Plan(), "sink.0").kind).keys, std::vector<int>{2});
}

TEST(Plan, RefusesAKeyThatTheStreamLacks) {
  TestJob job;
  job.Readings()
      .Query("q", "SELECT device_id, device_id::json AS document FROM readings")
      .Sink("q");
  ToKafka(&job, {"devise_id", "document", "temperature"});
  EXPECT_EQ(job.Messages(),
            "9:20 'q' has no column 'devise_id'; did you mean 'device_id'?\n"
            "9:21 the column 'document' is json, which is not compared; select the part of it "
            "that is the key\n"
            "9:22 'q' has no column 'temperature'; known: device_id, document\n");
}

TEST(Plan, ShowsASmokeDetectionJob) {
  TestJob job = SmokeJob();
  EXPECT_EQ(job.Messages(), "");
  EXPECT_EQ(FormatPlan(job.Plan()),
            R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, temperature double precision, fire_alarm bigint (4 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project metrics.input
      filter: temperature IS NOT NULL
      columns: observed_at, device_id, temperature, fire_alarm = 1
    exchange by hash(device_id)
    window metrics.window: hop 5m by 1m, panes of 1m
        event time: observed_at
        keys: device_id
        aggregates: count(*), avg(temperature), stddev_samp(temperature), percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature), count(*) FILTER (WHERE fire_alarm = 1)
      project metrics.output
          filter: count(*) > 0
          columns: window_start, window_end, device_id, count(*) AS records, avg(temperature) AS avg_temperature, stddev_samp(temperature) AS deviation, percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) AS p95, count(*) FILTER (WHERE fire_alarm = 1) AS fire_alarms
        alerts metrics.alerts
            Hot: avg_temperature > 80.0
              severity: critical
              summary: {{ avg_temperature }} on {{ device_id }}!
            Warm: (avg_temperature >= 60.0) AND (avg_temperature <= 80.0)
            about: device_id
          sink sink.1.metrics: kafka smoke_alerts
              keys: key
              time: event_time
        sink sink.0: parquet /lake/smoke
            keys: device_id
            partitions: date
            time: window_end
  alerts readings.alerts
      Fire: fire_alarm = 1
    sink sink.1.readings: kafka smoke_alerts
        keys: key
        time: event_time
)");
}

TEST(Plan, SettlesKeysTimesAndOwners) {
  TestJob job = SmokeJob();
  const JobPlan plan = job.Plan();
  const PlanNode& source = NodeNamed(plan, "readings");
  const PlanNode& window = NodeNamed(plan, "metrics.window");
  const PlanNode& output = NodeNamed(plan, "metrics.output");
  const PlanNode& alerts = NodeNamed(plan, "metrics.alerts");
  const PlanNode& sink = NodeNamed(plan, "sink.0");

  EXPECT_EQ(std::get<SourceNode>(source.kind).used_columns, (std::vector<int>{0, 1, 2, 4}));
  EXPECT_EQ(source.event_time, 1);
  EXPECT_EQ(source.window_end, -1);

  const auto& kind = std::get<WindowAggregateNode>(window.kind);
  EXPECT_EQ(kind.event_time, 0);
  EXPECT_EQ(kind.keys, std::vector<int>{1});
  ASSERT_EQ(kind.aggregates.size(), 5u);
  EXPECT_EQ(kind.aggregates[0].argument, -1);
  EXPECT_EQ(kind.aggregates[1].argument, 2);
  EXPECT_EQ(kind.aggregates[2].argument, 2);
  EXPECT_EQ(kind.aggregates[3].fraction, 0.95);
  EXPECT_EQ(kind.aggregates[4].filter, 3);
  EXPECT_EQ(window.event_time, 1);
  EXPECT_EQ(window.window_end, 1);
  EXPECT_EQ(window.output.fields[3].type, Type::kBigint);
  EXPECT_EQ(window.output.fields[4].unit, "Cel");
  EXPECT_EQ(output.event_time, 1);
  EXPECT_EQ(output.window_end, 1);

  const auto& rules = std::get<AlertNode>(alerts.kind);
  EXPECT_TRUE(rules.windowed);
  EXPECT_EQ(rules.keys, std::vector<int>{2});
  EXPECT_EQ(rules.time_column, 1);
  ASSERT_EQ(rules.rules.size(), 2u);
  const Template& summary = rules.rules[0].annotations[0].second;
  EXPECT_EQ(summary.literals, (std::vector<std::string>{"", " on ", "!"}));
  EXPECT_EQ(summary.columns, (std::vector<int>{4, 2}));
  const PlanNode& single = NodeNamed(plan, "readings.alerts");
  EXPECT_FALSE(std::get<AlertNode>(single.kind).windowed);
  EXPECT_EQ(std::get<AlertNode>(single.kind).time_column, 1);
  EXPECT_TRUE(std::get<AlertNode>(single.kind).keys.empty());
  EXPECT_EQ(std::get<AlertNode>(single.kind).rules[0].condition.args[0].column, 3);

  EXPECT_EQ(std::get<SinkNode>(sink.kind).keys, std::vector<int>{2});
  EXPECT_EQ(std::get<SinkNode>(sink.kind).time_column, 1);
  EXPECT_EQ(std::get<SinkNode>(sink.kind).sink_index, 0);
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.1.metrics").kind).sink_index, 1);
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.1.readings").kind).sink_index, 1);

  EXPECT_EQ(plan.OwnersOf(sink.id), std::vector{window.id});
  EXPECT_EQ(plan.OwnersOf(single.id), std::vector{source.id});
  EXPECT_EQ(plan.OwnersOf(NodeNamed(plan, "metrics.input").id), std::vector{source.id});
  EXPECT_EQ(plan.UpstreamsOf(sink.id).front().source, source.id);
  EXPECT_EQ(plan.Children(output.id), (std::vector<NodeId>{alerts.id, sink.id}));
  for (const PlanNode& node : plan.nodes) EXPECT_LT(node.input(), node.id) << node.name;
}

TEST(Plan, WindowsOverWindows) {
  TestJob job;
  // In the file, the reader of a stream may stand before it.
  job.Query("hours",
            "SELECT window_end, max(top) AS top, count(*) AS minutes\n"
            "FROM tumble(named, INTERVAL '1 hour') GROUP BY window_end")
      .Query("named", "SELECT upper(device_id) AS device, top, window_end AS minute FROM minutes")
      .Query("minutes",
             "SELECT window_end, device_id, max(temperature) AS top\n"
             "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, device_id")
      .Readings()
      .Sink("hours")
      .Sink("named");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const PlanNode& input = NodeNamed(plan, "hours.input");
  const auto& project = std::get<ProjectNode>(input.kind);
  EXPECT_EQ(FormatExpr(project.columns[0], NodeNamed(plan, "named").output),
            "minute - INTERVAL '1 microseconds'");
  EXPECT_EQ(input.output.Names(), (std::vector<std::string>{"event_time", "top"}));
  const PlanNode& named = NodeNamed(plan, "named");
  EXPECT_EQ(named.event_time, 2);
  EXPECT_EQ(named.window_end, 2);
  // The device's name is not the grouping column any more: the window is what is left as key.
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.1").kind).keys, std::vector<int>{2});
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).keys, std::vector<int>{0});
  EXPECT_EQ(plan.OwnersOf(input.id), std::vector{NodeNamed(plan, "minutes.window").id});
  for (const PlanNode& node : plan.nodes) EXPECT_LT(node.input(), node.id) << node.name;
}

TEST(Plan, SinksOnASourceReadAllItsColumns) {
  TestJob job;
  job.Readings().Sink("readings");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(NodeNamed(plan, "readings").output.fields.size(), 7u);
  EXPECT_EQ(NodeNamed(plan, "sink.0").output, NodeNamed(plan, "readings").output);
  EXPECT_TRUE(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).keys.empty());
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).time_column, 1);
}

TEST(Plan, ShowsEachKindOfWindow) {
  const auto window_line = [](const std::string& from) {
    TestJob job;
    job.Readings()
        .Query("q", "SELECT count(*) AS n FROM " + from + " GROUP BY window_end")
        .Sink("q");
    EXPECT_EQ(job.Messages(), "");
    const std::string plan = FormatPlan(job.Plan());
    const size_t begin = plan.find("window q.window: ");
    return plan.substr(begin, plan.find('\n', begin) - begin);
  };
  EXPECT_EQ(window_line("tumble(readings, INTERVAL '1 h', \"offset\" => INTERVAL '90 min')"),
            "window q.window: tumble 1h, offset 30m");
  EXPECT_EQ(window_line("hop(readings, INTERVAL '5 min', INTERVAL '2 min')"),
            "window q.window: hop 5m by 2m, panes of 1m");
  EXPECT_EQ(window_line("cumulate(readings, INTERVAL '1 d', INTERVAL '1 h')"),
            "window q.window: cumulate 1d by 1h");
  EXPECT_EQ(window_line("session(readings, gap => INTERVAL '90 s')"),
            "window q.window: session, gap 1m30s");
}

TEST(Plan, ShowsWhatIsUnfolded) {
  TestJob job;
  job.Readings()
      .Query("samples",
             "SELECT observed_at, s->>'v' AS v, n, level\n"
             "FROM readings LEFT JOIN unnest(device_id::json) WITH ORDINALITY AS e(s, n) ON true\n"
             "WHERE ok AND level > 1 AND n < 10 AND ok")
      .Query("counts",
             "SELECT window_end, count(*) AS n FROM tumble(samples, INTERVAL '1 minute')\n"
             "GROUP BY window_end")
      .Sink("counts");
  EXPECT_EQ(job.Messages(), "");
  EXPECT_EQ(FormatPlan(job.Plan()), R"(job test
source readings: kafka sensors, json
    reads: device_id text, observed_at timestamp, level integer, ok boolean (4 of 7 columns)
    event time: observed_at, at most 10m late, idle after 30s
  project samples
      filter before: ok AND (level > 1)
      unnest: device_id::json AS s json, n bigint, rows without elements kept
      filter: (n < 10) AND ok
      columns: observed_at, s ->> 'v' AS v, n, level
    project counts.input
        columns: observed_at
      exchange to one task (no keys)
      window counts.window: tumble 1m
          event time: observed_at
          aggregates: count(*)
        project counts.output
            columns: window_end, count(*) AS n
          sink sink.0: console
              keys: window_end
              time: window_end
)");
  job.spec().streams[1].kind = QueryStreamSpec{PlacedText{
      "SELECT observed_at, value AS v FROM readings, json_array_elements_text(device_id::json)",
      {10, 1}}};
  EXPECT_EQ(job.Messages(), "");
  EXPECT_THAT(FormatPlan(job.Plan()),
              testing::HasSubstr("  project samples\n"
                                 "      unnest: device_id::json AS value text\n"
                                 "      columns: observed_at, value AS v\n"));
}

TEST(Plan, ABatchKeepsAColumn) {
  TestJob job;
  job.Readings().Query("q", "SELECT 1 AS one FROM readings").Sink("q");
  std::get<SourceStreamSpec>(job.spec().streams[0].kind).event_time.reset();
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(std::get<SourceNode>(NodeNamed(plan, "readings").kind).used_columns,
            std::vector<int>{0});
  EXPECT_EQ(NodeNamed(plan, "q").event_time, -1);
}

// Mistakes between streams

const char* const kWindowed =
    " FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, device_id";

TEST(Planner, TellsCycles) {
  EXPECT_EQ(TestJob().Query("a", "SELECT x FROM a").Sink("a").Messages(),
            "10:15 stream 'a' reads itself\n");
  EXPECT_EQ(TestJob()
                .Query("a", "SELECT x FROM b")
                .Query("b", "SELECT x FROM c")
                .Query("c", "SELECT x FROM b")
                .Sink("a")
                .Messages(),
            "30:15 streams read each other in a cycle: b -> c -> b\n");
}

TEST(Planner, TellsOneMistakeOnce) {
  // What reads a broken stream is not told as broken too.
  EXPECT_EQ(TestJob()
                .Readings()
                .Query("a", "SELECT temprature FROM readings")
                .Query("b", "SELECT anything FROM a")
                .Alert("A", "a", "anything > 1")
                .Sink("b")
                .Sink("")
                .Messages(),
            "10:8 unknown column 'temprature'; did you mean 'temperature'?\n");
}

TEST(Planner, WindowsNeedAnEventTime) {
  const std::string window = "SELECT count(*) FROM tumble(a, INTERVAL '1 h') GROUP BY window_end";
  const auto messages = [&](const std::string& sql) {
    return TestJob().Readings().Query("a", sql).Query("b", window).Sink("b").Messages();
  };
  EXPECT_EQ(messages("SELECT level FROM readings"),
            "20:29 a window needs an event time, and 'a' has none; select observed_at in 'a'\n");
  EXPECT_EQ(messages("SELECT observed_at FROM readings"), "");
  EXPECT_EQ(messages(std::string("SELECT count(*)") + kWindowed),
            "20:29 a window needs an event time, and 'a' has none; select window_end in 'a'\n");
  TestJob job;
  job.Readings()
      .Query("b", "SELECT count(*) FROM tumble(readings, INTERVAL '1 h') GROUP BY 1")
      .Sink("b");
  std::get<SourceStreamSpec>(job.spec().streams[0].kind).event_time.reset();
  EXPECT_EQ(job.Messages(),
            "10:29 a window needs an event time, and 'readings' has none; add event_time to "
            "'readings'\n"
            "10:8 aggregate functions are not allowed in GROUP BY\n");
}

TEST(Planner, ChecksTheSourcesEventTime) {
  const auto messages = [](const std::string& column) {
    TestJob job;
    job.Readings()
        .Query("q", "SELECT count(*) FROM tumble(readings, INTERVAL '1 h') GROUP BY window_end")
        .Sink("q");
    EventTimeSpec& event_time = *std::get<SourceStreamSpec>(job.spec().streams[0].kind).event_time;
    event_time.column = column;
    event_time.place = {5, 7};
    return job.Messages();
  };
  EXPECT_EQ(messages("observed"),
            "5:7 unknown column 'observed'; known: device_id, observed_at, "
            "temperature, humidity, fire_alarm, level, ok\n");
  EXPECT_EQ(messages("level"), "5:7 the event time must be a timestamp column\n");
  EXPECT_EQ(messages("observed_at"), "");
}

TEST(Planner, TheWindowsColumnsHideTheInputs) {
  TestJob job;
  job.Readings()
      .Query("minutes",
             "SELECT window_start, window_end, count(*) AS n FROM "
             "tumble(readings, INTERVAL '1 min') GROUP BY window_start, window_end")
      .Query("hours",
             "SELECT window_start, window_end, sum(n) AS n FROM "
             "tumble(minutes, INTERVAL '1 h') GROUP BY window_start, window_end")
      .Sink("hours");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_TRUE(std::get<WindowAggregateNode>(NodeNamed(plan, "hours.window").kind).keys.empty());
  const auto& output = std::get<ProjectNode>(NodeNamed(plan, "hours.output").kind);
  EXPECT_EQ(output.columns[0].column, 0);
  EXPECT_EQ(output.columns[1].column, 1);
  // Without other keys the window is the record's key.
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).keys, (std::vector<int>{0, 1}));
}

TEST(Planner, ChecksAlerts) {
  const auto messages = [](const std::string& stream, const std::string& expr) {
    return TestJob()
        .Readings()
        .Query("m", std::string("SELECT window_end, device_id, max(level) AS top") + kWindowed)
        .Query("anonymous", std::string("SELECT window_start, max(level) AS top") + kWindowed)
        .Alert("A", stream, expr)
        .Sink("m")
        .Sink("anonymous")
        .Sink("")
        .Messages();
  };
  EXPECT_EQ(messages("m", "top > 1 -- of all\n AND device_id <> 'x'"), "");
  EXPECT_EQ(messages("m", "top"),
            "100:1 argument of expr must be type boolean, not type integer\n");
  EXPECT_EQ(messages("m", "  topp > 1"), "100:3 unknown column 'topp'; did you mean 'top'?\n");
  EXPECT_EQ(messages("m", "top >"), "100:6 syntax error at end of input\n");
  EXPECT_EQ(messages("m", ""), "100:1 expected one expression\n");
  EXPECT_EQ(messages("m", "top > 1, top > 2"), "100:10 expected one expression\n");
  EXPECT_EQ(messages("m", "top > 1 AS x"), "100:1 expected one expression\n");
  EXPECT_EQ(messages("m", "top > 1 FROM m"), "100:14 FROM here is not supported\n");
  EXPECT_EQ(messages("m", "top > 1 UNION SELECT true"), "100:1 expected one expression\n");
  EXPECT_EQ(messages("m", "avg(top) > 1"),
            "100:1 aggregate functions are not allowed in an alert; compute the aggregate in the "
            "stream\n");
  EXPECT_EQ(messages("n", "top > 1"), "99:1 unknown stream 'n'; did you mean 'm'?\n");
  EXPECT_EQ(messages("anonymous", "top > 1"),
            "99:1 an alert needs to know the window and the key of 'anonymous'; select window_end, "
            "device_id there\n");
}

TEST(Planner, ChecksTemplates) {
  TestJob job;
  job.Readings().Alert("A", "readings", "ok").Sink("");
  job.spec().alerts[0].annotations["a"] = {"x {{ levle }} {{", {110, 5}};
  job.spec().alerts[0].annotations["b"] = {"{{}}", {120, 5}};
  EXPECT_EQ(job.Messages(),
            "110:7 unknown column 'levle'; did you mean 'level'?\n"
            "110:19 '{{' without '}}'\n"
            "120:5 expected a column between '{{' and '}}'; known: device_id, observed_at, "
            "temperature, humidity, fire_alarm, level, ok\n");
}

TEST(Planner, ChecksSinksAndUse) {
  TestJob none;
  none.Readings();
  EXPECT_EQ(none.Messages(),
            "0:0 the job has no sinks; add spec.sinks\n"
            "1:5 warning: nothing uses stream 'readings'; add a sink, an alert or a query that "
            "reads it\n");
  EXPECT_EQ(TestJob().Readings().Sink("reading").Sink("readings").Messages(),
            "1000:1 unknown stream 'reading'; did you mean 'readings'?\n");
  EXPECT_EQ(TestJob().Readings().Sink("readings").Sink("").Messages(),
            "1001:1 there are no alerts for this sink\n");
  EXPECT_EQ(TestJob().Readings().Alert("A", "readings", "ok").Sink("readings").Messages(),
            "98:1 warning: no sink takes the alerts; add a sink with alerts: all\n");
  EXPECT_EQ(
      TestJob().Readings().Query("q", "SELECT level FROM readings").Sink("readings").Messages(),
      "2:5 warning: nothing uses stream 'q'; add a sink, an alert or a query that reads it\n");
  TestJob job;
  job.Readings().Query("q", "SELECT level FROM readings").Sink("q");
  ParquetSinkSpec parquet;
  parquet.partition_by = {"levl", "date"};
  job.spec().sinks[0].target = parquet;
  EXPECT_EQ(job.Messages(),
            "1000:1 unknown column 'levl' in partition_by; did you mean 'level'?\n"
            "1000:1 partition_by date needs a time; select window_end or the event time in the "
            "stream\n");
}

// A mistaken job file must never end the process: statements mutated token by token plan or fail,
// and what plans is whole.
TEST(Planner, SurvivesMutatedStatements) {
  const std::vector<std::string> tokens = {"SELECT",
                                           "FROM",
                                           "WHERE",
                                           "GROUP BY",
                                           "HAVING",
                                           "window_start",
                                           "window_end",
                                           "device_id",
                                           "level",
                                           "temperature",
                                           "ok",
                                           "observed_at",
                                           "count(*)",
                                           "avg(level)",
                                           "max(",
                                           "(",
                                           ")",
                                           ",",
                                           "+",
                                           "-",
                                           "/",
                                           "=",
                                           ">",
                                           "AND",
                                           "OR",
                                           "NOT",
                                           "IS NULL",
                                           "IS NOT TRUE",
                                           "BETWEEN",
                                           "IN (1, 2)",
                                           "CASE WHEN",
                                           "THEN",
                                           "ELSE",
                                           "END",
                                           "1",
                                           "2.5",
                                           "'x'",
                                           "'1'",
                                           "NULL",
                                           "true",
                                           "AS a",
                                           "AS b",
                                           "tumble(readings, INTERVAL '1 minute')",
                                           "hop(readings, size => INTERVAL '5 min', slide =>",
                                           "INTERVAL '1 min'",
                                           "readings",
                                           "*",
                                           "DISTINCT",
                                           "FILTER (WHERE ok)",
                                           "OVER ()",
                                           "lag(level)",
                                           "OVER (PARTITION BY ok ORDER BY observed_at ROWS",
                                           "2 PRECEDING",
                                           "1 FOLLOWING)",
                                           "WINDOW w AS (ORDER BY observed_at)",
                                           "::bigint",
                                           "coalesce(",
                                           "nullif(level, 1)",
                                           "percentile_cont(0.5) WITHIN GROUP (ORDER BY level)",
                                           "ORDER BY",
                                           "LIMIT 1",
                                           "JOIN",
                                           "UNION",
                                           "ARRAY[1]",
                                           "[1]",
                                           ".",
                                           "\"q\"",
                                           "$1",
                                           ";",
                                           "--",
                                           "/*",
                                           "\u00e9"};
  const std::vector<std::string> statement = {
      "SELECT",    "window_end", ",",
      "device_id", ",",          "count(*)",
      "AS a",      ",",          "avg(level)",
      "+",         "1",          "AS b",
      ",",         "CASE WHEN",  "max(",
      "level",     ")",          ">",
      "1",         "THEN",       "'x'",
      "ELSE",      "device_id",  "END",
      "AS c",      "FROM",       "tumble(readings, INTERVAL '1 minute')",
      "WHERE",     "level",      "BETWEEN",
      "1",         "AND",        "2.5",
      "GROUP BY",  "window_end", ",",
      "device_id", "HAVING",     "count(*)",
      ">",         "1"};
  std::string whole;
  for (const std::string& token : statement) whole += token + " ";
  ASSERT_EQ(TestJob().Readings().Query("q", whole).Sink("q").Messages(), "");
  uint64_t state = 20261121;
  const auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return size_t(state >> 33) % below;
  };
  int planned = 0;
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> mutated = statement;
    for (size_t n = 1 + random(3); n > 0; --n) {
      const size_t at = random(mutated.size());
      switch (random(3)) {
        case 0:
          mutated[at] = tokens[random(tokens.size())];
          break;
        case 1:
          mutated.insert(mutated.begin() + long(at), tokens[random(tokens.size())]);
          break;
        default:
          mutated.erase(mutated.begin() + long(at));
          break;
      }
    }
    std::string sql;
    for (const std::string& token : mutated) sql += token + " ";
    TestJob job;
    if (round % 4 == 0) {
      job.Readings().Alert("A", "readings", sql.substr(random(sql.size()))).Sink("");
    } else {
      job.Readings().Query("q", sql).Sink("q");
    }
    const JobPlan plan = job.Plan();
    if (job.diagnostics().has_errors()) {
      ++refused;
      EXPECT_TRUE(plan.nodes.empty());
      continue;
    }
    ++planned;
    EXPECT_EQ(FormatPlan(plan).substr(0, 8), "job test");
  }
  EXPECT_GT(planned, 300);
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace millrace
