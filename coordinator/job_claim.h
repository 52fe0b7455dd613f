// The durable state of a job, claimed by the process that leads it: checkpoint storage and log, the
// lease, and the checkpoint that the job goes on from. docs/exactly-once.md, "Bytes on disk".
//
//   <state folder>/<job>/checkpoints   the storage (engine/storage)
//                       /log           the metadata log
//                       /lease         the lock of the process that leads the job
//                       /requests      savepoints that are asked for
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/recovery.h"
#include "engine/endpoints/connectors.h"
#include "engine/env/clock.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

struct JobClaimOptions {
  std::string folder;  // holds a folder for each job
  std::string job;
  bool new_generation = false;
  std::optional<std::string> savepoint;
  std::optional<Epoch> from;
  size_t retain = 3;
  // How long the lease of a process that does not beat is waited for. 0: it is taken at once,
  // whoever has it; what fences is the log.
  Micros lease = Lease::kTime;
  std::function<Result<std::map<int32_t, proto::Register>>(bool fence)> registers;
  std::function<Result<std::map<std::string, proto::Register>>()> file_registers;
};

class JobClaim {
 public:
  // Waits for a lease whose holder does not move; "job_is_running" (user) where it does. Otherwise
  // fails as Recover does.
  static Result<std::unique_ptr<JobClaim>> Open(JobClaimOptions options, const Clock* clock,
                                                const std::atomic<bool>& stopping);

  const RecoveryPlan& plan() const { return recovered_.plan; }
  // The checkpoint says that the job ended with every window closed: there is nothing to run.
  bool finished() const { return plan().kind == RecoveryPlan::Kind::kFinished; }
  int64_t term() const { return recovered_.committer.term; }
  // The checkpoint that the job goes on from; null: a fresh start.
  const proto::Manifest* restored() const;
  CheckpointStorage* storage() { return storage_.get(); }
  CheckpointCommitter* committer() { return committer_.get(); }

  // A folder of the job: "requests", "local".
  std::string Folder(const std::string& part) const;
  // Operators of the checkpoint that the plan no longer has.
  std::vector<std::string> Dropped(const JobPlan& plan) const;

 private:
  explicit JobClaim(JobClaimOptions options) : options_(std::move(options)) {}

  const JobClaimOptions options_;
  std::unique_ptr<Lease> lease_;
  std::jthread heart_;  // beats for the lease
  std::unique_ptr<CheckpointStorage> storage_;
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<CheckpointCommitter> committer_;
  Recovered recovered_;
};

// As JobClaim::Open, for a job with its endpoints: `options` lacks the job and what is read from
// them. Also fails where the job as it is now cannot go on from the checkpoint:
// "sink_shards_changed", "unpublished_output" (user). Says what is dropped.
Result<std::unique_ptr<JobClaim>> ClaimJob(const JobSpec& job, const JobPlan& plan,
                                           const ConnectorOptions& connectors,
                                           JobClaimOptions options, const Clock* clock,
                                           const std::atomic<bool>& stopping);

}  // namespace millrace
