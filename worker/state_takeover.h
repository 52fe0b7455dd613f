// Makes a new task's store of what old tasks have of its key groups. Used once.
//
// The same key groups as an old task: its files, linked, are the new one's. Else each part of an
// old task's is linked into a folder of its own, or its entries are copied into a fresh store
// (saved_parts.h), and all of them are one store (engine/state/parted_state_store.h). The
// operator's headers are merged, and the result written to every part.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/state/parted_state_store.h"
#include "engine/state/rocks_state_store.h"
#include "worker/saved_parts.h"
#include "worker/task_state.h"

namespace millrace {

class StateTakeover {
 public:
  // `storage` outlives it. `linked_bytes_min`: as in ChooseTaken.
  StateTakeover(std::shared_ptr<StateMemory> memory, CheckpointStorage* storage,
                int64_t linked_bytes_min);

  // In options->folder; adds the tables that were linked to options->restored. `saved`: all tasks
  // of the operator, not none. "state_damaged", "state_version", "state_of_another_query",
  // "checkpoint_damaged", "disk_full".
  Result<std::unique_ptr<StateStore>> Open(const std::vector<const proto::TaskState*>& saved,
                                           TaskStateOptions* options);

 private:
  Status Link(const SavedPart& part, TaskStateOptions* options);
  // All of them into one fresh store.
  Status Copy(const std::vector<SavedPart>& parts, const std::string& folder);
  Status CopyFrom(const SavedPart& part, const std::string& aside, StateStore* into);
  // From any part of the task's; once a task.
  Status NoteHeader(const proto::TaskState& task, StateStore* store);
  Status WriteHeader(StateStore* store) const;

  const std::shared_ptr<StateMemory> memory_;
  CheckpointStorage* const storage_;
  const int64_t linked_bytes_min_;

  KeyGroupSet wanted_;
  int32_t stores_count_ = 0;
  std::vector<StorePart> stores_;
  std::set<int32_t> noted_;
  // Rows that a task has counted are of no key group: who takes its first one over takes them, too.
  std::vector<std::string> headers_;
  std::vector<std::string> headers_without_counts_;
};

}  // namespace millrace
