// Workers that have lost each other, though the coordinator has both: jobs go to one of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "coordinator/cluster_state.h"

namespace millrace {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

// Attempts are prepared on whoever is offered, and numbered.
class AnyPlace final : public ClusterHost {
 public:
  void Prepare(const proto::JobRecord&, const std::vector<WorkerInfo>& workers) override {
    offered = workers;
  }
  void AbandonPreparation(const std::string&) override {}
  void Deploy(const std::string&, int64_t, const WorkerInfo& worker) override {
    deployed.push_back(worker.name);
  }
  void Launch(const std::string&, int64_t) override {}
  void RequestStop(const std::string&, int64_t) override { ++stops; }
  void EndLeading(const std::string&) override {}
  void EndOnWorker(const std::string&, int64_t, const WorkerInfo& worker) override {
    ended.push_back(worker.name);
  }
  bool WouldMove(const std::string&, const std::vector<WorkerInfo>& workers) override {
    return workers.size() != running_on;
  }
  void MayLeave(const WorkerInfo&) override {}
  void Drop(const WorkerInfo&) override {}
  Status Persist() override { return Status::OK(); }
  void OnPhase(const std::string&, JobPhase, const std::string&) override {}
  void OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) override {
    ADD_FAILURE() << job << " goes from " << JobPhaseName(from) << " to " << JobPhaseName(to);
  }

  std::vector<WorkerInfo> offered;
  std::vector<std::string> deployed;
  std::vector<std::string> ended;
  size_t running_on = 0;
  int stops = 0;
};

class CutOffWorkersTest : public testing::Test {
 protected:
  void Come(const std::string& name, int32_t slots = 1) {
    WorkerInfo worker;
    worker.name = name;
    worker.session = ++sessions_;
    worker.slots = slots;
    state_.OnWorker(worker, now_, &host_);
  }
  const ClusterState::Job& job() const { return state_.jobs().at("job"); }
  // Of what was offered last, until it runs.
  void RunWhatIsPrepared() {
    ASSERT_EQ(job().phase, JobPhase::kPreparing);
    PreparedAttempt prepared;
    prepared.attempt = job().attempt + 1;
    prepared.workers = host_.offered;
    host_.running_on = prepared.workers.size();
    host_.deployed.clear();
    state_.OnPrepared("job", prepared, now_, &host_);
    for (const std::string& worker : std::vector<std::string>(host_.deployed)) {
      state_.OnDeployed("job", job().attempt, worker, Status::OK(), now_, &host_);
    }
    ASSERT_EQ(job().phase, JobPhase::kRunning);
  }
  void EndOnAll() {
    for (const std::string& worker : std::exchange(host_.ended, {})) {
      state_.OnAttemptEnded("job", job().attempt, worker, now_, &host_);
    }
  }
  void LosePeer(const std::string& worker, const std::string& peer) {
    state_.OnPeerLost("job", job().attempt, worker, peer, "a cut", now_, &host_);
    EndOnAll();
  }
  std::vector<std::string> Offered() const {
    std::vector<std::string> names;
    names.reserve(host_.offered.size());
    for (const WorkerInfo& worker : host_.offered) names.push_back(worker.name);
    return names;
  }

  AnyPlace host_;
  MonotonicTime now_ = seconds(100);
  ClusterState state_{proto::Catalog(), now_};
  uint64_t sessions_ = 0;
};

TEST_F(CutOffWorkersTest, AJobGoesOnOnOneOfTwoThatLoseEachOther) {
  Come("a", 1);
  Come("b", 2);
  ASSERT_TRUE(state_.Apply("job", "job.yaml", "text", 0, now_, &host_).ok());
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  LosePeer("a", "b");
  EXPECT_THAT(Offered(), ElementsAre("b"));  // it offers more
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());

  // As long as who lost the other has it not.
  state_.OnPeers("b", {"a"}, now_);
  state_.OnPeers("a", {}, now_);
  state_.OnTick(now_ += seconds(60), &host_);
  EXPECT_EQ(host_.stops, 0);

  state_.OnPeers("a", {"b"}, now_);
  state_.OnTick(now_ += seconds(3), &host_);
  ASSERT_EQ(host_.stops, 1);
  state_.OnAttemptDone("job", job().attempt, Status::OK(), now_, &host_);
  EndOnAll();
  EXPECT_THAT(Offered(), ElementsAre("a", "b"));
}

TEST_F(CutOffWorkersTest, TheOneThatMostHaveLostIsLeftOut) {
  for (const char* name : {"a", "b", "c", "d"}) Come(name);
  ASSERT_TRUE(state_.Apply("job", "job.yaml", "text", 0, now_, &host_).ok());
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  LosePeer("a", "b");
  EXPECT_THAT(Offered(), ElementsAre("a", "c", "d"));
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  LosePeer("a", "c");
  state_.OnTick(now_ += seconds(1), &host_);  // a pause, as no checkpoint was completed
  EXPECT_THAT(Offered(), ElementsAre("b", "c", "d"));
}

TEST_F(CutOffWorkersTest, OneThatComesAnewIsTriedAgain) {
  Come("a");
  Come("b");
  ASSERT_TRUE(state_.Apply("job", "job.yaml", "text", 0, now_, &host_).ok());
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  LosePeer("a", "b");
  EXPECT_THAT(Offered(), ElementsAre("a"));
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  const int64_t attempt = job().attempt;
  Come("b");
  state_.OnTick(now_ += seconds(3), &host_);
  ASSERT_EQ(host_.stops, 1);
  state_.OnAttemptDone("job", attempt, Status::OK(), now_, &host_);
  EndOnAll();
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  // What is told late of the attempt before means another one.
  state_.OnPeerLost("job", attempt, "a", "b", "a cut", now_, &host_);
  EXPECT_EQ(job().phase, JobPhase::kRunning);
  EXPECT_THAT(Offered(), ElementsAre("a", "b"));
}

TEST_F(CutOffWorkersTest, OneThatComesWhileAJobIsPreparedIsUsed) {
  Come("a");
  ASSERT_TRUE(state_.Apply("job", "job.yaml", "text", 0, now_, &host_).ok());
  ASSERT_EQ(job().phase, JobPhase::kPreparing);
  Come("b");
  ASSERT_NO_FATAL_FAILURE(RunWhatIsPrepared());
  state_.OnTick(now_ += seconds(3), &host_);
  EXPECT_EQ(host_.stops, 1);
}

}  // namespace
}  // namespace millrace
