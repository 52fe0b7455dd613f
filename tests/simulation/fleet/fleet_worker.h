// A worker of a simulated fleet: does with what it is told what worker/cluster_worker does, and in
// place of an attempt's actors counts rows, answers barriers, and publishes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "tests/simulation/fleet/fleet_events.h"
#include "tests/simulation/fleet/fleet_messages.h"
#include "tests/simulation/fleet/fleet_network.h"
#include "worker/known_peers.h"

namespace millrace::simulation {

class FleetCoordinator;

// What all processes of a fleet have to do with.
struct FleetSurroundings {
  FleetWorld* world = nullptr;
  Network* network = nullptr;
  FleetStore* store = nullptr;
  std::map<std::string, std::unique_ptr<FleetJob>>* jobs = nullptr;
  FleetEvents* events = nullptr;
  std::vector<std::string> coordinators;
  bool calm = false;  // nothing is wrong with anything, so nothing may fail
};

class FleetWorker final : public NetworkNode {
 public:
  FleetWorker(FleetSurroundings* fleet, std::string name, int life, double rate, int32_t slots);
  ~FleetWorker() override;

  int32_t slots() const { return slots_; }
  // SIGTERM.
  void RequestLeave();
  bool leaving() const { return leaving_; }
  // Of any attempt: one of its tasks fails.
  void FailTask(const Status& status);
  // What it has, whatever it is told.
  std::vector<AttemptOnWorker> Attempts() const;

  // Key groups for which it has tasks of an attempt.
  std::vector<int> Owned(const std::string& job, int64_t attempt) const;

  // NetworkNode
  bool listening() const override { return true; }
  void OnOpened(uint64_t session, NetworkNode* peer) override;
  void OnLost(uint64_t session, const std::string& peer, const std::string& why) override;

  // What a coordinator tells, in a session of its.
  void TakeDeploy(uint64_t session, int64_t term,
                  const std::shared_ptr<const FleetDeployment>& deployment);
  void TakeEndAttempt(int64_t term, const std::string& job, int64_t attempt);
  // `by`: the incarnation of who says so.
  void TakeMayLeave(int64_t term, const std::string& by);
  // What an attempt's leader tells its actors; of an attempt that is not there: nothing happens.
  void StartReading(const std::string& job, int64_t attempt);
  void Barrier(const std::string& job, int64_t attempt, int64_t epoch);
  void Release(const std::string& job, int64_t attempt, int64_t epoch, const Positions& rows);

 private:
  using Id = std::pair<std::string, int64_t>;
  struct Running {
    std::shared_ptr<const FleetDeployment> deployment;
    uint64_t coordinator = 0;  // the session that the deployment came by
    std::map<std::string, uint64_t> peers;
    bool starting = false;
    bool has_actors = false;
    bool started = false;
    bool ending = false;
    bool reading = false;
    MonotonicTime asked{0};
    std::vector<int> groups;
    std::map<int, int64_t> rows;
    std::map<int, int64_t> published;
    Lifetime lifetime;
  };

  bool Listens(int64_t term);
  void Beat();
  void StartWhenPeersAreThere();
  void Start(const Id& id, Running* running);
  void OnStarted(const Id& id);
  void EndAttempt(const Id& id);
  void OnEnded(const Id& id);
  void TellEnded(const Id& id);
  // `unreachable`: the worker that is why; or empty.
  void TellDeployed(const Id& id, const Running& running, const Status& status,
                    const std::string& unreachable = {});
  // Of the coordinators that are there, to the one with the highest term.
  void ChooseCoordinator();
  void ToCoordinator(std::function<void(FleetCoordinator*, uint64_t)> what);
  void ToLeader(const Running& running, std::function<void(FleetCoordinator*)> what);
  bool Read(const Id& id, Running* running);
  void Publish(const Id& id, Running* running, const Positions& rows, int64_t epoch);
  void Fail(const Id& id, const Running& running, const Status& status);
  Running* Find(const std::string& job, int64_t attempt);
  FleetJob* JobOf(const std::string& job) { return fleet_->jobs->at(job).get(); }
  // The attempts that a message to one reaches: that one.
  std::vector<Id> Reached(const std::string& job, int64_t attempt) const;

  FleetSurroundings* const fleet_;
  const int32_t slots_;
  std::map<uint64_t, int64_t> coordinators_;  // that there are sessions to: their terms
  std::optional<uint64_t> coordinator_;       // the one that leads
  KnownPeers peers_;
  std::set<std::string> dialed_;
  std::map<Id, Running> attempts_;
  int64_t term_ = 0;
  bool leaving_ = false;
};

}  // namespace millrace::simulation
