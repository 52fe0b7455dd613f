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
#include "tools/millrace/job_sources.h"
#include "worker/account.h"
#include "worker/actors.h"

namespace millrace {

// Nothing here is owned except what is moved out: the rest outlives the actors.
struct JobParts {
  const JobSpec* job = nullptr;
  const JobPlan* plan = nullptr;
  JobAccount* account = nullptr;
  const Clock* clock = nullptr;
  WorkerObserver* worker_observer = nullptr;
  JobObserver* job_observer = nullptr;
  int32_t parallelism = 1;  // tasks a window
  std::optional<Micros> end_when_idle;
  std::vector<OpenedSource>* sources = nullptr;               // starts are moved out
  std::vector<std::unique_ptr<SinkWriter>>* sinks = nullptr;  // by sink index; moved out
  std::unique_ptr<DeadLetterWriter>* dead_letters = nullptr;  // moved out
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
  void SpawnPublishers();
  std::map<int32_t, std::set<size_t>> SendersOfSinks() const;
  void WireTasks();
  void WireDeadLetters();
  void Launch();
  void Link(size_t sender, size_t receiver, int32_t sink, NodeId node, TaskIndex task);
  const std::vector<size_t>& SendersOf(NodeId owner) const;
  size_t InputsOf(NodeId window) const;

  const JobParts parts_;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<Wired> wired_;                          // index = participant
  std::map<NodeId, std::vector<size_t>> readers_of_;  // source node -> participants
  std::map<NodeId, std::vector<size_t>> tasks_of_;    // window node -> participants
  std::map<int32_t, size_t> publisher_of_;            // sink index -> participant
  caf::actor coordinator_;
};

}  // namespace millrace
