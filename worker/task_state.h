// The durable side of a task's state: its store on local disk, and how a sealed epoch gets from
// there into the checkpoint storage. docs/exactly-once.md, "The task".
//
// Files that did not change since the last checkpoint are not uploaded again: RocksDB never changes
// a table file, and a store's file numbers are never used twice. Everything after Gather runs on a
// thread of the store's, one call at a time.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/state/state_store.h"
#include "engine/storage/checkpoint_storage.h"

namespace millrace {

struct TaskStateOptions {
  std::string operator_id;  // the window node's name
  int32_t index = 0;
  int32_t parallelism = 1;
  std::string folder;       // on local disk; of this process and task alone
  std::string file_prefix;  // of its files in the storage: unique to this process and task
  // Table files that were linked into the store when it was restored, by name there.
  std::map<std::string, proto::StoredFile> restored;
};

class TaskState {
 public:
  // `storage` outlives it.
  TaskState(TaskStateOptions options, std::unique_ptr<StateStore> store,
            CheckpointStorage* storage);
  // Waits for the store's thread.
  ~TaskState();

  StateStore* store() { return store_.get(); }

  // Gathers what was written to the store before the call, uploads what the storage does not have,
  // and calls `done` from the store's thread.
  void Gather(Epoch epoch, const std::string& fingerprint,
              std::function<void(Epoch, Result<proto::TaskState>)> done);

  struct Figures {
    int64_t bytes = 0;           // of the last checkpoint
    int64_t uploaded_bytes = 0;  // since the start
  };
  Figures figures() const;

 private:
  Result<proto::TaskState> Upload(const StateCheckpoint& checkpoint,
                                  const std::string& fingerprint);

  const TaskStateOptions options_;
  CheckpointStorage* storage_;
  std::map<std::string, proto::StoredFile> stored_;  // table files; of the store's thread
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> uploaded_bytes_{0};
  std::unique_ptr<StateStore> store_;  // ends first: its thread uses the rest
};

// Makes the local folder of a restored store: links or copies what of `saved` is named `prefix` and
// no folder more ("": a store that is whole; "p0/": a part). The table files among them, as
// TaskStateOptions::restored wants them where the folder is to be that of the prefix `as`.
Result<std::map<std::string, proto::StoredFile>> RestoreStateFolder(const proto::TaskState& saved,
                                                                    CheckpointStorage* storage,
                                                                    const std::string& folder,
                                                                    const std::string& prefix = "",
                                                                    const std::string& as = "");

// Whether it is a savepoint's: no checkpoint may refer to it.
bool IsOfSavepoint(const proto::StoredFile& file);

// What the local name of a file of saved state begins with: its part's prefix.
std::string PrefixOf(const proto::StoredFile& file);

}  // namespace millrace
