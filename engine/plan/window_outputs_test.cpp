// What windows give out beyond a row at their end: late readings, changes, the first rows, panes.
#include <gmock/gmock.h>

#include "engine/plan/plan.h"
#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

TEST(WindowOutputs, ShowsLatenessChangesAndTheFirstRowsOfAWindow) {
  TestJob job;
  job.Readings()
      .Query("metrics",
             "SELECT window_end, device_id, count(*) AS records FROM tumble(readings, "
             "INTERVAL '1 minute') GROUP BY window_end, device_id")
      .Query("hottest",
             "SELECT window_end, device_id FROM tumble(readings, INTERVAL '1 minute') "
             "GROUP BY window_end, device_id "
             "ORDER BY max(temperature) DESC NULLS LAST, device_id LIMIT 3")
      .Sink("metrics")
      .Sink("hottest");
  auto& metrics = std::get<QueryStreamSpec>(job.spec().streams[1].kind);
  metrics.allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
  metrics.changes_every = PlacedDuration{std::chrono::seconds(5), {8, 1}};
  job.spec().sinks[0].rows = SinkRows::kChanges;
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const std::string shown = FormatPlan(plan);
  EXPECT_EQ(shown.substr(shown.find("  project metrics.input")),
            R"(  project metrics.input
      columns: observed_at, device_id
    exchange by hash(device_id)
    window metrics.window: tumble 1m
        event time: observed_at
        final: 5m after the window's end
        changes: rows at the window's end, corrections, running rows every 5s
        keys: device_id
        aggregates: count(*)
      project metrics.output
          columns: window_end, device_id, count(*) AS records
        sink sink.0: console
            keys: window_end, device_id
            rows: changes
            time: window_end
  project hottest.input
      columns: observed_at, device_id, temperature
    exchange by hash(device_id)
    window hottest.window: tumble 1m
        event time: observed_at
        keys: device_id
        aggregates: max(temperature)
      project hottest.output
          columns: window_end, device_id, max(temperature) AS order, window_end - INTERVAL '1 microseconds' AS event_time
        limit hottest.limit: of each batch the first 3 by order desc nulls last, device_id
          exchange by window_end
          top hottest.top: of each window the first 3 by order desc nulls last, device_id
            project hottest.first
                columns: window_end, device_id
              sink sink.1: console
                  keys: device_id
                  time: window_end
)");
  EXPECT_EQ(plan.UpstreamsOf(NodeNamed(plan, "sink.0").id).front().delay, std::chrono::minutes(5));
  EXPECT_EQ(plan.UpstreamsOf(NodeNamed(plan, "metrics.window").id).front().delay, Micros(0));
}

// Windows that cumulate have their start in common: their rows must not replace each other.
TEST(WindowOutputs, ChangesOfWindowsThatCumulateAreKnownByTheirEnd) {
  TestJob job;
  job.Readings()
      .Query("q",
             "SELECT window_start, window_end, device_id, count(*) AS n "
             "FROM cumulate(readings, INTERVAL '4 minutes', INTERVAL '1 minute') "
             "GROUP BY window_start, device_id")
      .Sink("q");
  auto& query = std::get<QueryStreamSpec>(job.spec().streams[1].kind);
  query.allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
  job.spec().sinks[0].rows = SinkRows::kChanges;
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(std::get<SinkNode>(NodeNamed(plan, "sink.0").kind).keys, (std::vector<int>{0, 1, 2}));
}

// A record replaces the one before it of the same key.
TEST(WindowOutputs, AKeyOfChangesHoldsTheWindowAndWhatIsGrouped) {
  const auto messages = [](const std::string& select, const std::string& from,
                           std::vector<std::string> key) {
    TestJob job;
    job.Readings().Query("q", "SELECT " + select + ", count(*) AS n FROM " + from).Sink("q");
    auto& query = std::get<QueryStreamSpec>(job.spec().streams[1].kind);
    query.allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
    SinkSpec& sink = job.spec().sinks[0];
    sink.rows = SinkRows::kChanges;
    KafkaSinkSpec kafka;
    kafka.topic = "out";
    for (std::string& name : key) kafka.key.push_back({std::move(name), {9, 20}});
    sink.target = std::move(kafka);
    return job.Messages();
  };
  const std::string minute = "tumble(readings, INTERVAL '1 minute') GROUP BY window_end, device_id";
  const std::string both = "window_start, window_end, device_id AS device";
  const std::string refused =
      "9:20 with rows: changes the key holds the window and the grouping columns, so that a row "
      "replaces no other one's; add ";
  EXPECT_EQ(messages(both, minute, {"device", "window_end"}), "");
  EXPECT_EQ(messages(both, minute, {"window_start", "n", "device"}), "");
  EXPECT_EQ(messages(both, minute, {"device"}), refused + "window_end\n");
  EXPECT_EQ(messages(both, minute, {"window_end"}), refused + "device\n");
  EXPECT_EQ(messages(both, minute, {"n"}), refused + "window_end, device\n");
  const std::string day =
      "cumulate(readings, INTERVAL '4 minutes', INTERVAL '1 minute') GROUP BY window_start, "
      "window_end, device_id";
  EXPECT_EQ(messages(both, day, {"window_end", "device"}), "");
  EXPECT_EQ(messages(both, day, {"window_start", "device"}), refused + "window_end\n");
}

TEST(WindowOutputs, RefusesChangesThatCouldNotBeTakenBackOrKnown) {
  const auto messages = [](const std::string& sql, bool late, bool emits,
                           SinkRows rows = SinkRows::kChanges) {
    TestJob job;
    job.Readings().Query("q", sql).Sink("q");
    auto& query = std::get<QueryStreamSpec>(job.spec().streams[1].kind);
    if (late) query.allowed_lateness = PlacedDuration{std::chrono::minutes(5), {7, 1}};
    if (emits) query.changes_every = PlacedDuration{std::chrono::seconds(5), {8, 1}};
    job.spec().sinks[0].rows = rows;
    job.spec().sinks[0].rows_place = {9, 1};
    return job.Messages();
  };
  const std::string minute = "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end";
  EXPECT_EQ(messages("SELECT device_id FROM readings", true, true),
            "7:1 allowed_lateness needs a window in this query; say it of the stream with "
            "tumble(...) or hop(...)\n"
            "8:1 emit needs a window in this query; say it of the stream with tumble(...) or "
            "hop(...)\n");
  EXPECT_EQ(messages("SELECT window_end, count(*) AS n " + minute, false, false),
            "9:1 rows of 'q' do not change; add allowed_lateness or emit to a stream with "
            "tumble(...) or hop(...), and take its rows\n");
  EXPECT_EQ(
      messages("SELECT window_end, count(*) AS n " + minute + " HAVING count(*) > 1", true, false),
      "9:1 rows: changes does not go with HAVING in 'q': a row that was given out and then "
      "left out could not be taken back; filter in a stream over 'q', or take final rows\n");
  EXPECT_EQ(messages("SELECT count(*) AS n " + minute + ", device_id", true, false),
            "9:1 rows: changes needs to know the window and the key of 'q'; select window_end, "
            "device_id there\n");
  EXPECT_EQ(
      messages("SELECT window_start, count(*) AS n FROM cumulate(readings, INTERVAL '4 minutes', "
               "INTERVAL '1 minute') GROUP BY window_start",
               true, false),
      "9:1 rows: changes needs to know the window and the key of 'q'; select window_end "
      "there\n");
  const std::string session =
      "SELECT window_start, window_end, count(*) AS n FROM session(readings, INTERVAL '1 minute') "
      "GROUP BY window_start, window_end";
  EXPECT_EQ(messages(session, true, false),
            "9:1 rows of 'q' do not change; sessions are given out once, when they are final\n");
  EXPECT_EQ(messages(session, false, true),
            "8:1 emit does not go with session; what a session's row is known by, its start and "
            "end, changes as it grows\n");
  EXPECT_EQ(messages(session, true, false, SinkRows::kFinal), "");
  EXPECT_EQ(
      messages("SELECT window_end, count(*) AS n " + minute, false, true, SinkRows::kFinal),
      "8:1 warning: no sink takes the running rows of 'q'; say rows: changes in a kafka or console "
      "sink of it\n");
}

TestJob TwoWindows(const std::string& giver, const std::string& taker) {
  TestJob job;
  job.Readings().Query("minutes", giver).Query("fives", taker).Sink("fives");
  std::get<QueryStreamSpec>(job.spec().streams[2].kind).panes_of = PlacedText{"minutes", {7, 1}};
  return job;
}

TEST(WindowOutputs, ShowsWhosePanesAWindowTakes) {
  TestJob job = TwoWindows(
      "SELECT window_end, device_id, count(*) AS n FROM tumble(readings, INTERVAL '1 minute') "
      "GROUP BY window_end, device_id",
      "SELECT window_end, device_id, count(*) + 1 AS n FROM tumble(readings, "
      "INTERVAL '5 minutes') GROUP BY window_end, device_id");
  EXPECT_EQ(job.Messages(), "");
  const JobPlan plan = job.Plan();
  const std::string shown = FormatPlan(plan);
  EXPECT_EQ(shown.substr(shown.find("  project minutes.input")),
            R"(  project minutes.input
      columns: observed_at, device_id
    exchange by hash(device_id)
    window minutes.window: tumble 1m
        event time: observed_at
        keys: device_id
        aggregates: count(*)
      project minutes.output
          columns: window_end, device_id, count(*) AS n
  project fives.input
      columns: observed_at, device_id
    exchange by hash(device_id)
    window fives.window: tumble 5m
        event time: observed_at
        panes of: minutes.window
        keys: device_id
        aggregates: count(*)
      project fives.output
          columns: window_end, device_id, count(*) + 1 AS n
        sink sink.0: console
            keys: device_id
            time: window_end
)");
  const NodeId giver = NodeNamed(plan, "minutes.window").id;
  EXPECT_EQ(plan.TakersOfPanes(giver), std::vector<NodeId>{NodeNamed(plan, "fives.window").id});
  EXPECT_TRUE(std::get<WindowAggregateNode>(plan.node(giver).kind).gives_panes);
  // State that lacks what is in the other's panes is not taken for one that has all.
  EXPECT_TRUE(FormatKeyedInput(plan, NodeNamed(plan, "fives.window"))
                  .ends_with(" of readings by panes of minutes.window"));
}

TEST(WindowOutputs, RefusesPanesThatAreNotWhatAWindowNeeds) {
  const std::string from = " FROM tumble(readings, INTERVAL '1 minute') ";
  const std::string group = "GROUP BY window_end, device_id";
  const std::string fives = "SELECT count(*) AS n FROM tumble(readings, INTERVAL '5 minutes') ";
  const auto message = [](const std::string& giver, const std::string& taker) {
    return TwoWindows(giver, taker).Messages();
  };
  const std::string count = "SELECT count(*) AS n";
  EXPECT_EQ(message("SELECT device_id FROM readings", fives + group),
            "7:1 'minutes' is not a window over 'readings'\n");
  EXPECT_EQ(message(count + from + "WHERE level > 1 " + group, fives + group),
            "7:1 'minutes' has another WHERE\n");
  EXPECT_EQ(message(count + from + "GROUP BY window_end", fives + group),
            "7:1 'minutes' is grouped by other columns\n");
  EXPECT_EQ(message("SELECT max(level) AS n" + from + group, fives + group),
            "7:1 'minutes' has other aggregates, or in another order\n");
  const std::string median = "SELECT median(temperature) AS n FROM tumble(readings, INTERVAL '";
  EXPECT_EQ(message(median + "1 minute') " + group, median + "5 minutes') " + group),
            "7:1 what median(temperature) keeps of a pane has no fixed size: such panes are not "
            "handed on\n");
  EXPECT_EQ(message(count + " FROM tumble(readings, INTERVAL '2 minutes') " + group, fives + group),
            "7:1 its windows are not put together from panes of 'minutes', 2m long\n");
  EXPECT_EQ(
      message(count + " FROM tumble(readings, INTERVAL '1 minute', INTERVAL '30 seconds') " + group,
              fives + group),
      "7:1 its windows are not put together from panes of 'minutes', 1m long\n");
  EXPECT_EQ(message(count + from + group, "SELECT device_id FROM readings"),
            "7:1 panes_of needs a window in this query\n");
  EXPECT_EQ(message(count + from + group,
                    count + " FROM session(readings, INTERVAL '1 minute') " + group),
            "7:1 panes_of does not go with session: it has no panes\n");

  TestJob job = TwoWindows(count + from + group, fives + group);
  auto& giver = std::get<QueryStreamSpec>(job.spec().streams[1].kind);
  auto& taker = std::get<QueryStreamSpec>(job.spec().streams[2].kind);
  giver.allowed_lateness = PlacedDuration{std::chrono::minutes(1), {8, 1}};
  EXPECT_EQ(job.Messages(),
            "7:1 panes of 'minutes' change after their end: it has allowed_lateness\n");
  giver.allowed_lateness->value = Micros(0);
  EXPECT_EQ(job.Messages(), "");
  giver.allowed_lateness.reset();
  const std::string unused =
      "2:5 warning: nothing uses stream 'minutes'; add a sink, an alert or a query that reads "
      "it\n";
  taker.panes_of = PlacedText{"minute", {7, 1}};
  EXPECT_EQ(job.Messages(), "7:1 unknown stream 'minute'; did you mean 'minutes'?\n" + unused);
  taker.panes_of = PlacedText{"fives", {7, 1}};
  EXPECT_EQ(job.Messages(), "7:1 streams take each other's panes in a cycle\n" + unused);
}

}  // namespace
}  // namespace millrace
