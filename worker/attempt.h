// One start of a job on a worker of a cluster: what a Deploy asks for, made. Its actors are this
// worker's share of the job's; those elsewhere are proxies. docs/cluster.md.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/endpoints/connectors.h"
#include "engine/endpoints/job_lookups.h"
#include "engine/exchange/exchange.h"
#include "engine/metrics/job_metric_families.h"
#include "engine/plan/checked_job.h"
#include "worker/job_host.h"
#include "worker/job_metrics.h"
#include "worker/worker_report.h"

namespace millrace {

// What attempts on one worker share. All that is pointed to outlives them.
struct AttemptSurroundings {
  std::string worker;  // this one's name
  Exchange* exchange = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  ConnectorOptions connectors;
  // Folder of the cluster's jobs, the same for every process: <storage>/<job>/checkpoints.
  std::string storage;
  std::string local_folder;  // of RocksDB's working folders, this worker's own
};

class Attempt {
 public:
  // `peers`: the session to each other worker of the deployment, by name; `coordinator`: the
  // session that the deployment came by.
  Attempt(const AttemptSurroundings& surroundings, proto::Deploy deploy,
          std::map<std::string, LinkSessionId> peers, LinkSessionId coordinator);
  // Its actors end where they stand; waits for them.
  ~Attempt();

  // Restores state, makes the actors and connects them; readers wait to be told where to begin.
  // Blocks on clients, until `giving_up` is set. "other_plan" where this build plans the job in
  // another way than the coordinator's.
  Status Start();
  // Makes what blocks give up; from any thread.
  void GiveUp() { giving_up_ = true; }

  const AttemptId& id() const { return id_; }
  // Adds its load, and what its actors have told since it was asked last; once it has started.
  void Report(proto::Beat* beat);
  // Shows rows on their way to sinks for a while.
  void Watch() { tap_->Open(); }
  RowTap::Taken TakeRows() { return tap_->Take(); }
  // Brings the job's metrics up to date; now and then, once it has started.
  void UpdateMetrics();
  // It is to end: what it holds is not shown any more. What it still does is counted at its end.
  void RemoveGauges() { metrics_.RemoveGauges(); }

 private:
  // Null where the plan has no such source.
  const PlanNode* SourceOf(const proto::SourceDeployment& source) const;
  // An index into the deployment's workers.
  int32_t WorkerOf(Address address) const;
  bool IsHere(Address address) const;
  Status ReadJob();
  Status OpenEndpoints();
  Status MakeActors();
  caf::actor Proxy(Address address);
  // Of what its actors have done: what they go on from was counted by others.
  std::unique_ptr<JobAccount> Account() const;
  void LoadStreams(const RunFigures& figures, proto::AttemptLoad* load) const;
  void LoadSlots(const RunFigures& figures, proto::AttemptLoad* load) const;
  void Tell(EventTime wall, const std::string& message, proto::Beat* beat) const;

  const AttemptSurroundings surroundings_;
  const proto::Deploy deploy_;
  const std::map<std::string, LinkSessionId> peers_;
  const LinkSessionId coordinator_;
  const AttemptId id_;
  std::atomic<bool> giving_up_{false};
  const JobMetricFamilies families_;
  JobMetrics metrics_;

  std::unique_ptr<CheckedJob> job_;
  JobLayout layout_;
  std::deque<JobAccount> accounts_;  // one a participant
  std::unique_ptr<WorkerReport> report_;
  std::unique_ptr<RowTap> tap_;
  std::unique_ptr<CheckpointStorage> storage_;
  std::unique_ptr<TaskStates> states_;
  std::unique_ptr<JobLookups> lookups_;
  std::map<NodeId, std::unique_ptr<Source>> sources_;
  std::unique_ptr<JobSinks> sinks_;
  std::unique_ptr<JobHost> host_;  // ends before what its actors use
  std::map<Address, caf::actor> proxies_;
};

}  // namespace millrace
