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

}  // namespace
}  // namespace millrace
