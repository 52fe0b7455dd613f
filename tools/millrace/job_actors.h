// The actors of a job in one process, spawned and wired: readers, tasks and publishers with their
// channels, and the coordinator. Their index is their ParticipantId. docs/architecture.md,
// "Actors".
#pragma once

#include <caf/all.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/coordinator_actor.h"
#include "tools/millrace/job_sinks.h"
#include "tools/millrace/job_sources.h"
#include "tools/millrace/job_state.h"
#include "worker/account.h"
#include "worker/actor_system.h"
#include "worker/actors.h"

namespace millrace {

// Nothing here is owned except what is moved out: the rest outlives the actors.
struct JobParts {
  const JobSpec* job = nullptr;
  const JobPlan* plan = nullptr;
  const Clock* clock = nullptr;
  WorkerObserver* worker_observer = nullptr;
  JobObserver* job_observer = nullptr;
  int32_t parallelism = 1;  // tasks a window
  std::optional<Micros> end_when_idle;
  // An account for one more participant.
  std::function<JobAccount*()> new_account;
  JobState* state = nullptr;
  std::vector<OpenedSource>* sources = nullptr;  // starts are moved out
  JobSinks* sinks = nullptr;                     // moved out, but for what makes more
  LookupTables lookups = {};                     // those of the plan
};

class JobActors {
 public:
  explicit JobActors(const JobParts& parts);
  // Ends every actor and waits for them.
  ~JobActors();

  // Everything runs when it returns OK.
  Status Start();
  // Asks for an orderly end.
  void RequestStop();
  // Asks for a savepoint; told by JobObserver::OnSavepoint.
  void RequestSavepoint(const std::string& name);

 private:
  // An actor with its channels while they are wired.
  struct Wired {
    caf::actor actor;
    Connect connect;
  };
  ParticipantId next_participant() const { return ParticipantId(int32_t(wired_.size())); }
  Status SpawnReaders(CoordinatorPlan* coordinator);
  Result<CoordinatorPlan::SourcePlan> SpawnReadersOf(OpenedSource* source);
  Status SpawnTasks();
  Status SpawnPublishers(CoordinatorPeers* peers);
  void SpawnDirect();
  Status PlanOutboxes();
  Status SpawnOutboxes();
  OutboxOptions OutboxOf(int32_t shard);
  std::map<int32_t, std::set<size_t>> SendersOfSinks() const;
  int32_t ShardOf(size_t sender) const;
  void Launch();
  void LinkTask(size_t sender, size_t receiver, NodeId window, TaskIndex task);
  void LinkSinks(size_t sender, size_t receiver, std::vector<int32_t> sinks);
  void Link(size_t sender, size_t receiver, Connect::Channel channel);
  void WireTasks();
  const std::vector<size_t>& SendersOf(NodeId owner) const;
  size_t InputsOf(NodeId keyed) const;

  const JobParts parts_;
  ActorSystem system_;                                // ends after all that refers to its actors
  std::vector<Wired> wired_;                          // index = participant
  std::map<NodeId, std::vector<size_t>> readers_of_;  // source node -> participants
  std::map<NodeId, std::vector<size_t>> tasks_of_;    // window node -> participants
  std::map<int32_t, size_t> direct_of_;               // sink index -> participant
  // Shard -> sender -> the sinks that it sends there; decided before outboxes are made.
  std::map<int32_t, std::map<size_t, std::vector<int32_t>>> outbox_inputs_;
  std::vector<caf::actor> publishers_;
  std::map<int32_t, caf::actor> segment_publishers_;  // by shard
  caf::actor committer_;
  caf::actor coordinator_;
};

}  // namespace millrace
