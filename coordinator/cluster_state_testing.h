// For tests of ClusterState: a host that writes down what it is asked for, and a cluster with one
// job that can be brought into each phase. An illegal transition fails the test that it happens in.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cluster_state.h"

namespace millrace {

class RecordingHost final : public ClusterHost {
 public:
  void Prepare(const proto::JobRecord& job, const std::vector<WorkerInfo>& workers) override {
    Note("prepare " + job.name() + " on" + Names(workers));
  }
  void AbandonPreparation(const std::string& job) override { Note("abandon " + job); }
  void Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) override {
    Note("deploy " + Of(job, attempt) + " on " + Of(worker));
  }
  void Launch(const std::string& job, int64_t attempt) override {
    Note("launch " + Of(job, attempt));
  }
  void RequestStop(const std::string& job, int64_t attempt) override {
    Note("stop " + Of(job, attempt));
  }
  void EndLeading(const std::string& job) override { Note("end leading " + job); }
  void EndOnWorker(const std::string& job, int64_t attempt, const WorkerInfo& worker) override {
    Note("end " + Of(job, attempt) + " on " + Of(worker));
  }
  bool WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) override {
    Note("would " + job + " move to" + Names(workers));
    return would_move;
  }
  void MayLeave(const WorkerInfo& worker) override { Note("may leave " + Of(worker)); }
  void Drop(const WorkerInfo& worker) override { Note("drop " + Of(worker)); }
  Status Persist() override {
    Note("persist");
    if (on_persist) on_persist();
    return persists;
  }
  void OnPhase(const std::string& job, JobPhase phase, const std::string& why) override {
    taken.insert({phases.contains(job) ? phases[job] : JobPhase::kWaiting, phase});
    phases[job] = phase;
    Note(job + " " + std::string(JobPhaseName(phase)));
  }
  void OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) override {
    ADD_FAILURE() << job << " goes from " << JobPhaseName(from) << " to " << JobPhaseName(to);
  }

  // What was asked for since the last time.
  std::vector<std::string> Take() { return std::exchange(asked_, {}); }

  bool would_move = true;
  Status persists;
  std::function<void()> on_persist;
  std::map<std::string, JobPhase> phases;         // of jobs, as told
  std::set<std::pair<JobPhase, JobPhase>> taken;  // transitions

 private:
  void Note(std::string what) { asked_.push_back(std::move(what)); }
  static std::string Of(const std::string& job, int64_t attempt) {
    return job + "/" + std::to_string(attempt);
  }
  static std::string Of(const WorkerInfo& worker) {
    return worker.name + "#" + std::to_string(worker.session);
  }
  static std::string Names(const std::vector<WorkerInfo>& workers) {
    std::string names;
    for (const WorkerInfo& worker : workers) names += " " + Of(worker);
    return names;
  }

  std::vector<std::string> asked_;
};

inline std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

inline Status BrokerAway() { return ExternalError("broker_unreachable", "no broker", Retry::kYes); }
inline Status Mistake() { return UserError("topic_missing", "there is no topic 'x'"); }

class ClusterStateTest : public testing::Test {
 protected:
  static constexpr const char* kJob = "smoke";

  // ---- what happens
  void Come(const std::string& name) {
    WorkerInfo worker;
    worker.name = name;
    worker.session = ++sessions_;
    worker.incarnation = "incarnation-" + std::to_string(sessions_);
    state_.OnWorker(worker, now_, &host_);
  }
  void Lose(const std::string& name) {
    state_.OnWorkerLost(name, state_.workers().at(name).session, "cut off", now_, &host_);
  }
  void Leave(const std::string& name) {
    state_.OnWorkerLeaving(name, state_.workers().at(name).session, now_, &host_);
  }
  Status Apply(const std::string& file = "first", const std::string& name = kJob) {
    return state_.Apply(name, name + ".yaml", file, /*wall_micros=*/77, now_, &host_);
  }
  Status Desire(proto::JobDesire desire) { return state_.SetDesire(kJob, desire, now_, &host_); }
  Status Rescale(int32_t parallelism) { return state_.Rescale(kJob, parallelism, now_, &host_); }
  // On workers as they are now.
  void Prepared(const std::vector<std::string>& workers, bool finished = false) {
    std::vector<WorkerInfo> infos;
    for (const std::string& name : workers) infos.push_back(state_.workers().at(name));
    PreparedOn(infos, finished);
  }
  void PreparedOn(const std::vector<WorkerInfo>& workers, bool finished = false) {
    state_.OnPrepared(kJob, {++attempts_, workers, finished, restart_, "epoch 7"}, now_, &host_);
  }
  void PrepareFails(const Status& status) { state_.OnPrepareFailed(kJob, status, now_, &host_); }
  void Deployed(const std::string& worker, const Status& status = Status::OK()) {
    state_.OnDeployed(kJob, attempts_, worker, status, now_, &host_);
  }
  void Done(const Status& status = Status::OK()) {
    state_.OnAttemptDone(kJob, attempts_, status, now_, &host_);
  }
  void Break() { state_.OnAttemptBroken(kJob, attempts_, "a has lost b", now_, &host_); }
  void Ended(const std::string& worker) {
    state_.OnAttemptEnded(kJob, attempts_, worker, now_, &host_);
  }
  void Checkpoint() { state_.OnCheckpoint(kJob, attempts_, &host_); }
  void Pass(MonotonicTime time) {
    now_ += time;
    state_.OnTick(now_, &host_);
  }

  // ---- ways to a phase, on workers a and b
  void Begin() {
    Come("a");
    Come("b");
    ASSERT_TRUE(Apply().ok());
    ASSERT_EQ(phase(), JobPhase::kPreparing);
  }
  void DeployOn(const std::vector<std::string>& workers) {
    Prepared(workers);
    ASSERT_EQ(phase(), JobPhase::kDeploying);
  }
  void RunOn(const std::vector<std::string>& workers) {
    DeployOn(workers);
    for (const std::string& worker : workers) Deployed(worker);
    ASSERT_EQ(phase(), JobPhase::kRunning);
  }
  void EndOn(const std::vector<std::string>& workers) {
    ASSERT_EQ(phase(), JobPhase::kEnding);
    for (const std::string& worker : workers) Ended(worker);
  }
  // Of a job that has just been applied; what was asked for on the way is forgotten.
  void Reach(JobPhase wanted) {
    Begin();
    switch (wanted) {
      case JobPhase::kWaiting:
        PrepareFails(BrokerAway());
        break;
      case JobPhase::kPreparing:
        break;
      case JobPhase::kDeploying:
        DeployOn({"a", "b"});
        break;
      case JobPhase::kRunning:
        RunOn({"a", "b"});
        break;
      case JobPhase::kStopping:
        RunOn({"a", "b"});
        ASSERT_TRUE(Rescale(2).ok());
        break;
      case JobPhase::kEnding:
        RunOn({"a", "b"});
        Break();
        break;
      case JobPhase::kPaused:
        StopFor(proto::JOB_PAUSED);
        break;
      case JobPhase::kCanceled:
        StopFor(proto::JOB_CANCELED);
        break;
      case JobPhase::kFinished:
        Prepared({}, /*finished=*/true);
        break;
      case JobPhase::kFailed:
        PrepareFails(Mistake());
        break;
    }
    ASSERT_EQ(phase(), wanted);
    host_.Take();
  }
  // Another cluster, of which nothing is known.
  void Anew(const proto::Catalog& catalog = {}) {
    state_ = ClusterState(catalog, now_);
    host_.phases.clear();
    attempts_ = 0;
    sessions_ = 0;
  }

  const ClusterState::Job& job(const std::string& name = kJob) { return state_.jobs().at(name); }
  JobPhase phase() { return job().phase; }
  std::vector<std::string> Asked() { return host_.Take(); }
  // The first job, as the catalog has it.
  proto::JobRecord Saved() {
    const proto::Catalog catalog = state_.ToCatalog();
    return catalog.jobs_size() == 0 ? proto::JobRecord() : catalog.jobs(0);
  }

  RecordingHost host_;
  MonotonicTime now_ = std::chrono::seconds(1000);
  ClusterState state_ = ClusterState(proto::Catalog(), now_);
  RestartSpec restart_;
  int64_t attempts_ = 0;
  uint64_t sessions_ = 0;

 private:
  void StopFor(proto::JobDesire desire) {
    RunOn({"a", "b"});
    ASSERT_TRUE(Desire(desire).ok());
    Done();
    EndOn({"a", "b"});
  }
};

}  // namespace millrace
