// The stores of a job's tasks on one worker, restored from a checkpoint or fresh.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/state/rocks_state_store.h"
#include "engine/storage/checkpoint_storage.h"
#include "worker/task_state.h"

namespace millrace {

struct TaskStatesOptions {
  // Working folders of RocksDB, <folder>/<attempt>: of this attempt; those of earlier ones are
  // removed at the start, its own at the end.
  std::string folder;
  // Unique among the starts of a job, and rising: its term. Part of the files' names in the
  // storage.
  int64_t attempt = 0;
  int64_t memory_bytes = int64_t(1) << 30;
  // The checkpoint to go on from; null: none. Outlives what is made here, as the storage does.
  const proto::Manifest* restored = nullptr;
  CheckpointStorage* storage = nullptr;
  // What an old task has of a new one's state is copied where it is smaller than this, about.
  int64_t linked_bytes_min = int64_t(4) << 20;
};

// One thread at a time.
class TaskStates {
 public:
  explicit TaskStates(TaskStatesOptions options);
  ~TaskStates();

  // The state of one task of a keyed node; at another parallelism what old tasks have of its key
  // groups is taken over, by links where it is much (worker/saved_parts.h). "state_damaged",
  // "disk_full".
  Result<std::unique_ptr<TaskState>> Make(const std::string& operator_id, int32_t index,
                                          int32_t parallelism);
  // OK where the checkpoint has no state of the operator, or has it of the same query:
  // "state_of_another_query" (user).
  Status CheckQuery(const std::string& operator_id, const std::string& fingerprint) const;
  // What open windows of one task may take in memory, of `tasks`.
  int64_t StateBytesMax(size_t tasks) const;

  const TaskStatesOptions& options() const { return options_; }

 private:
  std::string LocalFolder(const std::string& operator_id, int32_t index) const;
  std::vector<const proto::TaskState*> SavedTasks(const std::string& operator_id) const;

  const TaskStatesOptions options_;
  std::shared_ptr<StateMemory> memory_;
};

}  // namespace millrace
