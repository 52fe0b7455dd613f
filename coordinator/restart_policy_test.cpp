#include "coordinator/restart_policy.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr bool kRunning = true;

Status BrokerAway() { return ExternalError("broker_unreachable", "no broker", Retry::kYes); }
Status WorkerLost() { return ExternalError("worker_lost", "worker 'a' is lost", Retry::kYes); }
Status PeerLost() { return ExternalError("peer_lost", "a has lost b", Retry::kYes); }
Status BadReading(int offset) {
  return InternalError("exception", "readings/0 offset " + std::to_string(offset) + ": boom");
}

class RestartPolicyTest : public testing::Test {
 protected:
  // An attempt without a checkpoint.
  RestartPolicy::Verdict Fail(const Status& status, bool running = kRunning) {
    policy_.OnAttempt();
    return FailNow(status, running);
  }
  RestartPolicy::Verdict FailNow(const Status& status, bool running = kRunning) {
    return policy_.OnFailure(status, running, "epoch 7", spec_, now_);
  }

  RestartPolicy policy_;
  RestartSpec spec_ = {.attempts = 4,
                       .within = minutes(10),
                       .backoff_min = milliseconds(500),
                       .backoff_max = seconds(3)};
  MonotonicTime now_ = seconds(100);
};

TEST_F(RestartPolicyTest, PausesDoubleUpToTheLongest) {
  for (const auto pause : {milliseconds(500), milliseconds(1000), milliseconds(2000)}) {
    EXPECT_EQ(Fail(BrokerAway()).pause, pause);
    now_ += seconds(5);
  }
  const auto fourth = Fail(BrokerAway());
  EXPECT_EQ(fourth.pause, seconds(3));
  EXPECT_FALSE(fourth.give_up);
  EXPECT_EQ(fourth.why, "no broker");
}

TEST_F(RestartPolicyTest, MoreFailuresThanAllowedWithinTheTimeEndIt) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(Fail(BrokerAway()).give_up) << i;
    now_ += minutes(2);
  }
  const auto fifth = Fail(BrokerAway());  // eight minutes after the first
  EXPECT_TRUE(fifth.give_up);
  EXPECT_EQ(fifth.why, "it failed 5 times within 10m, the last time because of: no broker");
}

TEST_F(RestartPolicyTest, AFailureCountsForTheTimeAndNoLonger) {
  Fail(BrokerAway());
  now_ += minutes(10);
  EXPECT_EQ(Fail(BrokerAway()).pause, seconds(1)) << "the first still counts";
  now_ += milliseconds(1);
  EXPECT_EQ(Fail(BrokerAway()).pause, seconds(1)) << "the first counts no more";
  now_ += minutes(10);
  for (int i = 0; i < 100; ++i) {
    now_ += minutes(3);
    EXPECT_FALSE(Fail(BrokerAway()).give_up) << i;
  }
}

TEST_F(RestartPolicyTest, WithoutRestartsTheFirstFailureEndsIt) {
  spec_.attempts = 0;
  EXPECT_TRUE(Fail(BrokerAway()).give_up);
}

TEST_F(RestartPolicyTest, AMistakeOfTheUsersEndsItAtOnce) {
  const auto verdict = Fail(UserError("topic_missing", "there is no topic 'x'"));
  EXPECT_TRUE(verdict.give_up);
  EXPECT_EQ(verdict.why, "there is no topic 'x'");
}

TEST_F(RestartPolicyTest, TheSameFailureAtTheSamePlaceEndsItEarly) {
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  const auto third = Fail(BadReading(12));
  EXPECT_TRUE(third.give_up);
  EXPECT_EQ(third.why,
            "it failed 3 times in a row at the same place, going on from epoch 7: readings/0 "
            "offset 12: boom");
}

TEST_F(RestartPolicyTest, AnotherFailureOrACheckpointIsAnotherPlace) {
  spec_.attempts = 100;
  Fail(BadReading(12));
  Fail(BadReading(12));
  EXPECT_FALSE(Fail(InternalError("exception", "another one")).give_up);
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  policy_.OnCheckpoint();
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
  Fail(BrokerAway());
  EXPECT_FALSE(Fail(BadReading(12)).give_up);
}

TEST_F(RestartPolicyTest, RowsThatWereAtHandMayDiffer) {
  const auto boom = [this](const std::string& rows) {
    return Fail(InternalError("exception", "readings/0 offsets " + rows + ": boom"));
  };
  EXPECT_FALSE(boom("1200 to 1399").give_up);
  EXPECT_FALSE(boom("1200 to 1299").give_up);
  EXPECT_TRUE(boom("1250 to 1300").give_up);
}

TEST_F(RestartPolicyTest, WhatARetryMayHelpAgainstIsTriedAsOftenAsAllowed) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Fail(BrokerAway()).give_up) << i;
}

TEST_F(RestartPolicyTest, ALostWorkerCostsNoPauseOnceThereWasACheckpoint) {
  for (int i = 0; i < 50; ++i) {
    policy_.OnAttempt();
    policy_.OnCheckpoint();
    const auto verdict = FailNow(WorkerLost());
    EXPECT_EQ(verdict.pause, seconds(0));
    EXPECT_FALSE(verdict.give_up);
  }
}

TEST_F(RestartPolicyTest, AttemptsThatCompleteNothingPauseLongerAndLonger) {
  EXPECT_EQ(Fail(PeerLost()).pause, seconds(0));
  EXPECT_EQ(Fail(PeerLost()).pause, milliseconds(500));
  EXPECT_EQ(Fail(WorkerLost(), !kRunning).pause, seconds(1));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Fail(PeerLost()).give_up);
  EXPECT_EQ(Fail(PeerLost()).pause, seconds(3));
  policy_.OnCheckpoint();
  EXPECT_EQ(Fail(PeerLost()).pause, seconds(0));
}

TEST_F(RestartPolicyTest, AJobThatEndsItsWorkersIsGivenUp) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Fail(WorkerLost()).give_up) << i;
  EXPECT_FALSE(Fail(WorkerLost(), !kRunning).give_up);
  const auto verdict = Fail(WorkerLost());
  EXPECT_TRUE(verdict.give_up);
  EXPECT_EQ(verdict.why,
            "5 attempts in a row lost a worker before their first checkpoint, going on from epoch "
            "7: a reading behind it may end the process that reads it: worker 'a' is lost");
}

TEST_F(RestartPolicyTest, ALostWorkerDoesNotEndAJobThatHasNoRestarts) {
  spec_.attempts = 0;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Fail(WorkerLost()).give_up) << i;
  EXPECT_TRUE(Fail(WorkerLost()).give_up);
}

TEST_F(RestartPolicyTest, FailuresOfTheClusterDoNotCountAgainstTheJob) {
  for (int i = 0; i < 20; ++i) Fail(PeerLost());
  EXPECT_EQ(Fail(BrokerAway()).pause, milliseconds(500));
}

TEST_F(RestartPolicyTest, NothingCountsOnceItIsForgotten) {
  for (int i = 0; i < 4; ++i) Fail(BrokerAway());
  Fail(BadReading(1));
  policy_.Forget();
  EXPECT_EQ(Fail(BrokerAway()).pause, milliseconds(500));
  EXPECT_EQ(Fail(PeerLost()).pause, seconds(0));
}

TEST(IsOfTheCluster, ByCode) {
  for (const char* code : {"worker_lost", "peer_lost", "peer_unreachable", "superseded",
                           "other_plan", "stop_timeout"}) {
    EXPECT_TRUE(IsOfTheCluster(ExternalError(code, "", Retry::kYes))) << code;
  }
  EXPECT_TRUE(IsOfTheCluster(UserError("job_is_running", "held by another process")));
  EXPECT_FALSE(IsOfTheCluster(BrokerAway()));
  EXPECT_FALSE(IsOfTheCluster(Status::IOError("of a library")));
}

}  // namespace
}  // namespace millrace
