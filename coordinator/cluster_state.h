// Which workers there are, which jobs are to run, and what is to be done about it. No actor, no
// clock, no thread: events and time are handed in, and what is to be done is asked of a host.
// docs/cluster.md, "Jobs and attempts".
//
// A job's life is a row of attempts. One attempt: prepared (its state is claimed, its sources are
// found) -> deployed on its workers -> running -> ended (no actor of it lives), and so on with the
// next one, from its last checkpoint, as long as the job is wanted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job_phase.h"
#include "coordinator/restart_cause.h"
#include "coordinator/restart_policy.h"
#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/job.h"
#include "proto/cluster.pb.h"

namespace millrace {

struct WorkerInfo {
  std::string name;
  std::string incarnation;
  uint64_t session = 0;
  int32_t slots = 1;
  std::string exchange_address;
  std::string build;
  std::string metrics_address;  // for people; may be empty
  bool leaving = false;
};

// An attempt that was made on a worker.
struct AttemptOnWorker {
  std::string job;
  int64_t attempt = 0;
};

// What an attempt runs on.
struct PreparedAttempt {
  int64_t attempt = 0;
  std::vector<WorkerInfo> workers;  // those that have something of it
  bool finished = false;            // the job had ended: there is nothing to run
  RestartSpec restart;
  std::string from;  // the checkpoint that it goes on from, for people
};

// Nothing here calls the state back before it returns, but for LoseLead.
class ClusterHost {
 public:
  virtual ~ClusterHost() = default;
  // To be answered by OnPrepared or OnPrepareFailed.
  virtual void Prepare(const proto::JobRecord& job, const std::vector<WorkerInfo>& workers) = 0;
  // What is prepared is no longer wanted: the answer, which must come all the same, may be a
  // failure, and soon.
  virtual void AbandonPreparation(const std::string& job) = 0;
  // Each is to be answered by OnDeployed.
  virtual void Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) = 0;
  virtual void Launch(const std::string& job, int64_t attempt) = 0;
  // To be answered by OnAttemptDone.
  virtual void RequestStop(const std::string& job, int64_t attempt) = 0;
  // What leads the attempt ends at once.
  virtual void EndLeading(const std::string& job) = 0;
  // To be answered by OnAttemptEnded.
  virtual void EndOnWorker(const std::string& job, int64_t attempt, const WorkerInfo& worker) = 0;
  // Whether a running job would be placed in another way on these workers.
  virtual bool WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) = 0;
  virtual void MayLeave(const WorkerInfo& worker) = 0;
  // It does not do what it must and counts as lost: its session is to be closed.
  virtual void Drop(const WorkerInfo& worker) = 0;
  // The catalog has changed. Safe once it returns OK; anything else: this process no longer leads,
  // and nothing is begun any more.
  virtual Status Persist() = 0;
  virtual void OnPhase(const std::string& job, JobPhase phase, const std::string& why) = 0;
  // A defect: the job goes from one to the other although that is not foreseen.
  virtual void OnIllegalTransition(const std::string& job, JobPhase from, JobPhase to) = 0;
};

class ClusterState {
 public:
  struct Job {
    proto::JobRecord record;
    JobPhase phase = JobPhase::kWaiting;
    std::string why;                            // it is in this phase, for people
    int64_t attempt = 0;                        // 0: none yet
    int64_t version = 0;                        // of the record, when the attempt began
    std::map<std::string, WorkerInfo> workers;  // of the attempt, by name
    std::set<std::string> deploying;            // that have not answered
    std::set<std::string> ending;
    MonotonicTime since{0};  // in this phase
    MonotonicTime not_before{0};
    std::optional<MonotonicTime> rescale_at;  // when it is asked whether it would move
    RestartSpec restart;
    std::string from;
    RestartPolicy policy;
    int64_t restarts = 0;
    RestartCause cause = RestartCause::kOther;  // of the attempt's end: the first that came up
    // The attempt that there was when somebody ordered that slots may become fewer; until a later
    // one has completed a checkpoint.
    std::optional<int64_t> ordered_at;
    Status last_failure;
    // Whether the next attempt has as many slots as its checkpoint at least.
    bool keeps_parallelism() const { return !ordered_at.has_value(); }
  };

  // Jobs of the catalog, at the start.
  ClusterState(const proto::Catalog& catalog, MonotonicTime now);

  // Known by the name already: that one is lost.
  void OnWorker(WorkerInfo worker, MonotonicTime now, ClusterHost* host);
  // Of another session than the one that is known: without effect.
  void OnWorkerLost(const std::string& name, uint64_t session, const std::string& why,
                    MonotonicTime now, ClusterHost* host);
  void OnWorkerLeaving(const std::string& name, uint64_t session, MonotonicTime now,
                       ClusterHost* host);
  // Workers that it has sessions to; others may be left out.
  void OnPeers(const std::string& worker, const std::set<std::string>& peers, MonotonicTime now);
  // What a worker has, as it says from time to time. It is told to end what nobody leads any more:
  // it was not there when the others were told, or another coordinator led then.
  void OnAttemptsOf(const std::string& name, uint64_t session,
                    const std::vector<AttemptOnWorker>& attempts, ClusterHost* host);

  // All that people ask for is in the catalog before anything is done about it, and fails as
  // Persist does.

  // A new job, or another file for one: it goes on from its last checkpoint under the new one.
  Status Apply(const std::string& name, const std::string& file_name, const std::string& file,
               int64_t wall_micros, MonotonicTime now, ClusterHost* host);
  // User errors: "job_unknown" (names the nearest), "job_ended".
  Status SetDesire(const std::string& name, proto::JobDesire desire, MonotonicTime now,
                   ClusterHost* host);
  // 0: as the file says. Taken back where an attempt of that size fails by itself before its first
  // checkpoint: the next one has the size of before. User errors: "job_unknown".
  Status Rescale(const std::string& name, int32_t parallelism, MonotonicTime now,
                 ClusterHost* host);
  // A new generation from a savepoint or an older checkpoint; the job is wanted again. User errors:
  // "job_unknown".
  Status Restore(const std::string& name, const proto::RestorePoint& point, MonotonicTime now,
                 ClusterHost* host);
  // A job that has ended, for good. User errors: "job_unknown", "job_is_running".
  Status Remove(const std::string& name, ClusterHost* host);

  void OnPrepared(const std::string& job, PreparedAttempt prepared, MonotonicTime now,
                  ClusterHost* host);
  void OnPrepareFailed(const std::string& job, const Status& why, MonotonicTime now,
                       ClusterHost* host);
  void OnDeployed(const std::string& job, int64_t attempt, const std::string& worker,
                  const Status& status, MonotonicTime now, ClusterHost* host);
  // The attempt has completed one.
  void OnCheckpoint(const std::string& job, int64_t attempt, ClusterHost* host);
  // Its coordinator has ended: OK, everything is safe (stopped as asked, or its input has ended).
  void OnAttemptDone(const std::string& job, int64_t attempt, const Status& status,
                     MonotonicTime now, ClusterHost* host);
  // It cannot go on, through no fault of the job's: a session between its workers is lost.
  void OnAttemptBroken(const std::string& job, int64_t attempt, const std::string& why,
                       MonotonicTime now, ClusterHost* host);
  // The same, where `worker` has no session to `peer`: until it has one, jobs are placed on one of
  // the two at most.
  void OnPeerLost(const std::string& job, int64_t attempt, const std::string& worker,
                  const std::string& peer, const std::string& why, MonotonicTime now,
                  ClusterHost* host);
  void OnAttemptEnded(const std::string& job, int64_t attempt, const std::string& worker,
                      MonotonicTime now, ClusterHost* host);
  void OnTick(MonotonicTime now, ClusterHost* host);
  // Another process leads: nothing is begun any more.
  void LoseLead(const Status& why) { leading_ = leading_.ok() ? why : leading_; }

  const std::map<std::string, Job>& jobs() const { return jobs_; }
  const std::map<std::string, WorkerInfo>& workers() const { return workers_; }
  // "job_unknown" (user, names the nearest).
  Result<const Job*> JobOf(const std::string& name) const;
  proto::Catalog ToCatalog() const;

  // Changes of the workers within this time are one move.
  static constexpr MonotonicTime kSettle = std::chrono::seconds(2);
  // Loads change without workers that come or go.
  static constexpr MonotonicTime kBalanceEvery = std::chrono::minutes(5);
  static constexpr MonotonicTime kDeployTimeout = std::chrono::minutes(5);
  static constexpr MonotonicTime kStopTimeout = std::chrono::seconds(30);
  static constexpr MonotonicTime kEndTimeout = std::chrono::seconds(20);

 private:
  Job* Find(const std::string& name, int64_t attempt);
  Result<Job*> Known(const std::string& name);
  void Enter(Job* job, JobPhase phase, const std::string& why, MonotonicTime now,
             ClusterHost* host);
  // What the state has found by itself and cannot be written, the next process to lead finds too.
  void Persist(ClusterHost* host);
  bool IsThere(const WorkerInfo& worker) const;
  // That jobs are placed on: they stay, and every two of them have a session.
  std::vector<WorkerInfo> StayingWorkers() const;
  void LeaveOutCutOff(std::vector<WorkerInfo>* workers) const;
  // What was known of the one that is lost.
  void ForgetWorker(const std::string& name);
  void FailAttemptsOn(const WorkerInfo& worker, const std::string& why, MonotonicTime now,
                      ClusterHost* host);
  void BeginAnew(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host);
  void StartIfPossible(Job* job, MonotonicTime now, ClusterHost* host);
  void Abandon(Job* job, const std::string& why, ClusterHost* host);
  void Stop(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host);
  void Fail(Job* job, const Status& status, MonotonicTime now, ClusterHost* host);
  void TakeRescaleBack(Job* job, const Status& why, MonotonicTime now, ClusterHost* host);
  void End(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host);
  void EndIfAllGone(Job* job, MonotonicTime now, ClusterHost* host);
  void AfterEnd(Job* job, const std::string& why, MonotonicTime now, ClusterHost* host);
  void MoveIfDue(Job* job, MonotonicTime now, ClusterHost* host);
  void LookAtTimeouts(Job* job, MonotonicTime now, ClusterHost* host);
  void RescaleSoon(MonotonicTime now);
  void LetLeave(ClusterHost* host);

  std::map<std::string, WorkerInfo> workers_;
  std::set<std::pair<std::string, std::string>> cut_off_;  // who says so, and from whom
  std::map<std::string, Job> jobs_;
  std::set<std::string> may_leave_told_;
  Status leading_;  // else: why no longer
};

}  // namespace millrace
