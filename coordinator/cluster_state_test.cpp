// Attempts and workers. What people ask for is in cluster_state_wishes_test.cpp.
#include "coordinator/cluster_state.h"

#include <gmock/gmock.h>

#include "coordinator/cluster_state_testing.h"
#include "engine/wire/control_codec.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr JobPhase kPhases[] = {JobPhase::kWaiting, JobPhase::kPreparing, JobPhase::kDeploying,
                                JobPhase::kRunning, JobPhase::kStopping,  JobPhase::kEnding,
                                JobPhase::kPaused,  JobPhase::kCanceled,  JobPhase::kFinished,
                                JobPhase::kFailed};

// ---- one attempt --------------------------------------------------------------------------------

TEST_F(ClusterStateTest, AnAttemptFromItsBeginningToTheEndOfItsInput) {
  Come("a");
  Come("b");
  EXPECT_THAT(Asked(), IsEmpty());
  ASSERT_TRUE(Apply().ok());
  EXPECT_THAT(Asked(), ElementsAre("persist", "smoke preparing", "prepare smoke on a#1 b#2"));
  Prepared({"a", "b"});
  EXPECT_THAT(Asked(),
              ElementsAre("smoke deploying", "deploy smoke/1 on a#1", "deploy smoke/1 on b#2"));
  Deployed("b");
  EXPECT_THAT(Asked(), IsEmpty());
  Deployed("a");
  EXPECT_THAT(Asked(), ElementsAre("smoke running", "launch smoke/1"));
  Done();
  EXPECT_THAT(Asked(), ElementsAre("persist", "end leading smoke", "smoke ending",
                                   "end smoke/1 on a#1", "end smoke/1 on b#2"));
  EXPECT_TRUE(Saved().finished());
  Ended("a");
  EXPECT_THAT(Asked(), IsEmpty());
  Ended("b");
  EXPECT_THAT(Asked(), ElementsAre("smoke finished"));
  EXPECT_EQ(job().why, "every source has ended");
  EXPECT_TRUE(job().workers.empty());
  EXPECT_EQ(job().restarts, 0);
}

TEST_F(ClusterStateTest, EveryLegalTransitionIsTakenAndNoOther) {
  using enum JobPhase;
  const auto desire = [this](proto::JobDesire wanted) { ASSERT_TRUE(Desire(wanted).ok()); };
  const std::vector<std::pair<JobPhase, std::function<void()>>> ways = {
      {kWaiting, [&] { desire(proto::JOB_PAUSED); }},
      {kWaiting, [&] { desire(proto::JOB_CANCELED); }},
      {kPreparing, [&] { ASSERT_TRUE(Rescale(3).ok()), Prepared({"a"}); }},
      {kPreparing, [&] { desire(proto::JOB_PAUSED), Prepared({"a"}); }},
      {kPreparing, [&] { desire(proto::JOB_CANCELED), Prepared({"a"}); }},
      {kPreparing, [&] { Prepared({}, /*finished=*/true); }},
      {kPreparing, [&] { PrepareFails(Mistake()); }},
      {kPreparing, [&] { PrepareFails(BrokerAway()); }},
      {kDeploying, [&] { Deployed("a"), Deployed("b"); }},
      {kDeploying, [&] { Deployed("a", BrokerAway()); }},
      {kRunning, [&] { desire(proto::JOB_PAUSED); }},
      {kRunning,
       [&] {
         Break(), EndOn({"a", "b"});
       }},
      {kRunning,
       [&] {
         Done(Mistake()), EndOn({"a", "b"});
       }},
      {kRunning,
       [&] {
         Done(), EndOn({"a", "b"});
       }},
      {kStopping, [&] { Done(); }},
      {kPaused, [&] { desire(proto::JOB_RUNNING); }},
      {kPaused, [&] { desire(proto::JOB_CANCELED); }},
      {kCanceled, [&] { ASSERT_TRUE(Apply().ok()); }},
      {kFinished, [&] { ASSERT_TRUE(Apply("second").ok()); }},
      {kFailed, [&] { desire(proto::JOB_RUNNING); }},
      {kFailed, [&] { desire(proto::JOB_CANCELED); }},
  };
  for (const auto& [phase, way] : ways) {
    Anew();
    Reach(phase);
    way();
  }
  std::set<std::pair<JobPhase, JobPhase>> legal;
  for (const JobPhase from : kPhases) {
    for (const JobPhase to : kPhases) {
      if (IsLegalTransition(from, to)) legal.insert({from, to});
    }
  }
  EXPECT_EQ(host_.taken, legal);
}

TEST_F(ClusterStateTest, AJobWithoutWorkersWaitsForOne) {
  ASSERT_TRUE(Apply().ok());
  EXPECT_THAT(Asked(), ElementsAre("persist"));
  EXPECT_EQ(job().why, "no worker is there");
  Come("a");
  EXPECT_THAT(Asked(), ElementsAre("smoke preparing", "prepare smoke on a#1"));
}

TEST_F(ClusterStateTest, AJobThatHadEndedIsFoundFinished) {
  Reach(JobPhase::kPreparing);
  Prepared({}, /*finished=*/true);
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "persist", "smoke finished"));
  EXPECT_TRUE(Saved().finished());
}

TEST_F(ClusterStateTest, WhatIsToldOfAnotherAttemptHasNoEffect) {
  for (const JobPhase at : kPhases) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    for (const int64_t other : {job().attempt - 1, job().attempt + 1}) {
      state_.OnDeployed(kJob, other, "a", BrokerAway(), now_, &host_);
      state_.OnAttemptDone(kJob, other, BrokerAway(), now_, &host_);
      state_.OnAttemptBroken(kJob, other, "why", now_, &host_);
      state_.OnAttemptEnded(kJob, other, "a", now_, &host_);
      state_.OnCheckpoint(kJob, other, &host_);
    }
    state_.OnDeployed("other", attempts_, "a", BrokerAway(), now_, &host_);
    state_.OnAttemptDone("other", attempts_, Status::OK(), now_, &host_);
    EXPECT_THAT(Asked(), IsEmpty());
    EXPECT_EQ(phase(), at);
  }
}

TEST_F(ClusterStateTest, WhatIsToldLateOfAnAttemptThatIsOverHasNoEffect) {
  using enum JobPhase;
  for (const JobPhase at : {kWaiting, kPreparing, kPaused, kCanceled, kFinished, kFailed}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    state_.OnDeployed(kJob, job().attempt, "a", BrokerAway(), now_, &host_);
    state_.OnAttemptDone(kJob, job().attempt, Status::OK(), now_, &host_);
    state_.OnAttemptBroken(kJob, job().attempt, "why", now_, &host_);
    state_.OnAttemptEnded(kJob, job().attempt, "a", now_, &host_);
    EXPECT_THAT(Asked(), IsEmpty());
    EXPECT_EQ(phase(), at);
  }
}

TEST_F(ClusterStateTest, AnswersToWhatWasNotAskedHaveNoEffect) {
  Reach(JobPhase::kRunning);
  Ended("a");
  Deployed("a", BrokerAway());
  PrepareFails(Mistake());
  EXPECT_THAT(Asked(), IsEmpty());
  Prepared({"a"});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke")) << "it must not be led beside the other";
  EXPECT_EQ(phase(), JobPhase::kRunning);
  state_.OnPrepared("removed", {5, {}, false, restart_, ""}, now_, &host_);
  EXPECT_THAT(Asked(), ElementsAre("end leading removed"));
}

TEST_F(ClusterStateTest, AWorkerThatDidNotEndTheAttemptInTimeIsDropped) {
  Reach(JobPhase::kEnding);
  Ended("a");
  Pass(ClusterState::kEndTimeout);
  EXPECT_THAT(Asked(), IsEmpty());
  Pass(milliseconds(1));
  EXPECT_THAT(Asked(),
              ElementsAre("drop b#2", "smoke waiting", "smoke preparing", "prepare smoke on a#1"));
  EXPECT_FALSE(state_.workers().contains("b"));
  Lose("a");
  state_.OnWorkerLost("b", 2, "its session is closed", now_, &host_);
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateTest, AllThatDidNotEndTheAttemptAreDroppedAtOnce) {
  Reach(JobPhase::kEnding);
  Pass(ClusterState::kEndTimeout + milliseconds(1));
  EXPECT_THAT(Asked(), ElementsAre("drop a#1", "drop b#2", "smoke waiting"));
  EXPECT_TRUE(state_.workers().empty());
}

TEST_F(ClusterStateTest, ADroppedWorkerEndsOnlyTheSessionThatFailed) {
  Reach(JobPhase::kEnding);
  Ended("a");
  Come("b");  // with a session of its own, before the time is over
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  host_.Take();
  Pass(ClusterState::kEndTimeout + seconds(1));
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(state_.workers().at("b").session, 3u);
}

TEST_F(ClusterStateTest, ADeploymentThatTakesTooLongFails) {
  Reach(JobPhase::kDeploying);
  Deployed("a");
  Pass(ClusterState::kDeployTimeout);
  EXPECT_EQ(phase(), JobPhase::kDeploying);
  Pass(milliseconds(1));
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1",
                                   "end smoke/1 on b#2"));
  EXPECT_EQ(job().why, "worker 'b' has not made its share of it");
}

TEST_F(ClusterStateTest, AStopThatTakesTooLongIsGivenUpAndCostsNoPause) {
  Reach(JobPhase::kRunning);
  Come("c");
  Pass(ClusterState::kSettle);
  ASSERT_EQ(phase(), JobPhase::kStopping);
  Pass(ClusterState::kStopTimeout);
  EXPECT_EQ(phase(), JobPhase::kStopping);
  Pass(milliseconds(1));
  EXPECT_EQ(phase(), JobPhase::kEnding);
  EXPECT_EQ(job().why,
            "it has not stopped in time (it is placed anew: workers or loads have changed)");
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

// ---- workers that come --------------------------------------------------------------------------

TEST_F(ClusterStateTest, WorkersThatComeOneAfterTheOtherAreOneMove) {
  Reach(JobPhase::kRunning);
  Come("c");
  Pass(milliseconds(1500));
  Come("d");
  Pass(milliseconds(1999));
  EXPECT_THAT(Asked(), IsEmpty());
  Pass(milliseconds(1));
  EXPECT_THAT(Asked(),
              ElementsAre("would smoke move to a#1 b#2 c#3 d#4", "smoke stopping", "stop smoke/1"));
  Pass(seconds(10));
  Done();
  EndOn({"a", "b"});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1",
                                   "end smoke/1 on b#2", "smoke waiting", "smoke preparing",
                                   "prepare smoke on a#1 b#2 c#3 d#4"));
  EXPECT_EQ(job().restarts, 1);
}

TEST_F(ClusterStateTest, AWorkerThatChangesNothingIsAskedAboutOnce) {
  Reach(JobPhase::kRunning);
  host_.would_move = false;
  Come("c");
  Pass(seconds(2));
  EXPECT_THAT(Asked(), ElementsAre("would smoke move to a#1 b#2 c#3"));
  Pass(seconds(100));
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateTest, AWorkerThatComesWhileAnAttemptIsMadeIsUsedSoonAfter) {
  for (const JobPhase at : {JobPhase::kPreparing, JobPhase::kDeploying}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    Come("c");
    if (at == JobPhase::kPreparing) Prepared({"a", "b"});
    Deployed("a");
    Deployed("b");
    ASSERT_EQ(phase(), JobPhase::kRunning);
    host_.Take();
    Pass(seconds(2));
    EXPECT_THAT(Asked(),
                ElementsAre("would smoke move to a#1 b#2 c#3", "smoke stopping", "stop smoke/1"));
  }
}

TEST_F(ClusterStateTest, AWorkerThatComesBeforeTheNextAttemptIsOfIt) {
  for (const JobPhase at : {JobPhase::kStopping, JobPhase::kEnding}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    Come("c");
    if (at == JobPhase::kStopping) Done();
    host_.Take();
    EndOn({"a", "b"});
    EXPECT_THAT(Asked(),
                ElementsAre("smoke waiting", "smoke preparing", "prepare smoke on a#1 b#2 c#3"));
    Prepared({"a", "b", "c"});
    for (const char* worker : {"a", "b", "c"}) Deployed(worker);
    host_.Take();
    Pass(seconds(100));
    EXPECT_THAT(Asked(), IsEmpty()) << "it is used already";
  }
}

TEST_F(ClusterStateTest, AWorkerThatComesAgainIsUsedByWhatComesNext) {
  Come("a");
  ASSERT_TRUE(Apply().ok());
  RunOn({"a"});
  host_.Take();
  Come("a");
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke ending", "smoke waiting",
                                   "smoke preparing", "prepare smoke on a#2"));
  EXPECT_EQ(job().last_failure.message(), "worker 'a' is lost: it has come again");
}

TEST_F(ClusterStateTest, AWorkerComesAgainInEachPhase) {
  for (const JobPhase at : kPhases) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    const bool had =
        at == JobPhase::kDeploying || at == JobPhase::kRunning || at == JobPhase::kStopping;
    Come("b");
    EXPECT_EQ(phase(), had ? JobPhase::kEnding : at);
    if (at == JobPhase::kEnding || had) {
      EXPECT_THAT(job().ending, ElementsAre("a")) << "the new one has nothing of the attempt";
    }
    EXPECT_EQ(state_.workers().at("b").session, 3u);
  }
}

// ---- workers that are lost ----------------------------------------------------------------------

TEST_F(ClusterStateTest, AWorkerOfTheAttemptIsLost) {
  for (const JobPhase at : {JobPhase::kDeploying, JobPhase::kRunning, JobPhase::kStopping}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    Lose("b");
    EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1"));
    Ended("a");
    EXPECT_THAT(Asked(), ElementsAre("smoke waiting", "smoke preparing", "prepare smoke on a#1"));
  }
}

TEST_F(ClusterStateTest, TheLastWorkerThatMustEndIsLost) {
  Reach(JobPhase::kEnding);
  Ended("a");
  Lose("b");
  EXPECT_THAT(Asked(), ElementsAre("smoke waiting", "smoke preparing", "prepare smoke on a#1"));
}

TEST_F(ClusterStateTest, AllWorkersAreLost) {
  Reach(JobPhase::kRunning);
  Lose("a");
  Lose("b");
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  EXPECT_EQ(job().why, "no worker is there");
  Come("c");
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

TEST_F(ClusterStateTest, AWorkerIsLostWhileTheAttemptIsPrepared) {
  Reach(JobPhase::kPreparing);
  const WorkerInfo a = state_.workers().at("a"), b = state_.workers().at("b");
  Lose("b");
  EXPECT_THAT(Asked(), IsEmpty());
  PreparedOn({a, b});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting", "smoke preparing",
                                   "prepare smoke on a#1"));
  EXPECT_EQ(job().restarts, 0);
}

TEST_F(ClusterStateTest, AWorkerComesAgainWhileTheAttemptIsPrepared) {
  Reach(JobPhase::kPreparing);
  const WorkerInfo a = state_.workers().at("a"), b = state_.workers().at("b");
  Come("b");
  PreparedOn({a, b});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting", "smoke preparing",
                                   "prepare smoke on a#1 b#3"));
}

TEST_F(ClusterStateTest, AWorkerThatHasNothingOfTheAttemptIsLost) {
  Begin();
  RunOn({"b"});
  host_.Take();
  Lose("a");
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(phase(), JobPhase::kRunning);
}

TEST_F(ClusterStateTest, TheLossOfAnOlderSessionHasNoEffect) {
  Reach(JobPhase::kRunning);
  Come("b");
  EndOn({"a"});
  RunOn({"a", "b"});
  host_.Take();
  state_.OnWorkerLost("b", 2, "cut off", now_, &host_);
  state_.OnWorkerLeaving("b", 2, now_, &host_);
  state_.OnWorkerLost("unknown", 1, "cut off", now_, &host_);
  state_.OnAttemptsOf("b", 2, {{"gone", 1}}, &host_);
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(phase(), JobPhase::kRunning);
}

// ---- workers that leave -------------------------------------------------------------------------

TEST_F(ClusterStateTest, AWorkerLeaves) {
  Reach(JobPhase::kRunning);
  Leave("b");
  EXPECT_THAT(Asked(), ElementsAre("smoke stopping", "stop smoke/1"));
  Leave("b");
  EXPECT_THAT(Asked(), IsEmpty()) << "it says so with each beat";
  Done();
  Ended("b");
  host_.Take();
  Ended("a");
  EXPECT_THAT(Asked(), ElementsAre("smoke waiting", "smoke preparing", "prepare smoke on a#1",
                                   "may leave b#2"));
  Lose("b");
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateTest, AWorkerLeavesInEachPhase) {
  using enum JobPhase;
  for (const JobPhase at : kPhases) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    Leave("b");
    const std::vector<std::string> asked = Asked();
    switch (at) {
      case kDeploying:
        // Nothing is lost, and it need not wait until all have restored their state.
        EXPECT_THAT(asked, ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1",
                                       "end smoke/1 on b#2"));
        break;
      case kRunning:
        EXPECT_THAT(asked, ElementsAre("smoke stopping", "stop smoke/1"));
        break;
      case kStopping:
      case kEnding:
        EXPECT_THAT(asked, IsEmpty());
        break;
      default:
        EXPECT_THAT(asked, ElementsAre("may leave b#2"));
    }
    if (at != kPreparing) continue;
    Prepared({"a", "b"});
    EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting", "smoke preparing",
                                     "prepare smoke on a#1"));
  }
}

TEST_F(ClusterStateTest, AWorkerThatHasNothingMayLeaveAtOnceAndIsToldOnce) {
  Come("a");
  Leave("a");
  EXPECT_THAT(Asked(), ElementsAre("may leave a#1"));
  Pass(seconds(100));
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateTest, AWorkerThatComesAgainAndStillWantsToLeaveIsToldAgain) {
  Come("a");
  Leave("a");
  host_.Take();
  Come("a");
  EXPECT_THAT(Asked(), IsEmpty());
  Leave("a");
  EXPECT_THAT(Asked(), ElementsAre("may leave a#2"));
}

TEST_F(ClusterStateTest, AllWorkersOfAJobLeave) {
  Reach(JobPhase::kRunning);
  Leave("a");
  Leave("b");
  EXPECT_THAT(Asked(), ElementsAre("smoke stopping", "stop smoke/1"));
  Done();
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  EXPECT_EQ(job().why, "no worker is there");
  EXPECT_THAT(Asked(),
              ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1",
                          "end smoke/1 on b#2", "smoke waiting", "may leave a#1", "may leave b#2"));
  Come("c");
  EXPECT_THAT(Asked(), ElementsAre("smoke preparing", "prepare smoke on c#3"));
}

TEST_F(ClusterStateTest, AWorkerThatLeavesIsNotMovedTo) {
  Begin();
  RunOn({"a"});
  host_.Take();
  Leave("b");
  EXPECT_THAT(Asked(), ElementsAre("may leave b#2"));
  Come("c");
  Pass(seconds(2));
  EXPECT_THAT(Asked(),
              ElementsAre("would smoke move to a#1 c#3", "smoke stopping", "stop smoke/1"));
}

// ---- what workers still have --------------------------------------------------------------------

TEST_F(ClusterStateTest, AWorkerIsToldToEndWhatNobodyLeads) {
  Reach(JobPhase::kRunning);
  state_.OnAttemptsOf("b", 2, {{kJob, 1}}, &host_);
  EXPECT_THAT(Asked(), IsEmpty());
  state_.OnAttemptsOf("b", 2, {{kJob, 0}, {kJob, 1}, {"removed", 9}}, &host_);
  EXPECT_THAT(Asked(), ElementsAre("end smoke/0 on b#2", "end removed/9 on b#2"));
}

TEST_F(ClusterStateTest, AWorkerThatWasAwayIsToldToEndWhatItHadThen) {
  Reach(JobPhase::kRunning);
  Come("b");
  host_.Take();
  state_.OnAttemptsOf("b", 3, {{kJob, 1}}, &host_);
  EXPECT_THAT(Asked(), ElementsAre("end smoke/1 on b#3"));
  state_.OnAttemptsOf("a", 1, {{kJob, 1}}, &host_);
  EXPECT_THAT(Asked(), IsEmpty()) << "it was told when the attempt ended";
  Ended("b");
  EXPECT_EQ(phase(), JobPhase::kEnding) << "a has not ended";
  EndOn({"a"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

TEST_F(ClusterStateTest, AnAttemptThatAnotherCoordinatorLedIsEnded) {
  Reach(JobPhase::kPaused);
  Anew(state_.ToCatalog());
  Come("a");
  host_.Take();
  state_.OnAttemptsOf("a", 1, {{kJob, 1}}, &host_);
  EXPECT_THAT(Asked(), ElementsAre("end smoke/1 on a#1"));
}

// ---- failures -----------------------------------------------------------------------------------

TEST_F(ClusterStateTest, AFailureCostsAPauseAndTheNextOneTwiceAsMuch) {
  restart_ = {.attempts = 10,
              .within = minutes(10),
              .backoff_min = milliseconds(500),
              .backoff_max = seconds(60)};
  Begin();
  for (const auto pause : {milliseconds(500), milliseconds(1000), milliseconds(2000)}) {
    RunOn({"a", "b"});
    Done(BrokerAway());
    EndOn({"a", "b"});
    EXPECT_EQ(phase(), JobPhase::kWaiting);
    EXPECT_EQ(job().why, "no broker");
    Pass(pause - milliseconds(1));
    EXPECT_EQ(phase(), JobPhase::kWaiting);
    Come("c");
    EXPECT_EQ(phase(), JobPhase::kWaiting) << "a worker that comes ends no pause";
    Pass(milliseconds(1));
    EXPECT_EQ(phase(), JobPhase::kPreparing);
  }
  EXPECT_EQ(job().restarts, 3);
}

TEST_F(ClusterStateTest, ThePauseBeginsWithTheFailureNotWithTheEnd) {
  Reach(JobPhase::kRunning);
  Done(BrokerAway());
  Pass(seconds(5));
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

TEST_F(ClusterStateTest, PreparingDeployingAndRunningCanFail) {
  Reach(JobPhase::kPreparing);
  PrepareFails(BrokerAway());
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting"));
  EXPECT_EQ(job().restarts, 1);
  Pass(milliseconds(500));
  DeployOn({"a", "b"});
  host_.Take();
  Deployed("a", BrokerAway());
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke ending", "end smoke/1 on a#1",
                                   "end smoke/1 on b#2"));
  EndOn({"a", "b"});
  Pass(milliseconds(999));
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  Pass(milliseconds(1));
  RunOn({"a", "b"});
  Done(BrokerAway());
  EndOn({"a", "b"});
  EXPECT_EQ(job().restarts, 3);
}

TEST_F(ClusterStateTest, AJobThatFailsTooOftenIsGivenUpAndStaysSo) {
  restart_.attempts = 2;
  Reach(JobPhase::kRunning);
  for (int i = 0; i < 2; ++i) {
    Done(BrokerAway());
    EndOn({"a", "b"});
    ASSERT_EQ(phase(), JobPhase::kWaiting);
    Pass(seconds(2));
    RunOn({"a", "b"});
  }
  host_.Take();
  Done(BrokerAway());
  EXPECT_THAT(Asked(), ElementsAre("persist", "end leading smoke", "smoke ending",
                                   "end smoke/3 on a#1", "end smoke/3 on b#2"));
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kFailed);
  const std::string why = "it failed 3 times within 10m, the last time because of: no broker";
  EXPECT_EQ(job().why, why);
  EXPECT_EQ(DecodeStatus(Saved().failure()).message(), why);
  host_.Take();
  Come("c");
  Pass(minutes(60));
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateTest, TheSameFailureAtTheSamePlaceEndsAJobEarlyAndIsTold) {
  const Status boom = InternalError("exception", "readings.reader.0: readings/3 offset 1234: boom");
  Reach(JobPhase::kRunning);
  Checkpoint();
  for (int i = 0; i < 2; ++i) {
    Done(boom);
    EndOn({"a", "b"});
    ASSERT_EQ(phase(), JobPhase::kWaiting);
    Pass(seconds(2));
    RunOn({"a", "b"});
  }
  Done(boom);
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kFailed);
  EXPECT_EQ(job().why,
            "it failed 3 times in a row at the same place, going on from epoch 7: "
            "readings.reader.0: readings/3 offset 1234: boom");
}

TEST_F(ClusterStateTest, WorkersThatAreLostBeforeACheckpointCostPausesAndInTheEndTheJob) {
  restart_ = {.attempts = 3,
              .within = minutes(10),
              .backoff_min = milliseconds(500),
              .backoff_max = seconds(60)};
  Begin();
  for (const auto pause : {milliseconds(0), milliseconds(500), milliseconds(1000)}) {
    RunOn({"a", "b"});
    Lose("b");
    EndOn({"a"});
    Come("b");
    if (pause > milliseconds(0)) Pass(pause - milliseconds(1));
    EXPECT_EQ(phase(), pause > milliseconds(0) ? JobPhase::kWaiting : JobPhase::kPreparing);
    Pass(milliseconds(1));
    ASSERT_EQ(phase(), JobPhase::kPreparing);
  }
  RunOn({"a", "b"});
  Lose("b");
  EndOn({"a"});
  EXPECT_EQ(phase(), JobPhase::kFailed);
  EXPECT_THAT(job().why, testing::HasSubstr("may end the process that reads it"));
  EXPECT_THAT(job().why, testing::HasSubstr("going on from epoch 7"));
}

TEST_F(ClusterStateTest, WorkersThatAreLostAfterACheckpointNeverEndAJob) {
  restart_.attempts = 0;
  Begin();
  for (int i = 0; i < 20; ++i) {
    RunOn({"a", "b"});
    Checkpoint();
    Lose("b");
    EndOn({"a"});
    ASSERT_EQ(phase(), JobPhase::kPreparing) << i;
    Come("b");
  }
}

TEST_F(ClusterStateTest, AJobThatAnotherProcessLeadsIsNotFailedForIt) {
  restart_.attempts = 0;
  Reach(JobPhase::kPreparing);
  for (int i = 0; i < 20; ++i) {
    PrepareFails(UserError("job_is_running", "held by another process"));
    ASSERT_EQ(phase(), i == 0 ? JobPhase::kPreparing : JobPhase::kWaiting);
    EXPECT_FALSE(Saved().has_failure());
    Pass(seconds(60));
    ASSERT_EQ(phase(), JobPhase::kPreparing);
  }
}

// ---- another process leads ----------------------------------------------------------------------

TEST_F(ClusterStateTest, ACoordinatorGoesOnWithTheCatalog) {
  for (const JobPhase at : kPhases) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    const JobPhase before = phase();
    const proto::Catalog catalog = state_.ToCatalog();
    ASSERT_EQ(catalog.format(), 1);
    Anew(catalog);
    switch (before) {
      case JobPhase::kPaused:
      case JobPhase::kCanceled:
      case JobPhase::kFinished:
        EXPECT_EQ(phase(), before);
        break;
      case JobPhase::kFailed:
        EXPECT_EQ(phase(), before);
        EXPECT_EQ(job().why, "there is no topic 'x'");
        break;
      default:
        EXPECT_EQ(phase(), JobPhase::kWaiting);
        Come("c");
        EXPECT_EQ(phase(), JobPhase::kPreparing);
    }
    EXPECT_EQ(job().since, now_);
  }
}

TEST_F(ClusterStateTest, WhoNoLongerLeadsBeginsNothing) {
  Reach(JobPhase::kRunning);
  state_.LoseLead(ExternalError("superseded", "another leads", Retry::kNo));
  Break();
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  Come("c");
  Pass(seconds(100));
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  EXPECT_EQ(CodeOf(Apply("second")), "superseded");
  EXPECT_EQ(CodeOf(Desire(proto::JOB_PAUSED)), "superseded");
}

TEST_F(ClusterStateTest, WhatWasPreparedWhenTheLeadWasLostIsNotDeployed) {
  Reach(JobPhase::kPreparing);
  state_.LoseLead(ExternalError("superseded", "another leads", Retry::kNo));
  Prepared({"a", "b"});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting"));
}

}  // namespace
}  // namespace millrace
