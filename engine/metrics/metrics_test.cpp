#include "engine/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/metrics/job_metric_families.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, ShowsNothingBeforeItIsUsed) { EXPECT_EQ(Metrics().Text(), ""); }

TEST(MetricsTest, ShowsWhatIsOfTheProcess) {
  Metrics metrics;
  metrics.SetBuildInfo("0.1.0");
  metrics.CoordinatorTerm().Set(3);
  metrics.Workers("lost").Set(1);
  metrics.Workers("active").Set(2);
  EXPECT_EQ(metrics.Text(),
            "# HELP millrace_build_info 1, labelled with the version of this program\n"
            "# TYPE millrace_build_info gauge\n"
            "millrace_build_info{version=\"0.1.0\"} 1\n"
            "# HELP millrace_coordinator_term The coordinator's term\n"
            "# TYPE millrace_coordinator_term gauge\n"
            "millrace_coordinator_term 3\n"
            "# HELP millrace_workers Workers of the cluster: active, leaving, or lost within the "
            "last hour\n"
            "# TYPE millrace_workers gauge\n"
            "millrace_workers{state=\"active\"} 2\n"
            "millrace_workers{state=\"lost\"} 1\n");
}

TEST(MetricsTest, ChildrenAreBounded) {
  Metrics metrics;
  const JobMetricFamilies job(&metrics, "fleet");
  for (int i = 0; i < 12'000; ++i) {
    job.DeadLetterRecords("s", "reason_" + std::to_string(i)).Increment();
  }
  const std::string text = metrics.Text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10'000 + 2);
  EXPECT_THAT(text, HasSubstr("{job=\"other\",reason=\"other\",stream=\"other\"} 2001\n"));
  EXPECT_THAT(text, HasSubstr("{job=\"fleet\",reason=\"reason_9998\",stream=\"s\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("reason_9999\"")));
  // What was there stays itself.
  job.DeadLetterRecords("s", "reason_7").Increment();
  EXPECT_THAT(metrics.Text(), HasSubstr("{job=\"fleet\",reason=\"reason_7\",stream=\"s\"} 2\n"));
}

}  // namespace
}  // namespace millrace
