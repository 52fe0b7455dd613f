#include "worker/account.h"

#include <gtest/gtest.h>

#include "worker/fixture.h"

namespace millrace {
namespace {

TEST(JobAccount, BalancesReadingsAndTellsWhatIsMissing) {
  const JobPlan plan = test::MakePlan();
  JobAccount account(plan);
  StreamAccount& metrics = account.stream("metrics");
  metrics.rows_in = 10;
  metrics.counted = 5;
  metrics.open = 2;
  metrics.filtered = 1;
  account.AddDeadLetters("metrics", "late", 1);
  EXPECT_EQ(account.Difference("metrics"), 1);
  account.AddDeadLetters("metrics", "division_by_zero", 1);
  EXPECT_EQ(account.Difference("metrics"), 0);
  EXPECT_EQ(account.DeadLettersOf("metrics"), 2);
}

// Rows of output are dead letters too, but no readings.
TEST(JobAccount, DeadLettersOfOutputAreToldAndLeaveTheBalanceAlone) {
  const JobPlan plan = test::MakePlan();
  JobAccount account(plan);
  account.stream("metrics").rows_in = 1;
  account.AddDeadLetters("metrics", "division_by_zero", 1);
  account.AddOutputDeadLetters("metrics", "division_by_zero", 2);
  account.AddOutputDeadLetters("sink.0", "too_large", 3);
  EXPECT_EQ(account.Difference("metrics"), 0);
  using Letters = std::map<std::pair<std::string, std::string>, int64_t>;
  EXPECT_EQ(account.DeadLetters(),
            (Letters{{{"metrics", "division_by_zero"}, 3}, {{"sink.0", "too_large"}, 3}}));
}

// Every counter differs, so that none can take another's place.
TEST(JobAccount, ComesBackFromACheckpointAsItWas) {
  const JobPlan plan = test::MakePlan();
  JobAccount account(plan);
  StreamAccount& metrics = account.stream("metrics");
  int64_t count = 0;
  for (auto* counter : {&metrics.rows_in, &metrics.filtered, &metrics.counted, &metrics.open,
                        &metrics.bytes_in, &metrics.lost, &metrics.late, &metrics.windows_fired,
                        &metrics.rows_out, &metrics.output_filtered, &metrics.output_failed}) {
    *counter = ++count;
  }
  metrics.watermark = 1000;
  account.stream("hot").rows_in = 100;
  account.AddDeadLetters("metrics", "late", 3);
  account.AddOutputDeadLetters("sink.0", "too_large", 4);
  account.AddAlerts("Fire", 5);
  account.AddSinkRows("sink.1", 6);

  const proto::AccountCounts counts = account.Counts();
  JobAccount restored(plan);
  restored.Add(counts);
  EXPECT_EQ(restored.Counts().SerializeAsString(), counts.SerializeAsString());
  EXPECT_EQ(restored.stream("metrics").rows_in, 1);
  EXPECT_EQ(restored.stream("metrics").lost, 6);
  EXPECT_EQ(restored.stream("metrics").output_failed, 11);
  EXPECT_EQ(restored.stream("hot").rows_in, 100);
  // Where the stream stands is no count.
  EXPECT_EQ(restored.stream("metrics").watermark, INT64_MIN);

  restored.Add(counts);
  EXPECT_EQ(restored.stream("metrics").open, 8);
  EXPECT_EQ(restored.DeadLettersOf("metrics"), 6);
  EXPECT_EQ(restored.DeadLetters().at({"sink.0", "too_large"}), 8);
  EXPECT_EQ(restored.Alerts(), (std::map<std::string, int64_t>{{"Fire", 10}}));
  EXPECT_EQ(restored.SinkRows(), (std::map<std::string, int64_t>{{"sink.1", 12}}));
}

TEST(JobAccount, LeavesOutStreamsThatTheJobNoLongerHas) {
  const JobPlan plan = test::MakePlan();
  proto::AccountCounts counts = JobAccount(plan).Counts();
  counts.mutable_streams(0)->set_stream("gone");
  counts.mutable_streams(0)->set_rows_in(7);
  JobAccount account(plan);
  account.Add(counts);
  for (const auto& [name, stream] : account.streams()) EXPECT_EQ(stream->rows_in, 0) << name;
}

}  // namespace
}  // namespace millrace
