// Which of a checkpoint's stores a task takes over, and how: by linking their files, which takes as
// long for much state as for little, or by copying entries, which leaves nothing behind.
//
// A store that is linked stays a store of its own (engine/state/parted_state_store.h) and costs a
// flush and a few files a checkpoint; so few are linked, and none of little state.
#pragma once

#include <string>
#include <vector>

#include "engine/state/part_groups.h"
#include "engine/storage/checkpoint_storage.h"

namespace millrace {

// A store among the files of an old task.
struct SavedPart {
  const proto::TaskState* task = nullptr;
  std::string prefix;  // of its files' local names; empty: it is all that the task had
  PartGroups groups;   // own: those of the new task
  int64_t table_bytes = 0;
  bool is_of_savepoint = false;

  // About what is taken over of it.
  int64_t own_bytes() const { return table_bytes * groups.own.count() / groups.held; }
};

// Those that have some of `wanted`, in the order of key groups. Reads what the files say of the
// groups in them, by way of the folder `aside`. "state_damaged", "state_version",
// "checkpoint_damaged".
Result<std::vector<SavedPart>> FindSavedParts(const std::vector<const proto::TaskState*>& saved,
                                              const KeyGroupSet& wanted, CheckpointStorage* storage,
                                              const std::string& aside);

inline constexpr size_t kPartsMax = 16;

struct TakenParts {
  std::vector<SavedPart> linked;
  std::vector<SavedPart> copied;  // into one store, which counts as a part where some are linked
};
// Copied are those of less than `linked_bytes_min`, and the smallest beyond kPartsMax; also those
// of savepoints that hold more of others than of the task's own: a savepoint's tables stay its own,
// so each task would upload all of them.
TakenParts ChooseTaken(std::vector<SavedPart> parts, int64_t linked_bytes_min);

}  // namespace millrace
