#include "coordinator/cluster_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <set>

#include "engine/metrics/job_metric_families.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kJob = "counting";
const Status kFailure = ExternalError("disk_full", "no space left", Retry::kYes);

// A cluster whose workers do at once what they are told, but for the end of an attempt: that is
// left to the test.
class ClusterMetricsTest : public testing::Test, protected ClusterHost {
 protected:
  // ---- what happens

  WorkerInfo NewWorker(const std::string& name) {
    WorkerInfo worker;
    worker.name = name;
    worker.session = ++sessions_;
    return worker;
  }
  void Come(const std::string& name) {
    state_.OnWorker(NewWorker(name), now_, this);
    Settle();
  }
  void Lose(const std::string& name) {
    state_.OnWorkerLost(name, state_.workers().at(name).session, "it was killed", now_, this);
    Settle();
  }
  void Leave(const std::string& name) {
    state_.OnWorkerLeaving(name, state_.workers().at(name).session, now_, this);
    Settle();
  }
  void Apply(const std::string& file) {
    ASSERT_TRUE(state_.Apply(kJob, "job.yaml", file, /*wall_micros=*/0, now_, this).ok());
    Settle();
  }
  void Done(const Status& status) {
    state_.OnAttemptDone(kJob, job().attempt, status, now_, this);
    Settle();
  }
  void Wait(MonotonicTime time) {
    now_ += time;
    state_.OnTick(now_, this);
    Settle();
  }
  // Until nothing is asked any more.
  void Settle() {
    while (!asked_.empty()) {
      const auto next = std::move(asked_.front());
      asked_.pop_front();
      next();
    }
    metrics_.Update(state_, /*term=*/7, now_ += std::chrono::milliseconds(100));
  }

  // ---- what is to be seen

  const ClusterState::Job& job() { return state_.jobs().at(kJob); }
  std::string State() {
    std::string states;
    for (const char* each : {"canceled", "deploying", "ending", "failed", "finished", "paused",
                             "preparing", "running", "stopping", "waiting"}) {
      if (families_.JobState(each).Value() == 1) states += each;
    }
    return states;
  }
  // "worker_lost 1, rescaled 2"
  std::string Restarts() {
    std::string restarts;
    for (const RestartCause cause : kRestartCauses) {
      const double count = families_.JobRestarts(RestartCauseName(cause)).Value();
      if (count == 0) continue;
      restarts += (restarts.empty() ? "" : ", ") + std::string(RestartCauseName(cause)) + " " +
                  std::to_string(int(count));
    }
    return restarts;
  }
  // "2 active, 1 leaving, 3 lost"
  std::string Workers() {
    std::string workers;
    for (const char* state : {"active", "leaving", "lost"}) {
      workers += (workers.empty() ? "" : ", ") +
                 std::to_string(int(shown_.Workers(state).Value())) + " " + state;
    }
    return workers;
  }

  // ---- ClusterHost

  void Prepare(const proto::JobRecord&, const std::vector<WorkerInfo>& workers) override {
    if (preparing_fails_) {
      asked_.push_back([this] { state_.OnPrepareFailed(kJob, kFailure, now_, this); });
      return;
    }
    if (preparing_waits_) return;
    asked_.push_back([this, workers] {
      PreparedAttempt prepared;
      prepared.attempt = ++attempts_;
      prepared.workers = workers;
      state_.OnPrepared(kJob, prepared, now_, this);
    });
  }
  void AbandonPreparation(const std::string&) override {}
  void Deploy(const std::string& of, int64_t attempt, const WorkerInfo& worker) override {
    asked_.push_back([this, of, attempt, name = worker.name] {
      state_.OnDeployed(of, attempt, name, Status::OK(), now_, this);
    });
  }
  void Launch(const std::string&, int64_t) override {}
  void RequestStop(const std::string& of, int64_t attempt) override {
    if (stopping_waits_) return;
    asked_.push_back(
        [this, of, attempt] { state_.OnAttemptDone(of, attempt, Status::OK(), now_, this); });
  }
  void EndLeading(const std::string&) override {}
  void EndOnWorker(const std::string& of, int64_t attempt, const WorkerInfo& worker) override {
    asked_.push_back([this, of, attempt, name = worker.name] {
      state_.OnAttemptEnded(of, attempt, name, now_, this);
    });
  }
  bool WouldMove(const std::string&, const std::vector<WorkerInfo>&) override { return true; }
  void MayLeave(const WorkerInfo& worker) override {
    metrics_.OnMayLeave(worker);
    asked_.push_back([this, worker] {
      state_.OnWorkerLost(worker.name, worker.session, "it ended", now_, this);
    });
  }
  void Drop(const WorkerInfo&) override {}
  Status Persist() override { return Status::OK(); }
  void OnPhase(const std::string& of, JobPhase, const std::string&) override {
    metrics_.OnPhase(state_.jobs().at(of));
  }
  void OnIllegalTransition(const std::string& of, JobPhase from, JobPhase to) override {
    ADD_FAILURE() << of << " goes from " << JobPhaseName(from) << " to " << JobPhaseName(to);
  }

  MonotonicTime now_ = std::chrono::seconds(1);
  uint64_t sessions_ = 0;
  int64_t attempts_ = 0;
  bool preparing_fails_ = false;
  bool preparing_waits_ = false;
  bool stopping_waits_ = false;
  std::deque<std::function<void()>> asked_;
  Metrics shown_;
  const JobMetricFamilies families_{&shown_, kJob};
  ClusterState state_{proto::Catalog(), now_};
  ClusterMetrics metrics_{&shown_};
};

TEST_F(ClusterMetricsTest, AJobsStateIsShownUntilItIsDeleted) {
  Apply("one");
  EXPECT_EQ(State(), "waiting");
  Come("a");
  EXPECT_EQ(State(), "running");
  EXPECT_THAT(shown_.Text(), HasSubstr("millrace_coordinator_term 7\n"));
  // Counters begin at zero.
  EXPECT_THAT(
      shown_.Text(),
      HasSubstr("millrace_job_restarts_total{job=\"counting\",reason=\"worker_lost\"} 0\n"));
  families_.CheckpointSizeBytes().Set(100);
  ASSERT_TRUE(state_.SetDesire(kJob, proto::JOB_CANCELED, now_, this).ok());
  Settle();
  EXPECT_EQ(State(), "canceled");
  EXPECT_EQ(Restarts(), "");
  ASSERT_TRUE(state_.Remove(kJob, this).ok());
  Settle();
  EXPECT_THAT(shown_.Text(), Not(HasSubstr(kJob)));
  // Made anew, it begins anew.
  Apply("one");
  EXPECT_EQ(State(), "running");
  Lose("a");
  Come("a");
  EXPECT_EQ(Restarts(), "worker_lost 1");
}

TEST_F(ClusterMetricsTest, JobsOfTheCatalogAreShown) {
  proto::Catalog catalog;
  proto::JobRecord& record = *catalog.add_jobs();
  record.set_name(kJob);
  record.set_desire(proto::JOB_PAUSED);
  state_ = ClusterState(catalog, now_);
  Settle();
  EXPECT_EQ(State(), "paused");
}

TEST_F(ClusterMetricsTest, LooksAFewTimesASecond) {
  Apply("one");
  state_.OnWorker(NewWorker("a"), now_, this);
  EXPECT_EQ(State(), "waiting");
  metrics_.Update(state_, 7, now_ + std::chrono::milliseconds(99));
  EXPECT_EQ(State(), "waiting");
  metrics_.Update(state_, 7, now_ + std::chrono::milliseconds(100));
  EXPECT_EQ(State(), "preparing");
}

TEST_F(ClusterMetricsTest, ALostWorkerIsTheCause) {
  Come("a");
  Come("b");
  Apply("one");
  Lose("b");
  EXPECT_EQ(State(), "running");
  EXPECT_EQ(Restarts(), "worker_lost 1");
  EXPECT_EQ(job().restarts, 1);
  Come("b");
  Wait(std::chrono::seconds(3));
  EXPECT_EQ(Restarts(), "worker_lost 1, workers_changed 1");
  Lose("b");
  EXPECT_EQ(Restarts(), "worker_lost 2, workers_changed 1");
}

TEST_F(ClusterMetricsTest, ALostPeerIsTheCause) {
  Come("a");
  Apply("one");
  state_.OnAttemptBroken(kJob, job().attempt, "'a' has lost 'b'", now_, this);
  Settle();
  EXPECT_EQ(Restarts(), "peer_lost 1");
}

TEST_F(ClusterMetricsTest, AFailureIsTheCause) {
  Come("a");
  Apply("one");
  Done(kFailure);
  EXPECT_EQ(Restarts(), "failed 1");
  EXPECT_EQ(State(), "waiting");
  preparing_fails_ = true;
  Wait(std::chrono::minutes(1));
  EXPECT_EQ(Restarts(), "failed 2");
}

TEST_F(ClusterMetricsTest, AnOrderlyEndIsTheCause) {
  Come("a");
  Come("b");
  Apply("one");
  Leave("b");
  EXPECT_EQ(Restarts(), "worker_left 1");
  ASSERT_TRUE(state_.Rescale(kJob, 3, now_, this).ok());
  Settle();
  EXPECT_EQ(Restarts(), "worker_left 1, rescaled 1");
  Apply("two");
  EXPECT_EQ(Restarts(), "worker_left 1, rescaled 1, applied 1");
  stopping_waits_ = true;
  ASSERT_TRUE(state_.SetDesire(kJob, proto::JOB_PAUSED, now_, this).ok());
  ASSERT_TRUE(state_.SetDesire(kJob, proto::JOB_RUNNING, now_, this).ok());
  Done(Status::OK());
  EXPECT_EQ(Restarts(), "worker_left 1, rescaled 1, applied 1, resumed 1");
  EXPECT_EQ(State(), "running");
}

TEST_F(ClusterMetricsTest, TheFirstCauseCounts) {
  Come("a");
  Apply("one");
  stopping_waits_ = true;
  ASSERT_TRUE(state_.Rescale(kJob, 3, now_, this).ok());
  Settle();
  EXPECT_EQ(State(), "stopping");
  Apply("two");
  Wait(std::chrono::minutes(1));  // it does not stop in time
  EXPECT_EQ(State(), "running");
  EXPECT_EQ(Restarts(), "rescaled 1");
}

TEST_F(ClusterMetricsTest, WhatWasOnlyPreparedIsNotStartedAgain) {
  preparing_waits_ = true;
  Come("a");
  Apply("one");
  EXPECT_EQ(State(), "preparing");
  Apply("two");
  preparing_waits_ = false;
  PreparedAttempt prepared;
  prepared.attempt = ++attempts_;
  state_.OnPrepared(kJob, prepared, now_, this);
  Settle();
  EXPECT_EQ(State(), "running");
  EXPECT_EQ(Restarts(), "");
}

TEST_F(ClusterMetricsTest, WorkersAreCounted) {
  Settle();
  EXPECT_EQ(Workers(), "0 active, 0 leaving, 0 lost");
  Come("a");
  Come("b");
  Come("c");
  EXPECT_EQ(Workers(), "3 active, 0 leaving, 0 lost");
  Lose("b");
  EXPECT_EQ(Workers(), "2 active, 0 leaving, 1 lost");
  Apply("one");
  stopping_waits_ = true;
  Leave("c");  // waits for the job's checkpoint
  EXPECT_EQ(Workers(), "1 active, 1 leaving, 1 lost");
  Done(Status::OK());
  EXPECT_EQ(Workers(), "1 active, 0 leaving, 1 lost");
  Come("b");
  EXPECT_EQ(Workers(), "2 active, 0 leaving, 0 lost");
}

TEST(RestartCauseTest, EveryCauseHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (const RestartCause cause : kRestartCauses) words.insert(RestartCauseName(cause));
  EXPECT_EQ(words.size(), std::size(kRestartCauses));
  EXPECT_EQ(RestartCauseOf(ExternalError("stop_timeout", "", Retry::kYes)),
            RestartCause::kStopTimeout);
  EXPECT_EQ(RestartCauseOf(Status::IOError("broken")), RestartCause::kFailed);
}

}  // namespace
}  // namespace millrace
