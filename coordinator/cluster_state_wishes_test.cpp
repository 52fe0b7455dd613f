// What people ask for, in each phase of a job.
#include <gmock/gmock.h>

#include "coordinator/cluster_state.h"
#include "coordinator/cluster_state_testing.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class ClusterStateWishes : public ClusterStateTest {};

// ---- a job file ---------------------------------------------------------------------------------

TEST_F(ClusterStateWishes, AnotherFileInEachPhase) {
  using enum JobPhase;
  const std::map<JobPhase, std::vector<std::string>> expected = {
      {kWaiting, {"persist", "smoke preparing", "prepare smoke on a#1 b#2"}},
      {kPreparing, {"persist", "abandon smoke"}},
      {kDeploying,
       {"persist", "end leading smoke", "smoke ending", "end smoke/1 on a#1",
        "end smoke/1 on b#2"}},
      {kRunning, {"persist", "smoke stopping", "stop smoke/1"}},
      {kStopping, {"persist"}},
      {kEnding, {"persist"}},
      {kPaused, {"persist", "smoke waiting", "smoke preparing", "prepare smoke on a#1 b#2"}},
      {kCanceled, {"persist", "smoke waiting", "smoke preparing", "prepare smoke on a#1 b#2"}},
      {kFinished, {"persist", "smoke waiting", "smoke preparing", "prepare smoke on a#1 b#2"}},
      {kFailed, {"persist", "smoke waiting", "smoke preparing", "prepare smoke on a#1 b#2"}},
  };
  for (const auto& [at, asked] : expected) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    const int64_t version = Saved().version();
    ASSERT_TRUE(Apply("second").ok());
    EXPECT_EQ(Asked(), asked);
    EXPECT_EQ(Saved().file(), "second");
    EXPECT_EQ(Saved().version(), version + 1);
    EXPECT_EQ(Saved().desire(), proto::JOB_RUNNING);
    EXPECT_FALSE(Saved().finished());
    EXPECT_FALSE(Saved().has_failure());
    EXPECT_EQ(Saved().created(), 77);
  }
}

TEST_F(ClusterStateWishes, TheSameFileInEachPhase) {
  using enum JobPhase;
  for (const JobPhase at :
       {kWaiting, kPreparing, kDeploying, kRunning, kStopping, kEnding, kFinished}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    const proto::JobRecord before = Saved();
    ASSERT_TRUE(Apply().ok());
    EXPECT_THAT(Asked(), IsEmpty());
    EXPECT_EQ(Saved().SerializeAsString(), before.SerializeAsString());
  }
  for (const JobPhase at : {kPaused, kCanceled, kFailed}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    ASSERT_TRUE(Apply().ok());
    EXPECT_THAT(Asked(), ElementsAre("persist", "smoke waiting", "smoke preparing",
                                     "prepare smoke on a#1 b#2"));
  }
}

TEST_F(ClusterStateWishes, TheSameFileUnderAnotherNameIsOnlyNoted) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(state_.Apply(kJob, "moved/smoke.yaml", "first", 78, now_, &host_).ok());
  EXPECT_THAT(Asked(), ElementsAre("persist"));
  EXPECT_EQ(Saved().file_name(), "moved/smoke.yaml");
}

TEST_F(ClusterStateWishes, TheSameFileResumesAJobThatIsBeingPaused) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Desire(proto::JOB_PAUSED).ok());
  ASSERT_TRUE(Apply().ok());
  Done();
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

TEST_F(ClusterStateWishes, AFailedJobIsInTheCatalogAsAppliedAgain) {
  Reach(JobPhase::kFailed);
  proto::Catalog persisted;
  host_.on_persist = [&] { persisted = state_.ToCatalog(); };
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(persisted.jobs(0).has_failure());
}

TEST_F(ClusterStateWishes, WhatWentWrongBeforeCountsNoMoreUnderAnotherFile) {
  Reach(JobPhase::kWaiting);  // in the pause after a failure
  ASSERT_TRUE(Apply("second").ok());
  ASSERT_EQ(phase(), JobPhase::kPreparing);
  PrepareFails(BrokerAway());
  Pass(milliseconds(500));
  EXPECT_EQ(phase(), JobPhase::kPreparing) << "the pause is a first one's";
}

TEST_F(ClusterStateWishes, AMistakeInTheOldFileDoesNotFailTheNewOne) {
  Reach(JobPhase::kPreparing);
  ASSERT_TRUE(Apply("second").ok());
  PrepareFails(Mistake());
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_FALSE(Saved().has_failure());

  Anew();
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Apply("second").ok());
  Done(Mistake());
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_FALSE(Saved().has_failure());
}

TEST_F(ClusterStateWishes, WhatWasPreparedForTheOldFileIsNotDeployed) {
  Reach(JobPhase::kPreparing);
  ASSERT_TRUE(Apply("second").ok());
  host_.Take();
  Prepared({"a", "b"});
  EXPECT_THAT(Asked(), ElementsAre("end leading smoke", "smoke waiting", "smoke preparing",
                                   "prepare smoke on a#1 b#2"));
  Prepared({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kDeploying);
}

// ---- pause, resume, cancel ----------------------------------------------------------------------

TEST_F(ClusterStateWishes, PauseAndCancelInEachPhase) {
  using enum JobPhase;
  struct Case {
    JobPhase at;
    std::vector<std::string> paused;
    std::vector<std::string> canceled;
  };
  const std::vector<std::string> ends = {"persist", "end leading smoke", "smoke ending",
                                         "end smoke/1 on a#1", "end smoke/1 on b#2"};
  const std::vector<std::string> stops = {"persist", "smoke stopping", "stop smoke/1"};
  const std::vector<Case> cases = {
      {kWaiting, {"persist", "smoke paused"}, {"persist", "smoke canceled"}},
      {kPreparing, {"persist", "abandon smoke"}, {"persist", "abandon smoke"}},
      {kDeploying, ends, ends},
      {kRunning, stops, stops},
      {kStopping, {"persist"}, {"persist"}},
      {kEnding, {"persist"}, {"persist"}},
      {kPaused, {}, {"persist", "smoke canceled"}},
      {kFailed, {}, {"persist", "smoke canceled"}},
      {kCanceled, {}, {}},
      {kFinished, {}, {}},
  };
  for (const Case& one : cases) {
    for (const bool pause : {true, false}) {
      SCOPED_TRACE(std::string(JobPhaseName(one.at)) + (pause ? " pause" : " cancel"));
      Anew();
      Reach(one.at);
      const Status status = Desire(pause ? proto::JOB_PAUSED : proto::JOB_CANCELED);
      const bool refused =
          one.at == kFinished || (pause && (one.at == kFailed || one.at == kCanceled));
      EXPECT_EQ(CodeOf(status), refused ? "job_ended" : "");
      EXPECT_EQ(Asked(), pause ? one.paused : one.canceled);
      EXPECT_EQ(Saved().has_failure(), one.at == kFailed && pause);
    }
  }
}

TEST_F(ClusterStateWishes, AnAttemptThatIsOverByThenIsFollowedByWhatIsWanted) {
  using enum JobPhase;
  for (const JobPhase at : {kPreparing, kDeploying, kRunning, kStopping, kEnding}) {
    for (const bool pause : {true, false}) {
      SCOPED_TRACE(std::string(JobPhaseName(at)) + (pause ? " pause" : " cancel"));
      Anew();
      Reach(at);
      ASSERT_TRUE(Desire(pause ? proto::JOB_PAUSED : proto::JOB_CANCELED).ok());
      if (at == kPreparing) Prepared({"a", "b"});
      if (phase() == kStopping) Done();
      if (phase() == kEnding) EndOn({"a", "b"});
      EXPECT_EQ(phase(), pause ? kPaused : kCanceled);
      Pass(seconds(1000));
      EXPECT_EQ(phase(), pause ? kPaused : kCanceled);
      ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
      EXPECT_EQ(phase(), kPreparing);
    }
  }
}

TEST_F(ClusterStateWishes, AJobIsPausedAlthoughWhatPreparesItFails) {
  Reach(JobPhase::kPreparing);
  ASSERT_TRUE(Desire(proto::JOB_PAUSED).ok());
  PrepareFails(ExternalError("stopped", "given up", Retry::kYes));
  EXPECT_EQ(phase(), JobPhase::kPaused);
  EXPECT_EQ(job().why, "paused");
  EXPECT_FALSE(Saved().has_failure());
}

TEST_F(ClusterStateWishes, AJobIsCanceledAlthoughItFailsOrIsSlowMeanwhile) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Desire(proto::JOB_CANCELED).ok());
  Done(Mistake());
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kCanceled);
  EXPECT_EQ(job().why, "canceled");
  EXPECT_FALSE(Saved().has_failure());

  Anew();
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Desire(proto::JOB_CANCELED).ok());
  Pass(ClusterState::kStopTimeout + milliseconds(1));
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kCanceled);
}

TEST_F(ClusterStateWishes, ResumeInEachPhase) {
  using enum JobPhase;
  for (const JobPhase at : {kWaiting, kPreparing, kDeploying, kRunning, kStopping, kEnding}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
    EXPECT_THAT(Asked(), IsEmpty());
  }
  for (const JobPhase at : {kPaused, kCanceled, kFailed}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
    EXPECT_THAT(Asked(), ElementsAre("persist", "smoke waiting", "smoke preparing",
                                     "prepare smoke on a#1 b#2"));
    EXPECT_FALSE(Saved().has_failure());
  }
  Anew();
  Reach(kFinished);
  EXPECT_EQ(CodeOf(Desire(proto::JOB_RUNNING)), "job_ended");
}

TEST_F(ClusterStateWishes, AJobIsResumedBeforeItHasPaused) {
  using enum JobPhase;
  for (const JobPhase at : {kPreparing, kDeploying, kRunning, kStopping, kEnding}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    ASSERT_TRUE(Desire(proto::JOB_PAUSED).ok());
    ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
    if (at == kPreparing) Prepared({"a", "b"});
    if (phase() == kStopping) Done();
    if (phase() == kEnding) EndOn({"a", "b"});
    EXPECT_EQ(phase(), kPreparing);
  }
}

TEST_F(ClusterStateWishes, AResumedJobHasAllItsRestartsAgain) {
  restart_.attempts = 1;
  Reach(JobPhase::kRunning);
  for (int i = 0; i < 2; ++i) {
    Done(BrokerAway());
    EndOn({"a", "b"});
    if (i > 0) break;
    Pass(milliseconds(500));
    RunOn({"a", "b"});
  }
  ASSERT_EQ(phase(), JobPhase::kFailed);
  ASSERT_TRUE(Desire(proto::JOB_RUNNING).ok());
  RunOn({"a", "b"});
  Done(BrokerAway());
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kWaiting);
  Pass(milliseconds(500));
  EXPECT_EQ(phase(), JobPhase::kPreparing);
}

// ---- rescale ------------------------------------------------------------------------------------

TEST_F(ClusterStateWishes, RescaleInEachPhase) {
  using enum JobPhase;
  const std::map<JobPhase, std::vector<std::string>> expected = {
      {kWaiting, {"persist"}},
      {kPreparing, {"persist", "abandon smoke"}},
      {kDeploying,
       {"persist", "end leading smoke", "smoke ending", "end smoke/1 on a#1",
        "end smoke/1 on b#2"}},
      {kRunning, {"persist", "smoke stopping", "stop smoke/1"}},
      {kStopping, {"persist"}},
      {kEnding, {"persist"}},
      {kPaused, {"persist"}},
      {kCanceled, {"persist"}},
      {kFinished, {"persist"}},
      {kFailed, {"persist"}},
  };
  for (const auto& [at, asked] : expected) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    ASSERT_TRUE(Rescale(5).ok());
    EXPECT_EQ(Asked(), asked);
    EXPECT_EQ(Saved().parallelism(), 5);
    ASSERT_TRUE(Rescale(5).ok());
    EXPECT_THAT(Asked(), IsEmpty()) << "it is that already";
  }
}

TEST_F(ClusterStateWishes, AJobIsRescaledWhileItStopsForAnotherReason) {
  Reach(JobPhase::kRunning);
  Leave("b");
  host_.Take();
  ASSERT_TRUE(Rescale(5).ok());
  ASSERT_TRUE(Rescale(6).ok());
  EXPECT_THAT(Asked(), ElementsAre("persist", "persist")) << "one stop is enough";
  Done();
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_EQ(job().record.parallelism(), 6);
  EXPECT_EQ(job().version, job().record.version()) << "what is prepared is the last wish";
}

TEST_F(ClusterStateWishes, APreparationForAnotherParallelismIsNotUsed) {
  Reach(JobPhase::kPreparing);
  ASSERT_TRUE(Rescale(5).ok());
  Prepared({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_EQ(job().why, "finding its state and its sources");
  EXPECT_EQ(job().restarts, 0);
}

// ---- a rescale that fails -----------------------------------------------------------------------

Status DiskFull() { return ExternalError("disk_full", "no space in /local", Retry::kYes); }

class RescaleTrials : public ClusterStateTest {
 protected:
  // From a job that runs as its file says to an attempt of `parallelism` that is being deployed.
  void Try(int32_t parallelism) {
    Reach(JobPhase::kRunning);
    ASSERT_TRUE(Rescale(parallelism).ok());
    Done();
    EndOn({"a", "b"});
    DeployOn({"a", "b"});
    host_.Take();
  }
};

TEST_F(RescaleTrials, OneThatFailsHalfWayIsTakenBack) {
  Try(5);
  EXPECT_EQ(Saved().rescale().before(), 0);
  Deployed("a", DiskFull());
  EXPECT_EQ(Asked(), (std::vector<std::string>{"persist", "end leading smoke", "smoke ending",
                                               "end smoke/2 on a#1", "end smoke/2 on b#2"}));
  EXPECT_EQ(Saved().parallelism(), 0);
  EXPECT_FALSE(Saved().has_rescale());
  EXPECT_EQ(Saved().rescale_failure(),
            "the rescale to parallelism 5 failed, and was taken back to the parallelism of its "
            "file: no space in /local");
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing) << "at once: no pause for what is not tried again";
  EXPECT_EQ(job().version, job().record.version()) << "what is prepared has the size of before";
  RunOn({"a", "b"});
  host_.Take();
  Done(DiskFull());
  EndOn({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kWaiting) << "a failure like any other";
  EXPECT_EQ(Saved().parallelism(), 0);
}

TEST_F(RescaleTrials, ItsFirstCheckpointEndsTheTrial) {
  Try(5);
  Deployed("a");
  Deployed("b");
  host_.Take();
  Checkpoint();
  EXPECT_THAT(Asked(), ElementsAre("persist"));
  EXPECT_FALSE(Saved().has_rescale());
  Checkpoint();
  EXPECT_THAT(Asked(), IsEmpty());
  Done(DiskFull());
  EXPECT_EQ(Saved().parallelism(), 5);
  EXPECT_EQ(Saved().rescale_failure(), "");
}

TEST_F(RescaleTrials, ACheckpointOfTheSizeBeforeDoesNot) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Rescale(5).ok());
  host_.Take();
  Checkpoint();
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_TRUE(Saved().has_rescale());
}

TEST_F(RescaleTrials, AFailureWhileItRunsBeforeItsFirstCheckpointTakesItBack) {
  Try(5);
  Deployed("a");
  Deployed("b");
  Done(DiskFull());
  EXPECT_EQ(Saved().parallelism(), 0);
}

TEST_F(RescaleTrials, ALostWorkerOrAnAbsentBrokerIsNotItsFault) {
  Try(5);
  Lose("b");
  EndOn({"a"});
  ASSERT_EQ(phase(), JobPhase::kPreparing);
  PrepareFails(BrokerAway());
  EXPECT_EQ(Saved().parallelism(), 5);
  EXPECT_TRUE(Saved().has_rescale());
}

TEST_F(RescaleTrials, WorkersThatAreLostAgainAndAgainTakeItBackBeforeTheJobIsGivenUp) {
  restart_.attempts = 1;
  Try(5);
  for (int lost = 1; Saved().has_rescale(); ++lost) {
    ASSERT_LT(lost, 10);
    ASSERT_EQ(Saved().parallelism(), 5);
    Deployed("a");
    Deployed("b");
    Lose("b");
    EndOn({"a"});
    Come("b");
    Pass(seconds(60));
    ASSERT_EQ(phase(), JobPhase::kPreparing);
    DeployOn({"a", "b"});
  }
  EXPECT_EQ(Saved().parallelism(), 0);
  EXPECT_THAT(Saved().rescale_failure(), testing::HasSubstr("worker 'b' is lost"));
}

TEST_F(RescaleTrials, TheNextCoordinatorTakesItBackToo) {
  Try(5);
  const proto::Catalog catalog = state_.ToCatalog();
  Anew(catalog);
  Come("a");
  ASSERT_EQ(phase(), JobPhase::kPreparing);
  DeployOn({"a"});
  Deployed("a", DiskFull());
  EXPECT_EQ(Saved().parallelism(), 0);
}

TEST_F(RescaleTrials, OfTwoTheSizeBeforeBothIsGoneBackTo) {
  Try(5);
  ASSERT_TRUE(Rescale(6).ok());
  EXPECT_EQ(Saved().rescale().before(), 0);
  EndOn({"a", "b"});
  DeployOn({"a", "b"});
  Deployed("a", DiskFull());
  EXPECT_EQ(Saved().parallelism(), 0);
}

TEST_F(RescaleTrials, AWishForTheSizeBeforeIsNoTrial) {
  Try(5);
  ASSERT_TRUE(Rescale(0).ok());
  EXPECT_FALSE(Saved().has_rescale());
}

TEST_F(RescaleTrials, WhatBecameOfOneIsForgottenWithTheNextWish) {
  for (const bool rescale : {true, false}) {
    Anew();
    Try(5);
    Deployed("a", DiskFull());
    ASSERT_NE(Saved().rescale_failure(), "");
    ASSERT_TRUE((rescale ? Rescale(3) : Apply("second")).ok());
    EXPECT_EQ(Saved().rescale_failure(), "");
    EXPECT_EQ(Saved().has_rescale(), rescale);
  }
}

// ---- restore ------------------------------------------------------------------------------------

proto::RestorePoint Savepoint() {
  proto::RestorePoint point;
  point.set_savepoint("before-the-move");
  return point;
}

TEST_F(ClusterStateWishes, ARestoreIsInTheCatalogUntilAnAttemptGoesOnFromIt) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(state_.Restore(kJob, Savepoint(), now_, &host_).ok());
  EXPECT_THAT(Asked(), ElementsAre("persist", "smoke stopping", "stop smoke/1"));
  EXPECT_EQ(Saved().restore().savepoint(), "before-the-move");
  Done();
  EndOn({"a", "b"});
  // Its workers have gone: the next preparation is from there, too.
  const std::vector<WorkerInfo> gone = {state_.workers().at("b")};
  Lose("b");
  PreparedOn(gone);
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_TRUE(Saved().has_restore());
  host_.Take();
  Prepared({"a"});
  EXPECT_FALSE(Saved().has_restore());
  EXPECT_THAT(Asked(), ElementsAre("persist", "smoke deploying", "deploy smoke/3 on a#1"));
}

TEST_F(ClusterStateWishes, APreparationFromBeforeARestoreLeavesIt) {
  Reach(JobPhase::kPreparing);
  ASSERT_TRUE(state_.Restore(kJob, Savepoint(), now_, &host_).ok());
  EXPECT_THAT(Asked(), ElementsAre("persist", "abandon smoke"));
  Prepared({"a", "b"});
  EXPECT_EQ(phase(), JobPhase::kPreparing);
  EXPECT_TRUE(Saved().has_restore());
  Prepared({}, /*finished=*/true);
  EXPECT_EQ(phase(), JobPhase::kFinished);
  EXPECT_FALSE(Saved().has_restore());
}

TEST_F(ClusterStateWishes, ARestoreBeginsAnewWhatRests) {
  for (const JobPhase rests :
       {JobPhase::kPaused, JobPhase::kCanceled, JobPhase::kFinished, JobPhase::kFailed}) {
    Anew();
    Reach(rests);
    ASSERT_TRUE(state_.Restore(kJob, Savepoint(), now_, &host_).ok());
    EXPECT_EQ(phase(), JobPhase::kPreparing) << JobPhaseName(rests);
    EXPECT_EQ(Saved().desire(), proto::JOB_RUNNING);
    EXPECT_FALSE(Saved().finished());
    EXPECT_FALSE(Saved().has_failure());
  }
}

TEST_F(ClusterStateWishes, ARestoreThatCannotBeWrittenIsNotBegun) {
  Reach(JobPhase::kRunning);
  host_.persists = ExternalError("disk_full", "no space left", Retry::kNo);
  EXPECT_EQ(CodeOf(state_.Restore(kJob, Savepoint(), now_, &host_)), "disk_full");
  EXPECT_EQ(phase(), JobPhase::kRunning);
  EXPECT_EQ(CodeOf(state_.Restore("other", Savepoint(), now_, &host_)), "job_unknown");
}

// ---- remove -------------------------------------------------------------------------------------

TEST_F(ClusterStateWishes, RemoveInEachPhase) {
  using enum JobPhase;
  for (const JobPhase at :
       {kWaiting, kPreparing, kDeploying, kRunning, kStopping, kEnding, kPaused}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    const Status status = state_.Remove(kJob, &host_);
    EXPECT_EQ(CodeOf(status), "job_is_running");
    EXPECT_EQ(status.message(),
              "job 'smoke' is " + std::string(JobPhaseName(at)) + ": cancel it first");
    EXPECT_THAT(Asked(), IsEmpty());
  }
  for (const JobPhase at : {kCanceled, kFinished, kFailed}) {
    SCOPED_TRACE(JobPhaseName(at));
    Anew();
    Reach(at);
    EXPECT_TRUE(state_.Remove(kJob, &host_).ok());
    EXPECT_THAT(Asked(), ElementsAre("persist"));
    EXPECT_EQ(state_.ToCatalog().jobs_size(), 0);
    ASSERT_TRUE(Apply("second").ok());
    EXPECT_EQ(phase(), kPreparing) << "the name is free again";
    EXPECT_EQ(Saved().version(), 1);
  }
}

// ---- several jobs, mistakes ---------------------------------------------------------------------

TEST_F(ClusterStateWishes, JobsDoNotDisturbEachOther) {
  Reach(JobPhase::kRunning);
  ASSERT_TRUE(Apply("its file", "other").ok());
  EXPECT_THAT(Asked(), ElementsAre("persist", "other preparing", "prepare other on a#1 b#2"));
  state_.OnPrepareFailed("other", Mistake(), now_, &host_);
  EXPECT_EQ(job("other").phase, JobPhase::kFailed);
  EXPECT_EQ(phase(), JobPhase::kRunning);
  EXPECT_EQ(state_.ToCatalog().jobs_size(), 2);
}

TEST_F(ClusterStateWishes, AnUnknownJobIsToldWithTheNearestName) {
  ASSERT_TRUE(Apply().ok());
  ASSERT_TRUE(Apply("first", "vehicles").ok());
  host_.Take();
  for (const Status& status :
       {state_.SetDesire("smok", proto::JOB_PAUSED, now_, &host_),
        state_.Rescale("smok", 2, now_, &host_), state_.Remove("smok", &host_)}) {
    EXPECT_EQ(CodeOf(status), "job_unknown");
    EXPECT_EQ(status.message(), "there is no job 'smok'; do you mean 'smoke'?");
  }
  EXPECT_EQ(state_.Remove("nothing like it", &host_).message(),
            "there is no job 'nothing like it'");
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ClusterStateWishes, WhatCannotBeWrittenIsNotDone) {
  for (const int wish : {0, 1, 2, 3}) {
    SCOPED_TRACE(wish);
    Anew();
    Reach(wish == 3 ? JobPhase::kFailed : JobPhase::kRunning);
    host_.persists = ExternalError("superseded", "another process leads", Retry::kNo);
    const Status status = wish == 0   ? Apply("second")
                          : wish == 1 ? Desire(proto::JOB_PAUSED)
                          : wish == 2 ? Rescale(4)
                                      : state_.Remove(kJob, &host_);
    EXPECT_EQ(CodeOf(status), "superseded");
    EXPECT_THAT(Asked(), ElementsAre("persist"));
    EXPECT_EQ(CodeOf(Apply("third")), "superseded");
    EXPECT_THAT(Asked(), IsEmpty()) << "it is not tried again";
    host_.persists = Status::OK();
  }
}

TEST_F(ClusterStateWishes, EveryWishIsInTheCatalogBeforeAnythingIsDone) {
  Reach(JobPhase::kRunning);
  bool done = false;
  host_.on_persist = [&] {
    EXPECT_EQ(phase(), JobPhase::kRunning);
    EXPECT_EQ(Saved().desire(), proto::JOB_PAUSED);
    done = true;
  };
  ASSERT_TRUE(Desire(proto::JOB_PAUSED).ok());
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace millrace
