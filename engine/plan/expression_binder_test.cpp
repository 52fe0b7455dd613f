// What expressions are bound to: casts that become visible, types, and what is refused.
#include "engine/plan/expression_binder.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "engine/plan/functions.h"
#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

// "FORMATTED : TYPE" of an expression over readings, or its errors. The expression begins at
// column 8 of line 10.
std::string BoundText(const std::string& expression) {
  TestJob job;
  job.Readings().Query("q", "SELECT " + expression + " AS x FROM readings").Sink("q");
  const JobPlan plan = job.Plan();
  if (job.diagnostics().has_errors()) return job.Messages();
  const PlanNode& node = NodeNamed(plan, "q");
  const Expr& expr = std::get<ProjectNode>(node.kind).columns[0];
  EXPECT_EQ(node.output.fields[0].type, expr.type);
  return FormatExpr(expr, NodeNamed(plan, "readings").output) + " : " +
         std::string(TypeName(expr.type));
}

using Cases = std::vector<std::pair<const char*, const char*>>;

void ExpectBound(const Cases& cases) {
  for (const auto& [expression, expected] : cases) {
    EXPECT_EQ(BoundText(expression), expected) << expression;
  }
}

TEST(ExpressionBinder, LiteralsHavePostgresTypes) {
  ExpectBound({
      {"1", "1 : integer"},
      {"0", "0 : integer"},
      {"-1", "-1 : integer"},
      {"- 10", "-10 : integer"},
      {"-(/* 5 /* 6 */ */ 10)", "-10 : integer"},
      {"- -- 5\n (-(-7))", "-7 : integer"},
      {"-0", "0 : integer"},
      {"-2147483647", "-2147483647 : integer"},
      {"-2147483648", "-2147483648 : integer"},
      {"2147483648", "2147483648 : bigint"},
      {"9223372036854775808", "9223372036854775808.0 : double precision"},
      {"1.50", "1.5 : double precision"},
      {"2.0", "2.0 : double precision"},
      {"1e400", "10:8 the number 1e400 is out of range for type double precision\n"},
      {"'it''s'", "'it''s' : text"},
      {"''", "'' : text"},
      {"NULL", "NULL : text"},
      {"true", "true : boolean"},
      {"false", "false : boolean"},
      {"TIMESTAMP '2022-06-13 14:14:45.5'", "TIMESTAMP '2022-06-13T14:14:45.500000Z' : timestamp"},
      {"TIMESTAMP '2022-13-13'",
       "10:18 invalid input for type timestamp: '2022-13-13'; write it like '2026-06-13 14:14:45', "
       "with or without +02\n"},
      {"INTERVAL '1 day'",
       "10:8 an interval cannot be a column; write extract(epoch FROM x) for its seconds, or "
       "x::text\n"},
      {"DATE '2024-02-29'", "DATE '2024-02-29' : date"},
      {"DATE '2024-02-29 10:00-05'", "DATE '2024-02-29' : date"},
      {"DATE '2023-02-29'", "10:13 invalid input for type date: '2023-02-29'\n"},
      {"REAL '0.1'", "0.10000000149011612 : real"},
  });
}

TEST(ExpressionBinder, ImplicitCastsAreNodes) {
  ExpectBound({
      {"temperature + 1", "temperature + 1.0 : double precision"},
      {"level + fire_alarm", "level::bigint + fire_alarm : bigint"},
      {"level / 2", "level / 2 : integer"},
      {"level + 1 > temperature", "(level + 1)::double precision > temperature : boolean"},
      {"temperature > '80'", "temperature > 80.0 : boolean"},
      {"level = '7'", "level = 7 : boolean"},
      {"level = 'x'", "10:16 invalid input for type integer: 'x'\n"},
      {"observed_at > '2022-06-13'",
       "observed_at > TIMESTAMP '2022-06-13T00:00:00.000000Z' : boolean"},
      {"ok = 'yes'", "ok = true : boolean"},
      {"device_id || level", "device_id || level::text : text"},
      {"observed_at - INTERVAL '1 min 30 s'", "observed_at - INTERVAL '90 seconds' : timestamp"},
      {"temperature + NULL", "temperature + NULL : double precision"},
      {"device_id + level",
       "10:18 operator does not exist: text + integer; a cast may be needed, such as x::double "
       "precision\n"},
      {"ok > level", "10:11 operator does not exist: boolean > integer\n"},
      {"-device_id", "10:8 operator does not exist: - text\n"},
  });
}

TEST(ExpressionBinder, CastsAreThoseOfPostgres) {
  ExpectBound({
      {"device_id::double precision", "device_id::double precision : double precision"},
      {"CAST(temperature AS integer)", "temperature::integer : integer"},
      {"temperature::numeric", "temperature : double precision"},
      {"'12'::bigint", "12 : bigint"},
      {"ok::int", "ok::integer : integer"},
      {"NULL::integer", "NULL : integer"},
      {"ok::bigint", "10:10 cannot cast type boolean to bigint\n"},
      {"observed_at::integer", "10:19 cannot cast type timestamp to integer\n"},
      {"temperature::numeric(10, 2)", "10:29 a type modifier such as (10, 2) is not supported\n"},
      {"device_id::date", "device_id::date : date"},
      {"observed_at::date", "observed_at::date : date"},
      {"level::date", "10:13 cannot cast type integer to date\n"},
      {"temperature::real", "temperature::real : real"},
      {"device_id::time",
       "10:19 type 'time' is not supported; known: boolean, integer, bigint, real, double, text, "
       "date, timestamp, json\n"},
      {"level::int[]", "10:15 an array type is not supported\n"},
  });
}

TEST(ExpressionBinder, LogicAndTests) {
  ExpectBound({
      {"ok AND level > 1 AND NOT ok", "ok AND (level > 1) AND (NOT ok) : boolean"},
      {"ok OR NULL", "ok OR NULL : boolean"},
      {"level AND ok", "10:8 argument of AND must be type boolean, not type integer\n"},
      {"level IS NULL", "level IS NULL : boolean"},
      {"level + 1 IS NOT NULL", "(level + 1) IS NOT NULL : boolean"},
      {"ok IS TRUE", "coalesce(ok, false) : boolean"},
      {"ok IS NOT FALSE", "NOT coalesce(NOT ok, false) : boolean"},
      {"ok IS UNKNOWN", "ok IS NULL : boolean"},
      {"level IS TRUE", "10:8 argument of IS TRUE must be type boolean, not type integer\n"},
      {"level IN (1, 2)", "(level = 1) OR (level = 2) : boolean"},
      {"level NOT IN (1, 2.5)", "(level <> 1) AND (level::double precision <> 2.5) : boolean"},
      {"device_id IN ('a')", "device_id = 'a' : boolean"},
      {"temperature BETWEEN 1 AND 2", "(temperature >= 1.0) AND (temperature <= 2.0) : boolean"},
      {"level NOT BETWEEN 1 AND 2", "(level < 1) OR (level > 2) : boolean"},
      {"level IS DISTINCT FROM 1", "level IS DISTINCT FROM 1 : boolean"},
      {"level IS NOT DISTINCT FROM NULL", "NOT (level IS DISTINCT FROM NULL) : boolean"},
      {"device_id LIKE 'a%'", "device_id LIKE 'a%' : boolean"},
      {"device_id NOT ILIKE 'a%'", "device_id NOT ILIKE 'a%' : boolean"},
      {"device_id LIKE 'a' ESCAPE 'x'", "device_id LIKE like_escape('a', 'x') : boolean"},
  });
}

TEST(ExpressionBinder, ConditionalsHaveOneType) {
  ExpectBound({
      {"CASE WHEN ok THEN 1 ELSE 2.5 END", "CASE WHEN ok THEN 1.0 ELSE 2.5 END : double precision"},
      {"CASE WHEN ok THEN 1 END", "CASE WHEN ok THEN 1 ELSE NULL END : integer"},
      {"CASE level WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE device_id END",
       "CASE WHEN level = 1 THEN 'one' WHEN level = 2 THEN 'two' ELSE device_id END : text"},
      {"CASE WHEN ok THEN 1 ELSE '2' END", "CASE WHEN ok THEN 1 ELSE 2 END : integer"},
      {"CASE WHEN ok THEN 1 ELSE device_id END",
       "10:33 CASE types integer and text cannot be matched\n"},
      {"CASE WHEN level THEN 1 END",
       "10:18 argument of CASE/WHEN must be type boolean, not type integer\n"},
      {"coalesce(level, temperature, 0)",
       "coalesce(level::double precision, temperature, 0.0) : double precision"},
      {"nullif(temperature, 0)", "nullif(temperature, 0.0) : double precision"},
      {"greatest(level, fire_alarm)", "greatest(level::bigint, fire_alarm) : bigint"},
      {"least(1, device_id)", "10:17 LEAST types integer and text cannot be matched\n"},
  });
}

TEST(ExpressionBinder, FunctionsAndNames) {
  ExpectBound({
      {"abs(level)", "abs(level) : integer"},
      {"sqrt(level)", "sqrt(level::double precision) : double precision"},
      {"extract(hour FROM observed_at)", "date_part('hour', observed_at) : double precision"},
      {"position('a' IN device_id)", "strpos(device_id, 'a') : integer"},
      {"substring(device_id FROM 1 FOR 2)", "substring(device_id, 1, 2) : text"},
      {"readings.level", "level : integer"},
      {"sqr(level)", "10:8 unknown function 'sqr'; did you mean 'sqrt'?\n"},
      {"sqrt(device_id)",
       "10:8 function does not exist: sqrt(text); there is sqrt(double precision)\n"},
      {"temprature", "10:8 unknown column 'temprature'; did you mean 'temperature'?\n"},
      {"reading.level", "10:8 'reading' is not in FROM; did you mean 'readings'?\n"},
      {"\"Level\"", "10:8 unknown column 'Level'; did you mean 'level'?\n"},
      {"LEVEL", "level : integer"},
      {"string_agg(device_id, ',')",
       "10:8 an aggregate needs a window; add FROM tumble(...) or hop(...)\n"},
      {"\"not\"(ok)", "10:8 unknown function 'not'; did you mean 'cot'?\n"},
  });
}

TEST(ExpressionBinder, RefusesByNameWithPlace) {
  ExpectBound({
      {"(SELECT 1)", "10:8 a subquery is not supported\n"},
      {"level = ANY (ARRAY[1])", "10:14 ANY (array) is not supported\n"},
      {"ARRAY[1]", "10:8 ARRAY is not supported\n"},
      {"ROW(1, 2)", "10:8 ROW is not supported\n"},
      {"$1", "10:8 a parameter such as $1 is not supported\n"},
      {"current_timestamp",
       "10:8 CURRENT_TIMESTAMP or another value of the session is not supported\n"},
      {"device_id COLLATE \"C\"", "10:18 COLLATE is not supported\n"},
      {"device_id SIMILAR TO device_id",
       "10:29 the pattern of SIMILAR TO must be a literal; match with ~\n"},
      {"device_id ~ '('", "10:20 invalid regular expression: missing ): (\n"},
      {"regexp_replace(device_id, 'a', 'b', 'x')",
       "10:34 invalid regular expression: option 'x' is not supported; known: i, c, g\n"},
      {"level OPERATOR(pg_catalog.+) 1", "10:14 OPERATOR(...) is not supported\n"},
      {"row_number() OVER (ORDER BY level)",
       "10:36 OVER orders rows by their event time, 'observed_at'; write ORDER BY observed_at\n"},
      {"abs(level) OVER ()", "10:24 OVER does not go with abs(): it is no window function\n"},
      {"abs(DISTINCT level)", "10:8 DISTINCT in an argument list is not supported\n"},
      {"abs(level) FILTER (WHERE ok)", "10:33 FILTER here is not supported\n"},
      {"abs(x => level)", "10:12 a named argument here is not supported\n"},
      {"concat(VARIADIC device_id)", "10:8 VARIADIC is not supported\n"},
      {"s.abs(level)", "10:8 a schema name before a function is not supported\n"},
      {"readings.*", "10:8 * cannot have a name\n"},
      {"B'101'", "10:8 a bit string is not supported\n"},
      {"now()", "10:8 now() is not supported; a result must not depend on when it is computed\n"},
  });
}

TEST(ExpressionBinder, TellsOperatorsThatDoNotExist) {
  ExpectBound({
      {"device_id @@ 'a'", "10:18 operator @@ is not supported\n"},
      {"level && 1", "10:14 operator && is not supported\n"},
      {"@ level", "@level : integer"},
      {"level + device_id",
       "10:14 operator does not exist: integer + text; a cast may be needed, such as x::double "
       "precision\n"},
      {"observed_at - observed_at",
       "10:20 an interval cannot be a column; write extract(epoch FROM x) for its seconds, or "
       "x::text\n"},
      {"observed_at + 1", "10:20 operator does not exist: timestamp + integer\n"},
      {"INTERVAL '1 s' > 2",
       "10:23 operator does not exist: interval > integer; for the seconds of an interval write "
       "extract(epoch FROM x)\n"},
  });
}

TEST(ExpressionBinder, KnowsTimeZones) {
  ExpectBound({
      {"observed_at AT TIME ZONE 'CET'", "timezone('CET', observed_at) : timestamp"},
      {"timezone(device_id, observed_at)", "timezone(device_id, observed_at) : timestamp"},
      {"observed_at AT TIME ZONE 'Europe/Berlim'",
       "10:33 unknown time zone 'Europe/Berlim'; did you mean 'Europe/Berlin'?\n"},
      {"observed_at AT TIME ZONE '+02:00'",
       "10:33 unknown time zone '+02:00'; write an offset as an interval, INTERVAL '2 hours' for "
       "2 hours east of Greenwich\n"},
      {"observed_at AT TIME ZONE INTERVAL '1 month'",
       "10:33 the interval of a time zone must not have months or days; write INTERVAL '2 hours' "
       "or INTERVAL '-03:30'\n"},
      {"date_trunc('day', observed_at, 'Mars/Olympus')",
       "10:39 unknown time zone 'Mars/Olympus'; write a name such as Europe/Berlin, or an "
       "interval\n"},
  });
}

// PostgreSQL has a type for each; here the expression tells.
TEST(ExpressionBinder, AtTimeZoneTurnsLocalTimesBack) {
  ExpectBound({
      {"observed_at AT TIME ZONE 'CET' AT TIME ZONE 'EET'",
       "to_utc_timestamp(timezone('CET', observed_at), 'EET') : timestamp"},
      {"date_trunc('day', observed_at AT TIME ZONE 'CET') AT TIME ZONE 'CET'",
       "to_utc_timestamp(date_trunc('day', timezone('CET', observed_at)), 'CET') : timestamp"},
      {"TIMESTAMP '2022-06-13' AT TIME ZONE 'CET'",
       "to_utc_timestamp(TIMESTAMP '2022-06-13T00:00:00.000000Z', 'CET') : timestamp"},
      {"TIMESTAMPTZ '2022-06-13' AT TIME ZONE 'CET'",
       "timezone('CET', TIMESTAMP '2022-06-13T00:00:00.000000Z') : timestamp"},
      {"(DATE '2022-06-13' + INTERVAL '1 hour') AT TIME ZONE 'CET'",
       "to_utc_timestamp(DATE '2022-06-13' + INTERVAL '3600 seconds', 'CET') : timestamp"},
      {"date_trunc('day', observed_at) AT TIME ZONE 'CET'",
       "timezone('CET', date_trunc('day', observed_at)) : timestamp"},
      {"coalesce(observed_at AT TIME ZONE 'CET', NULL) AT TIME ZONE 'CET'",
       "to_utc_timestamp(coalesce(timezone('CET', observed_at), NULL), 'CET') : timestamp"},
      {"coalesce(observed_at AT TIME ZONE 'CET', observed_at) AT TIME ZONE 'CET'",
       "timezone('CET', coalesce(timezone('CET', observed_at), observed_at)) : timestamp"},
  });
}

TEST(ExpressionBinder, MakesIntervals) {
  ExpectBound({
      {"make_interval(days => level, secs => 1)::text",
       "make_interval(0, 0, 0, level, 0, 0, 1.0)::text : text"},
      {"make_interval(1, 2)::text", "make_interval(1, 2, 0, 0, 0, 0, 0.0)::text : text"},
      {"make_interval(day => 1)::text",
       "10:22 make_interval() has no argument 'day'; did you mean 'days'?\n"},
      {"make_interval(hours => 1, 2)::text",
       "10:34 an argument without a name cannot follow one with a name\n"},
      {"extract(hour FROM DATE '2022-06-13')",
       "10:16 a date has no unit 'hour'; cast the date to timestamp, or use date_part()\n"},
      {"extract(timezone FROM DATE '2022-06-13')",
       "10:16 a date has no unit 'timezone'; cast the date to timestamp, or use date_part()\n"},
      {"extract(epoch FROM DATE '2022-06-13')",
       "date_part('epoch', DATE '2022-06-13') : double precision"},
      {"date_part('hour', DATE '2022-06-13')",
       "date_part('hour', DATE '2022-06-13') : double precision"},
      {"(INTERVAL '1.7' HOUR)::text", "INTERVAL '3600 seconds'::text : text"},
      {"(INTERVAL '1.5' DAY)::text", "INTERVAL '1 days'::text : text"},
      {"(INTERVAL '1.5' SECOND)::text", "INTERVAL '1500000 microseconds'::text : text"},
      {"(INTERVAL 'x' HOUR)::text",
       "10:18 invalid input for type interval: 'x'; write numbers with units, such as "
       "'90 minutes'\n"},
      {"make_interval(1, years => 1)::text",
       "10:25 argument 'years' of make_interval() is given twice\n"},
      {"extract(week FROM INTERVAL '1 day')", "10:16 an interval has no unit 'week'\n"},
  });
}

TEST(ExpressionBinder, KnowsUnitsOfTime) {
  ExpectBound({
      {"date_trunc('HOURS', observed_at)", "date_trunc('HOURS', observed_at) : timestamp"},
      {"extract(dow FROM observed_at)", "date_part('dow', observed_at) : double precision"},
      {"date_trunc(device_id, observed_at)", "date_trunc(device_id, observed_at) : timestamp"},
      {"date_trunc('hou', observed_at)",
       "10:19 unknown unit of time 'hou' for date_trunc; did you mean 'hour'?\n"},
      {"date_trunc('dow', observed_at)", "10:19 unknown unit of time 'dow' for date_trunc\n"},
      {"extract(fortnight FROM observed_at)",
       "10:16 unknown unit of time 'fortnight' for date_part\n"},
  });
}

TEST(ExpressionBinder, KnowsTemplatesOfNumbers) {
  const std::string hint = "; write it like 'FM999,990.00'\n";
  const std::string refused = "10:23 invalid template of a number: ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"9.9.9", "multiple decimal points"},
      {"9V9D9", "cannot use \"V\" and decimal point together"},
      {"9.9V9", "cannot use \"V\" and decimal point together"},
      {"9PR9", "\"9\" must be ahead of \"PR\""},
      {"9PR0", "\"0\" must be ahead of \"PR\""},
      {"S9S", "cannot use \"S\" twice"},
      {"S9MI", "cannot use \"S\" and \"MI\" together"},
      {"S9PL", "cannot use \"S\" and \"PL\" together"},
      {"S9SG", "cannot use \"S\" and \"SG\" together"},
      {"9MIS", "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"},
      {"9MIPR", "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"},
      {"9EEEE9", "\"EEEE\" must be the last pattern used"},
      {"9EEEEEEEE", "cannot use \"EEEE\" twice"},
      {"SG9EEEE", "\"EEEE\" is incompatible with other formats"},
      {std::string(10'001, '9'), "it is longer than 10,000 bytes"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_EQ(BoundText("to_char(level, '" + text + "')"), refused + error + hint) << text;
  }
  ExpectBound({
      {"to_char(level, 'FM999,990.00 \"9.9.9\" x')",
       "to_char(level, 'FM999,990.00 \"9.9.9\" x') : text"},
      {"to_char(temperature, device_id)", "to_char(temperature, device_id) : text"},
      {"to_char(observed_at, '9.9.9')", "to_char(observed_at, '9.9.9') : text"},
  });
}

TEST(ExpressionBinder, TellsPlacesInCharactersAndLines) {
  EXPECT_EQ(BoundText("'\u00e9\u00e9' || temprature"),
            "10:16 unknown column 'temprature'; did you mean 'temperature'?\n");
  EXPECT_EQ(BoundText("'\u00e9\u00e9' || )"), "10:16 syntax error at or near \")\"\n");
  EXPECT_EQ(BoundText("level,\n  humidty"),
            "11:3 unknown column 'humidty'; did you mean 'humidity'?\n");
}

std::string Nested(const std::string& open, const std::string& close, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += open;
  text += "level";
  for (int i = 0; i < times; ++i) text += close;
  return text;
}

TEST(ExpressionBinder, BoundsDepthLengthAndCopies) {
  const std::string deep = "10:1 the SQL is nested too deeply; at most 200 levels are allowed\n";
  EXPECT_EQ(BoundText(Nested("abs(", ")", 150)).substr(0, 8), "abs(abs(");
  EXPECT_EQ(BoundText(Nested("abs(", ")", 250)), deep);
  EXPECT_EQ(BoundText(Nested("", "+1", 150)).substr(0, 3), "(((");
  EXPECT_EQ(BoundText(Nested("", "+1", 30'000)), deep);
  const std::string deeper = BoundText(Nested("(", ")", 15'000));
  EXPECT_EQ(deeper.substr(deeper.find(' ')), deep.substr(deep.find(' ')));
  EXPECT_EQ(BoundText(Nested("", " AND ok", 2000)),
            "10:8 argument of AND must be type boolean, not type integer\n");
  EXPECT_EQ(BoundText(std::string(70'000, '1')), "10:1 the SQL is longer than 65536 bytes\n");
  const std::string doubling = BoundText(Nested("(", " BETWEEN 1 AND 2)::int", 40));
  EXPECT_NE(doubling.find("the expression is too large; BETWEEN, IN and CASE repeat what stands "
                          "before them"),
            std::string::npos)
      << doubling;
}

}  // namespace
}  // namespace millrace
