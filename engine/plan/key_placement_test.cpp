// Which exchanges keep the rows of a keyed topic where they are read.
#include "engine/plan/key_placement.h"

#include <gtest/gtest.h>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

constexpr char kCounts[] =
    "SELECT window_end, device_id, count(*) AS n FROM tumble(readings, INTERVAL '1 minute') "
    "GROUP BY window_end, device_id";

TestJob& KeyedBy(TestJob& job, const std::string& stream, const std::string& column,
                 int32_t partitions = 6) {
  for (StreamSpec& spec : job.spec().streams) {
    if (spec.name != stream) continue;
    std::get<KafkaSourceSpec>(std::get<SourceStreamSpec>(spec.kind).input).keyed_by =
        KeyedBySpec{.column = {column, {}}, .partitions = partitions};
  }
  return job;
}

// "counts.window by device_id of 6", for each keyed node; "-" where it goes by hash.
std::string Placements(TestJob& job) {
  const JobPlan plan = job.Plan();
  EXPECT_EQ(job.Messages(), "");
  std::string text;
  for (const PlanNode& node : plan.nodes) {
    if (!IsKeyed(node)) continue;
    text += (text.empty() ? "" : ", ") + node.name + " ";
    if (!node.placement.has_value()) {
      text += "-";
      continue;
    }
    text += "by " + plan.node(node.input()).output.fields[size_t(node.placement->column)].name +
            " of " + std::to_string(node.placement->partitions);
  }
  return text;
}

std::string PlacementsOf(const std::string& sql, const std::string& column = "device_id") {
  TestJob job;
  job.Readings().Query("counts", sql).Sink("counts");
  KeyedBy(job, "readings", column);
  return Placements(job);
}

TEST(KeyPlacement, IsOfKeysThatAreTheColumn) {
  EXPECT_EQ(PlacementsOf(kCounts), "counts.window by device_id of 6");
  EXPECT_EQ(PlacementsOf("SELECT window_end, level, device_id AS d, count(*) AS n "
                         "FROM tumble(readings, INTERVAL '1 minute') "
                         "WHERE temperature > 3 GROUP BY window_end, level, device_id"),
            "counts.window by device_id of 6");
}

TEST(KeyPlacement, IsNotOfOtherKeys) {
  EXPECT_EQ(PlacementsOf("SELECT window_end, level, count(*) AS n "
                         "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, level"),
            "counts.window -");
  EXPECT_EQ(PlacementsOf("SELECT window_end, upper(device_id) AS d, count(*) AS n "
                         "FROM tumble(readings, INTERVAL '1 minute') "
                         "GROUP BY window_end, upper(device_id)"),
            "counts.window -");
  EXPECT_EQ(PlacementsOf("SELECT window_end, count(*) AS n "
                         "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end"),
            "counts.window -");
}

TEST(KeyPlacement, GoesThroughQueries) {
  TestJob job;
  job.Readings()
      .Query("named", "SELECT observed_at, device_id AS name, temperature FROM readings")
      .Query("minutes",
             "SELECT window_end, name, avg(temperature) AS t "
             "FROM tumble(named, INTERVAL '1 minute') GROUP BY window_end, name")
      .Query("hours",
             "SELECT window_end, name, max(t) AS t "
             "FROM tumble(minutes, INTERVAL '1 hour') GROUP BY window_end, name")
      .Query("steps",
             "SELECT window_end, name, lag(t) OVER (PARTITION BY name ORDER BY window_end) AS t "
             "FROM minutes")
      .Sink("hours")
      .Sink("steps");
  KeyedBy(job, "readings", "device_id");
  EXPECT_EQ(Placements(job),
            "minutes.window by name of 6, hours.window by name of 6, steps.over by name of 6");
}

TEST(KeyPlacement, OfAJoinIsOfBothItsSides) {
  const auto joined = [](int32_t left, int32_t right) {
    TestJob job;
    job.Readings();
    job.Stream("others", std::get<SourceStreamSpec>(job.spec().streams[0].kind));
    job.Query("pairs",
              "SELECT a.observed_at, a.device_id, b.temperature FROM readings AS a "
              "JOIN others AS b ON a.device_id = b.device_id AND b.observed_at "
              "BETWEEN a.observed_at AND a.observed_at + INTERVAL '1 minute'")
        .Sink("pairs");
    KeyedBy(job, "readings", "device_id", left);
    if (right > 0) KeyedBy(job, "others", "device_id", right);
    return Placements(job);
  };
  EXPECT_TRUE(joined(6, 6).ends_with(" of 6")) << joined(6, 6);
  EXPECT_TRUE(joined(6, 8).ends_with(" -")) << joined(6, 8);
  EXPECT_TRUE(joined(6, 0).ends_with(" -")) << joined(6, 0);
}

TEST(KeyPlacement, OfPanesIsOfBothWindows) {
  TestJob job;
  job.Readings()
      .Query("minutes", kCounts)
      .Query("hours",
             "SELECT window_end, device_id, count(*) AS n "
             "FROM tumble(readings, INTERVAL '1 hour') GROUP BY window_end, device_id")
      .Sink("minutes")
      .Sink("hours");
  std::get<QueryStreamSpec>(job.spec().streams[2].kind).panes_of = PlacedText{"minutes", {7, 1}};
  KeyedBy(job, "readings", "device_id");
  EXPECT_EQ(Placements(job), "minutes.window by device_id of 6, hours.window by device_id of 6");
}

TEST(KeyPlacement, IsNotOfWindowsThatAreGatheredOtherwise) {
  EXPECT_EQ(PlacementsOf(std::string(kCounts) + " ORDER BY n DESC LIMIT 3"),
            "counts.window by device_id of 6, counts.top -");
}

TEST(KeyPlacement, IsShownAndPartOfWhatStateIsOf) {
  TestJob job;
  job.Readings().Query("counts", kCounts).Sink("counts");
  const JobPlan by_hash = job.Plan();
  KeyedBy(job, "readings", "device_id");
  const JobPlan placed = job.Plan();
  EXPECT_NE(FormatPlan(placed).find("exchange by hash(device_id), placed by the partition of "
                                    "device_id (murmur2 of 6)\n"),
            std::string::npos)
      << FormatPlan(placed);
  const auto of = [](const JobPlan& plan) {
    for (const PlanNode& node : plan.nodes) {
      if (IsKeyed(node)) return FormatKeyedInput(plan, node);
    }
    return std::string();
  };
  EXPECT_EQ(of(placed), of(by_hash) + " placed by the partition of device_id (murmur2 of 6)");
}

}  // namespace
}  // namespace millrace
