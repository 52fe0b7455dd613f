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

}  // namespace
}  // namespace millrace
