// Queries: windows, grouping, aggregates, and what each mistake is told as.
#include "engine/plan/query_binder.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

const char* const kMinute = " FROM tumble(readings, INTERVAL '1 minute') ";

std::string Messages(const std::string& sql) {
  return TestJob().Readings().Query("q", sql).Sink("q").Messages();
}

using Cases = std::vector<std::pair<std::string, std::string>>;

void ExpectMessages(const Cases& cases) {
  for (const auto& [sql, expected] : cases) EXPECT_EQ(Messages(sql), expected) << sql;
}

// Windows

struct WindowCase {
  const char* from;
  Micros size, slide, pane, offset;
};

TEST(QueryBinder, ReadsWindows) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  const std::vector<WindowCase> cases = {
      {"tumble(readings, INTERVAL '1 minute')", minutes(1), minutes(1), minutes(1), minutes(0)},
      {"tumble(readings, size => INTERVAL '90' SECOND)", seconds(90), seconds(90), seconds(90),
       seconds(0)},
      {"tumble(readings, INTERVAL '1 hour', INTERVAL '-15 minutes')", minutes(60), minutes(60),
       minutes(60), minutes(45)},
      {"hop(readings, slide => INTERVAL '00:01:00', size => '5 min'::interval)", minutes(5),
       minutes(1), minutes(1), minutes(0)},
      {"hop(readings, INTERVAL '5 minutes', INTERVAL '2 minutes', \"offset\" => INTERVAL '130 s')",
       minutes(5), minutes(2), minutes(1), seconds(10)},
      {"hop(readings, INTERVAL '1 day 12 hours', INTERVAL '1.5 hours') AS w", minutes(2160),
       minutes(90), minutes(90), minutes(0)},
  };
  for (const WindowCase& test : cases) {
    TestJob job;
    job.Readings()
        .Query("q", std::string("SELECT window_end, count(*) FROM ") + test.from +
                        " GROUP BY window_end")
        .Sink("q");
    ASSERT_EQ(job.Messages(), "") << test.from;
    const JobPlan plan = job.Plan();
    const auto& window = std::get<WindowAggregateNode>(NodeNamed(plan, "q.window").kind);
    EXPECT_EQ(window.size, test.size) << test.from;
    EXPECT_EQ(window.slide, test.slide) << test.from;
    EXPECT_EQ(window.pane, test.pane) << test.from;
    EXPECT_EQ(window.offset, test.offset) << test.from;
  }
}

TEST(QueryBinder, RefusesBadWindows) {
  const std::string head = "SELECT count(*) FROM ";  // 21 characters
  const std::string tail = " GROUP BY window_end";
  const auto with = [&](const char* from) { return head + from + tail; };
  ExpectMessages({
      {with("tumble(readings)"),
       "10:22 tumble() needs a size; write size => INTERVAL '5 minutes'\n"},
      {with("hop(readings, INTERVAL '1 h')"),
       "10:22 hop() needs a slide; write slide => INTERVAL '1 minute'\n"},
      {with("tumble(readings, INTERVAL '0 s')"), "10:39 a window's size must be more than zero\n"},
      {with("tumble(readings, INTERVAL '1 month')"),
       "10:39 a window's size must have a fixed length; months and years differ in length; write "
       "days\n"},
      {with("tumble(readings, INTERVAL '1 fortnight')"),
       "10:48 invalid input for type interval: '1 fortnight'; write numbers with units, such as "
       "'90 minutes'\n"},
      {with("tumble(readings, level)"),
       "10:39 a window's size must be an interval; write INTERVAL '5 minutes'\n"},
      {with("tumble(readings, 60)"),
       "10:39 a window's size must be an interval; write INTERVAL '5 minutes'\n"},
      {with("hop(readings, INTERVAL '1 min', INTERVAL '2 min')"),
       "10:54 a window's slide must not be longer than its size; readings between two windows "
       "would be in none\n"},
      {with("hop(readings, INTERVAL '1 hour', INTERVAL '7 ms')"),
       "10:55 a window of 1h sliding by 7ms has more than 10000 panes; choose a slide that "
       "divides the size\n"},
      {with("tumble(readings, sise => INTERVAL '1 min')"),
       "10:39 tumble() has no argument 'sise'; did you mean 'size'?\n"},
      {with("tumble(readings, INTERVAL '1 s', INTERVAL '1 s', INTERVAL '1 s')"),
       "10:71 tumble() has too many arguments; known: size, offset\n"},
      {with("tumble('x', INTERVAL '1 s')"),
       "10:29 the first argument of tumble() is the name of a stream\n"},
      {with("tumbel(readings, INTERVAL '1 s')"),
       "10:22 unknown function 'tumbel' in FROM; did you mean 'tumble'?\n"},
      {with("pivot(readings, INTERVAL '1 s')"),
       "10:22 pivot() needs a stream, a column, a value, and the texts that become columns; write "
       "pivot(readings, sensor, value, 'PS1', 'PS2')\n"},
      {with("session(readings)"),
       "10:22 session() needs a gap; write gap => INTERVAL '5 minutes'\n"},
      {with("session(readings, gap => INTERVAL '0 s')"),
       "10:47 a window's gap must be more than zero\n"},
      {with("session(readings, size => INTERVAL '1 s')"),
       "10:40 session() has no argument 'size'; known: gap\n"},
      {with("session(readings, INTERVAL '1 s', INTERVAL '1 s')"),
       "10:56 session() has too many arguments; known: gap\n"},
      {with("tumble(reading, INTERVAL '1 s')"),
       "10:29 unknown stream 'reading'; did you mean 'readings'?\n"},
  });
}

// Clauses

TEST(QueryBinder, RefusesClausesByName) {
  ExpectMessages({
      {"SELECT DISTINCT level FROM readings", "10:17 DISTINCT is not supported\n"},
      {"SELECT level FROM readings ORDER BY level",
       "10:37 ORDER BY and LIMIT need a window: a stream has no end; add FROM tumble(...) or "
       "hop(...): they give the first rows of each window\n"},
      {"SELECT level FROM readings LIMIT 5",
       "10:34 ORDER BY and LIMIT need a window: a stream has no end; add FROM tumble(...) or "
       "hop(...): they give the first rows of each window\n"},
      {"SELECT level FROM readings OFFSET 5", "10:35 OFFSET is not supported\n"},
      {"SELECT level FROM readings FOR UPDATE", "10:8 FOR UPDATE is not supported\n"},
      {"WITH a AS (SELECT 1) SELECT level FROM readings",
       "10:19 a stream's SELECT needs FROM; add FROM and the name of a stream\n"},
      {"WITH RECURSIVE a AS (SELECT level FROM a) SELECT level FROM a",
       "10:16 WITH RECURSIVE is not supported\n"},
      {"WITH a AS (SELECT level FROM readings), a AS (SELECT ok FROM readings) SELECT ok FROM a",
       "10:41 WITH query name 'a' is there twice\n"},
      {"WITH a AS (SELECT level FROM b), b AS (SELECT level FROM readings) SELECT level FROM a",
       "10:30 unknown stream 'b'; did you mean 'q'?\n"},
      {"WITH a(x, y) AS (SELECT level FROM readings) SELECT x FROM a",
       "10:6 the query has 1 columns\n"},
      {"WITH a(x, x) AS (SELECT level, ok FROM readings) SELECT x FROM a",
       "10:6 column 'x' is there twice\n"},
      {"WITH a AS (INSERT INTO readings VALUES (1)) SELECT 1 AS x FROM readings",
       "10:24 a query of WITH is a SELECT\n"},
      {"SELECT level FROM readings UNION SELECT 1",
       "10:8 UNION without ALL is not supported; write UNION ALL: to leave out what was there "
       "before, all of it would have to be kept\n"},
      {"SELECT level FROM readings EXCEPT SELECT level FROM readings",
       "10:8 INTERSECT and EXCEPT are not supported\n"},
      {"SELECT level FROM readings UNION ALL SELECT level, ok FROM readings",
       "10:45 each query of UNION ALL must have the same number of columns: the first has 1, this "
       "one 2\n"},
      {"SELECT level AS l FROM readings UNION ALL SELECT device_id FROM readings",
       "10:50 UNION types integer and text cannot be matched, of column 'l'; a cast may be "
       "needed\n"},
      {"SELECT level FROM readings UNION ALL SELECT level FROM readings ORDER BY 1",
       "10:74 ORDER BY and LIMIT of a UNION ALL are not supported; put it in parentheses in FROM "
       "of "
       "a query with a window\n"},
      {"SELECT level FROM readings UNION ALL SELECT level FROM nothing",
       "10:56 unknown stream 'nothing'; known: readings, q\n"},
      {"SELECT count(*) FROM tumble(readings, INTERVAL '1 min') GROUP BY window_end WINDOW w AS ()",
       "10:89 WINDOW is not supported\n"},
      {"SELECT level INTO t FROM readings", "10:19 INTO is not supported\n"},
      {"SELECT 1 AS x", "10:8 a stream's SELECT needs FROM; add FROM and the name of a stream\n"},
      {"VALUES (1)", "10:9 VALUES is not supported\n"},
      {"SELECT FROM readings", "10:13 the select list is empty\n"},
      {"DELETE FROM readings", "10:1 expected a SELECT statement\n"},
      {"SELECT 1; SELECT 2", "10:18 expected one SELECT statement\n"},
      {"", "10:1 expected one SELECT statement\n"},
      {"SELECT level FROM readings, readings r",
       "10:29 a join needs a condition; write JOIN ... ON a.device = b.device\n"},
      {"SELECT level FROM readings ASOF JOIN readings r ON true",
       "10:19 ASOF JOIN is written as a function; write asof_join(a, b, condition => a.device = "
       "b.device, within => INTERVAL '1 minute')\n"},
      {"SELECT level FROM (SELECT * FROM readings)", "10:19 subquery in FROM must have an alias\n"},
      {"SELECT level FROM readings, LATERAL (SELECT 1) q",
       "10:45 a join needs a condition; write JOIN ... ON a.device = b.device\n"},
      {"SELECT level FROM ONLY readings", "10:24 ONLY is not supported\n"},
      {"SELECT level FROM s.readings", "10:19 a schema name is not supported\n"},
      {"SELECT level FROM readings r(a)", "10:19 an alias with column names is not supported\n"},
      {"SELECT level FROM readings TABLESAMPLE system (1)",
       "10:40 TABLESAMPLE is not supported by this version\n"},
      {"SELECT level FROM readings WHERE", "10:33 syntax error at end of input\n"},
  });
}

TEST(QueryBinder, TellsMistakesOfUnnestAtTheirPlace) {
  ExpectMessages({
      {"SELECT s FROM readings, unnest(device_id) AS s",
       "10:32 function does not exist: unnest(text); a cast may be needed: x::json\n"},
      {"SELECT s, nothing FROM readings, unnest(level + 1) AS s WHERE later",
       "10:47 function does not exist: unnest(integer); it takes a JSON array, a column of type "
       "json\n"
       "10:63 unknown column 'later'; known: device_id, observed_at, temperature, humidity, "
       "fire_alarm, level, ok, s\n"
       "10:11 unknown column 'nothing'; known: device_id, observed_at, temperature, humidity, "
       "fire_alarm, level, ok, s\n"},
      {"SELECT s FROM readings JOIN unnest(device_id::json) AS s ON level = 1",
       "10:67 a join with an array's elements is ON true; say in WHERE which elements are "
       "wanted\n"},
      {"SELECT s FROM readings FULL JOIN unnest(device_id::json) AS s ON true",
       "10:34 an array is unfolded by CROSS JOIN or LEFT JOIN; its elements are of the stream's "
       "rows: there are none without one\n"},
      {"SELECT s FROM readings NATURAL JOIN unnest(device_id::json) AS s",
       "10:15 'isNatural' of JOIN is not supported\n"},
      {"SELECT s.* FROM readings, unnest(device_id::json) AS s(a), readings r",
       "10:60 a join needs a condition; write JOIN ... ON a.device = b.device\n"},
      {"SELECT s FROM readings CROSS JOIN json_each(device_id::json) AS s",
       "10:35 unknown function 'json_each' in FROM\n"},
      {"SELECT level FROM readings, unnest(device_id::json) AS s(level)",
       "10:8 column reference 'level' is ambiguous; write readings.level or s.level\n"},
      {"SELECT 1 AS x FROM readings, unnest(device_id::json) WITH ORDINALITY AS s(a, a)",
       "10:30 column 'a' of unnest is there twice\n"},
      {"SELECT 1 AS x FROM readings, unnest() AS s", "10:30 unnest() takes one JSON array\n"},
      {"SELECT window_end FROM readings, unnest(device_id::json) AS s",
       "10:8 unknown column 'window_end'; it comes of a window: FROM tumble(...) or hop(...)\n"},
  });
}

TEST(QueryBinder, TellsSyntaxErrorsWithinTheQuery) {
  ExpectMessages({
      {"SELECT level FROM readings WHERE\n\n", "10:33 syntax error at end of input\n"},
      {"SELECT 'abc FROM readings\nWHERE ok",
       "10:8 unterminated quoted string at or near \"'abc FROM readings\"\n"},
      {"SELECT '" + std::string(100, 'x'),
       "10:8 unterminated quoted string at or near \"'" + std::string(63, 'x') + "\"\n"},
      {"SELECT E'\\xff' AS x FROM readings",
       "10:1 invalid byte sequence for encoding \"UTF8\": 0xff\n"},
  });
}

TEST(QueryBinder, SelectItemsHaveNames) {
  ExpectMessages({
      {"SELECT level + 1 FROM readings", "10:14 this column has no name; add AS and a name\n"},
      {"SELECT level, level FROM readings",
       "10:15 column 'level' is selected twice; give one another name with AS\n"},
      {"SELECT *, level FROM readings",
       "10:11 column 'level' is selected twice; give one another name with AS\n"},
      {"SELECT r.*, 1 AS one FROM readings r", ""},
      {"SELECT readings.* FROM readings r", "10:8 'readings' is not in FROM; known: r\n"},
  });
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT abs(level), level::bigint, CASE WHEN ok THEN 1 END, coalesce(level, 0), "
             "greatest(level, 1), nullif(level, 0), temperature, CASE WHEN ok THEN 1 ELSE "
             "sqrt(level) END, '1'::integer, (CASE WHEN ok THEN 1 END)::double precision "
             "FROM readings")
      .Sink("q");
  const Schema schema = NodeNamed(job.Plan(), "q").output;
  EXPECT_EQ(schema.Names(),
            (std::vector<std::string>{"abs", "level", "case", "coalesce", "greatest", "nullif",
                                      "temperature", "sqrt", "int4", "float8"}));
  EXPECT_EQ(schema.fields[6].unit, "Cel");
}

// Grouping

TEST(QueryBinder, GroupingRules) {
  const std::string from = kMinute;
  ExpectMessages({
      {"SELECT count(*) FROM readings",
       "10:8 an aggregate needs a window; add FROM tumble(...) or hop(...)\n"},
      {"SELECT level FROM readings GROUP BY level",
       "10:37 grouping needs a window; add FROM tumble(...) or hop(...)\n"},
      {"SELECT level FROM readings HAVING ok",
       "10:35 grouping needs a window; add FROM tumble(...) or hop(...)\n"},
      {"SELECT level" + from,
       "10:8 a query over a window must group by it; add GROUP BY "
       "window_start, window_end\n"},
      {"SELECT count(*)" + from + "GROUP BY device_id",
       "10:69 a query over a window must group by it; add window_start, window_end to GROUP BY\n"},
      {"SELECT level, count(*)" + from + "GROUP BY window_end",
       "10:8 column 'level' must appear in the GROUP BY clause or be used in an aggregate "
       "function\n"},
      {"SELECT level + 1 AS a, level % 2 AS b" + from + "GROUP BY window_end, level + 1",
       "10:24 column 'level' must appear in the GROUP BY clause or be used in an aggregate "
       "function\n"},
      {"SELECT *" + from + "GROUP BY window_end",
       "10:8 * is not supported with GROUP BY; name the columns\n"},
      {"SELECT count(*)" + from + "WHERE count(*) > 1 GROUP BY window_end",
       "10:66 aggregate functions are not allowed in WHERE; use HAVING\n"},
      {"SELECT count(*)" + from + "WHERE window_end IS NULL GROUP BY window_end",
       "10:66 the window's start and end are known only after grouping; use them in SELECT or "
       "HAVING\n"},
      {"SELECT avg(max(level))" + from + "GROUP BY window_end",
       "10:12 aggregate functions cannot be nested; compute the inner one in a stream of its "
       "own\n"},
      {"SELECT count(*) FILTER (WHERE avg(level) > 1)" + from + "GROUP BY window_end",
       "10:31 aggregate functions are not allowed in FILTER\n"},
      {"SELECT count(*) FILTER (WHERE level)" + from + "GROUP BY window_end",
       "10:31 argument of FILTER must be type boolean, not type integer\n"},
      {"SELECT count(*) AS n" + from + "GROUP BY window_end, n",
       "10:8 aggregate functions are not allowed in GROUP BY\n"},
      {"SELECT count(*)" + from + "GROUP BY window_end HAVING count(*)",
       "10:87 argument of HAVING must be type boolean, not type bigint\n"},
      {"SELECT count(*)" + from + "GROUP BY window_end, 2",
       "10:81 GROUP BY position 2 is not in the select list\n"},
      {"SELECT count(*)" + from + "GROUP BY window_end, 'x'",
       "10:81 a constant in GROUP BY must be the position of a select item\n"},
      {"SELECT count(*)" + from + "GROUP BY ROLLUP (window_end)",
       "10:69 ROLLUP, CUBE and GROUPING SETS are not supported\n"},
      {"SELECT count(*)" + from + "GROUP BY DISTINCT window_end",
       "10:8 GROUP BY DISTINCT is not supported\n"},
      {"SELECT count(*)" + from + "GROUP BY window_end, date_trunc('hour', window_end)",
       "10:81 GROUP BY an expression over the window's columns is not supported; group by "
       "window_start and window_end; the expression may stand in SELECT\n"},
  });
}

TEST(QueryBinder, TellsEveryMistakeOfAQuery) {
  EXPECT_EQ(Messages("SELECT temprature, humidty,\n  sqr(level) AS s\nFROM readings\n"
                     "WHERE level + device_id"),
            "13:13 operator does not exist: integer + text; a cast may be needed, such as "
            "x::double precision\n"
            "10:8 unknown column 'temprature'; did you mean 'temperature'?\n"
            "10:20 unknown column 'humidty'; did you mean 'humidity'?\n"
            "11:3 unknown function 'sqr'; did you mean 'sqrt'?\n");
}

TEST(QueryBinder, GroupsByColumnsExpressionsAliasesAndOrdinals) {
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT window_start, device_id, level % 10 AS bucket, upper(device_id) AS name, "
             "level + 1 AS next, (level + 1) * 2 AS twice, count(*)" +
                 std::string(kMinute) + "GROUP BY 1, 2, bucket, upper(device_id), level + 1")
      .Sink("q");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const PlanNode& input = NodeNamed(plan, "q.input");
  const PlanNode& window = NodeNamed(plan, "q.window");
  EXPECT_EQ(input.output.Names(),
            (std::vector<std::string>{"observed_at", "device_id", "bucket", "upper", "level + 1"}));
  EXPECT_EQ(std::get<WindowAggregateNode>(window.kind).keys, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(window.output.Names(),
            (std::vector<std::string>{"window_start", "window_end", "device_id", "bucket", "upper",
                                      "level + 1", "count(*)"}));
  const auto& output = std::get<ProjectNode>(NodeNamed(plan, "q.output").kind);
  std::vector<int> columns;
  columns.reserve(output.columns.size());
  for (const Expr& column : output.columns) columns.push_back(column.column);
  EXPECT_EQ(columns, (std::vector<int>{0, 2, 3, 4, 5, -1, 6}));
  EXPECT_EQ(FormatExpr(output.columns[5], window.output), "level + 1 * 2");
}

// Aggregates

std::string Aggregate(const std::string& call) {
  TestJob job;
  job.Readings().Query("q", "SELECT " + call + " AS x" + kMinute + "GROUP BY window_end").Sink("q");
  const JobPlan plan = job.Plan();
  if (job.diagnostics().has_errors()) return job.Messages();
  const PlanNode& input = NodeNamed(plan, "q.input");
  const auto& window = std::get<WindowAggregateNode>(NodeNamed(plan, "q.window").kind);
  EXPECT_EQ(window.aggregates.size(), 1u);
  const AggregateSpec& spec = window.aggregates[0];
  const auto& project = std::get<ProjectNode>(input.kind);
  const Schema& source = NodeNamed(plan, "readings").output;
  const auto shown = [&](int column) {
    return column < 0 ? std::string("-") : FormatExpr(project.columns[size_t(column)], source);
  };
  return NodeNamed(plan, "q.window").output.fields[2].name + " | " + shown(spec.argument) + " " +
         std::string(TypeName(spec.argument_type)) + " | " + shown(spec.filter) + " -> " +
         std::string(TypeName(spec.result));
}

TEST(QueryBinder, AggregatesHavePostgresTypes) {
  const Cases cases = {
      {"count(*)", "count(*) | - null | - -> bigint"},
      {"count(ok)", "count(ok) | ok boolean | - -> bigint"},
      {"count(DISTINCT device_id)", "count(DISTINCT device_id) | device_id text | - -> bigint"},
      {"sum(level)", "sum(level) | level integer | - -> bigint"},
      {"sum(fire_alarm)", "sum(fire_alarm) | fire_alarm bigint | - -> double precision"},
      {"sum(temperature)",
       "sum(temperature) | temperature double precision | - -> double precision"},
      {"avg(level)", "avg(level) | level integer | - -> double precision"},
      {"min(device_id)", "min(device_id) | device_id text | - -> text"},
      {"max(observed_at)", "max(observed_at) | observed_at timestamp | - -> timestamp"},
      {"max(level + 1)", "max(level + 1) | level + 1 integer | - -> integer"},
      {"stddev(level)", "stddev(level) | level integer | - -> double precision"},
      {"bool_or(ok)", "bool_or(ok) | ok boolean | - -> boolean"},
      {"every(level > 1)", "every(level > 1) | level > 1 boolean | - -> boolean"},
      {"median(level)",
       "median(level::double precision) | level::double precision double precision | - -> double "
       "precision"},
      {"percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature)",
       "percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) | temperature double precision "
       "| - -> double precision"},
      {"count(*) FILTER (WHERE fire_alarm = 1)",
       "count(*) FILTER (WHERE fire_alarm = 1) | - null | fire_alarm = 1 -> "
       "bigint"},
      {"sum(device_id)", "10:8 function does not exist: sum(text)\n"},
      {"min(ok)", "10:8 function does not exist: min(boolean)\n"},
      {"bool_and(level)", "10:8 function does not exist: bool_and(integer)\n"},
      {"count()", "10:8 count() needs an argument; count(*) counts rows\n"},
      {"sum(*)", "10:8 function does not exist: sum(*)\n"},
      {"avg(level, 1)", "10:8 avg takes one argument, not 2\n"},
      {"sum(DISTINCT level)", "sum(DISTINCT level) | level integer | - -> bigint"},
      {"max(DISTINCT level)", "max(level) | level integer | - -> integer"},
      {"stddev(DISTINCT level)", "10:8 DISTINCT in stddev() is not supported\n"},
      {"range(level)",
       "range(level::double precision) | level::double precision double precision | - -> double "
       "precision"},
      {"last(device_id)", "last(device_id) | device_id text | - -> text"},
      {"arg_max(ok, level + 1)", "arg_max(ok, level + 1) | ok boolean | - -> boolean"},
      {"arg_max(ok)", "10:8 arg_max takes two arguments, not 1\n"},
      {"arg_min(ok, device_id)",
       "10:20 arg_min's second argument must be a number or a timestamp, not text\n"},
      {"corr(temperature, level)",
       "corr(temperature, level::double precision) | temperature double precision | - -> double "
       "precision"},
      {"corr(temperature, observed_at)",
       "10:26 corr's second argument must be a number, not timestamp\n"},
      {"mode() WITHIN GROUP (ORDER BY device_id)",
       "mode() WITHIN GROUP (ORDER BY device_id) | device_id text | - -> text"},
      {"mode(device_id)", "10:8 mode needs WITHIN GROUP; write mode() WITHIN GROUP (ORDER BY x)\n"},
      {"percentile_disc(0.5) WITHIN GROUP (ORDER BY level)",
       "percentile_disc(0.5) WITHIN GROUP (ORDER BY level) | level integer | - -> integer"},
      {"approx_percentile(level, 0.9)",
       "approx_percentile(level::double precision, 0.9) | level::double precision double "
       "precision | - -> double precision"},
      {"approx_percentile(level, level)",
       "10:33 the fraction of approx_percentile must be a number between 0 and 1; write it as a "
       "literal, such as 0.95\n"},
      {"string_agg(device_id, ', ' ORDER BY level DESC)",
       "string_agg(device_id, ', ' ORDER BY level DESC) | device_id text | - -> text"},
      {"string_agg(DISTINCT device_id, ',')",
       "string_agg(DISTINCT device_id, ',' ORDER BY device_id) | device_id text | - -> text"},
      {"string_agg(DISTINCT device_id, ',' ORDER BY level)",
       "10:52 with DISTINCT, ORDER BY must be the argument\n"},
      {"string_agg(level, ',')", "10:8 function does not exist: string_agg(integer)\n"},
      {"string_agg(device_id, device_id)",
       "10:30 the separator of string_agg must be a literal text\n"},
      {"array_agg(level)", "array_agg(level) | level integer | - -> text"},
      {"rate(level)",
       "rate(level::double precision) | level::double precision double precision | - -> double "
       "precision"},
      {"count(*) OVER ()",
       "10:22 OVER does not go with a window in FROM; write it in a query over this stream\n"},
      {"sum(level ORDER BY level)", "10:27 ORDER BY in an argument list is not supported\n"},
      {"percentile_cont(0.5)",
       "10:8 percentile_cont needs WITHIN GROUP; write percentile_cont(0.95) WITHIN GROUP (ORDER "
       "BY x)\n"},
      {"percentile_cont(95) WITHIN GROUP (ORDER BY level)",
       "10:24 the fraction of percentile_cont must be a number between 0 and 1\n"},
      {"percentile_cont(0.5) WITHIN GROUP (ORDER BY level DESC)",
       "10:52 DESC and NULLS in WITHIN GROUP are not supported; percentile_cont(f) of the "
       "descending order is percentile_cont(1 - f)\n"},
      {"percentile_cont(0.5) WITHIN GROUP (ORDER BY device_id)",
       "10:8 function does not exist: percentile_cont(text)\n"},
  };
  for (const auto& [call, expected] : cases) EXPECT_EQ(Aggregate(call), expected) << call;
}

// Only what may fail needs it.
TEST(QueryBinder, FilterGuardsTheArgument) {
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT window_end, sum(100 / level) FILTER (WHERE level <> 0) AS a, "
             "max(device_id::bigint) FILTER (WHERE ok) AS b, avg(level) FILTER (WHERE ok) AS c, "
             "median(level) FILTER (WHERE ok) AS d, sum(level + 1) AS e" +
                 std::string(kMinute) + "GROUP BY window_end")
      .Sink("q");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const Schema& readings = NodeNamed(plan, "readings").output;
  std::vector<std::string> columns;
  for (const Expr& expr : std::get<ProjectNode>(NodeNamed(plan, "q.input").kind).columns) {
    columns.push_back(FormatExpr(expr, readings));
  }
  EXPECT_EQ(columns, (std::vector<std::string>{
                         "observed_at", "CASE WHEN level <> 0 THEN 100 / level ELSE NULL END",
                         "level <> 0", "CASE WHEN ok THEN device_id::bigint ELSE NULL END", "ok",
                         "level", "level::double precision", "level + 1"}));
}

TEST(QueryBinder, ComputesWhatIsTheSameOnce) {
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT window_end, avg(temperature) AS a, avg(temperature) * 2 AS b, "
             "stddev(temperature) AS c, stddev_samp(temperature) AS d, count(*) AS n, "
             "100 - CASE WHEN count(*) < 10 THEN 20 ELSE 0 END AS score" +
                 std::string(kMinute) +
                 "GROUP BY window_end HAVING count(*) > 1 AND avg(temperature) > 0")
      .Sink("q");
  ASSERT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const PlanNode& window = NodeNamed(plan, "q.window");
  EXPECT_EQ(window.output.Names(),
            (std::vector<std::string>{"window_start", "window_end", "avg(temperature)",
                                      "stddev(temperature)", "count(*)"}));
  EXPECT_EQ(NodeNamed(plan, "q.input").output.Names(),
            (std::vector<std::string>{"observed_at", "temperature"}));
  const PlanNode& output = NodeNamed(plan, "q.output");
  const auto& project = std::get<ProjectNode>(output.kind);
  EXPECT_EQ(FormatExpr(project.columns[6], window.output),
            "100 - (CASE WHEN count(*) < 10 THEN 20 ELSE 0 END)");
  EXPECT_EQ(FormatExpr(*project.filter, window.output),
            "(count(*) > 1) AND (avg(temperature) > 0.0)");
  EXPECT_EQ(output.output.fields[1].unit, "Cel");
  EXPECT_EQ(output.output.fields[2].unit, "");
  EXPECT_EQ(output.output.fields[6].type, Type::kInteger);
}

}  // namespace
}  // namespace millrace
