// The durable state of a job on this machine: its checkpoint storage and log, who leads it, the
// checkpoint that it goes on from, and its tasks' stores. docs/exactly-once.md, "Bytes on disk".
//
//   <state folder>/<job>/checkpoints   the storage (engine/storage)
//                       /log           the metadata log
//                       /lease         the lock of the process that runs the job
//                       /local/<term>  RocksDB's working folders; thrown away by the next start
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/recovery.h"
#include "engine/env/clock.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "engine/state/rocks_state_store.h"
#include "worker/task_state.h"

namespace millrace {

struct JobStateOptions {
  std::string folder;  // holds a folder for each job
  std::string job;
  bool new_generation = false;
  std::optional<std::string> savepoint;
  std::optional<Epoch> from;
  size_t retain = 3;
  int64_t memory_bytes = int64_t(1) << 30;
  std::function<Result<std::map<int32_t, proto::Register>>(bool fence)> registers;
  std::function<Result<std::map<std::string, proto::Register>>()> file_registers;
};

class JobState {
 public:
  // Waits for a lease whose holder does not move; "job_is_running" (user) where it does. Otherwise
  // fails as Recover does.
  static Result<std::unique_ptr<JobState>> Open(JobStateOptions options, const Clock* clock,
                                                const std::atomic<bool>& stopping);
  ~JobState();

  const RecoveryPlan& plan() const { return recovered_.plan; }
  int64_t term() const { return recovered_.committer.term; }
  // The checkpoint that the job goes on from; null: a fresh start.
  const proto::Manifest* restored() const;
  CheckpointStorage* storage() { return storage_.get(); }
  CheckpointCommitter* committer() { return committer_.get(); }

  // Where savepoints are asked for (savepoint_requests.h).
  std::string requests_folder() const { return Folder("requests"); }

  // The state of one task of a window node, of the checkpoint or fresh; at another parallelism the
  // key groups are gathered from the old tasks. "state_damaged", "disk_full".
  Result<std::unique_ptr<TaskState>> MakeTaskState(const std::string& operator_id, int32_t index,
                                                   int32_t parallelism);
  // OK where the checkpoint has no state of the operator, or has it of the same query:
  // "state_of_another_query" (user).
  Status CheckQuery(const std::string& operator_id, const std::string& fingerprint) const;
  // What open windows of one task may take in memory, of `tasks`.
  int64_t StateBytesMax(size_t tasks) const;
  // Operators of the checkpoint that the plan no longer has.
  std::vector<std::string> Dropped(const JobPlan& plan) const;

  static constexpr auto kLease = std::chrono::seconds(3);

 private:
  explicit JobState(JobStateOptions options) : options_(std::move(options)) {}
  std::string Folder(const std::string& part) const;
  std::string TermFolder(int64_t of_term) const;
  void RemoveOldFolders() const;
  std::string LocalFolder(const std::string& operator_id, int32_t index) const;
  std::vector<const proto::TaskState*> SavedTasks(const std::string& operator_id) const;
  Status Gather(const std::vector<const proto::TaskState*>& saved, const std::string& folder,
                int32_t index, int32_t parallelism, StateStore* into);

  const JobStateOptions options_;
  std::unique_ptr<Lease> lease_;
  std::jthread heart_;  // beats for the lease
  std::unique_ptr<CheckpointStorage> storage_;
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<CheckpointCommitter> committer_;
  std::shared_ptr<StateMemory> memory_;
  Recovered recovered_;
};

}  // namespace millrace
