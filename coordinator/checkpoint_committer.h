// Makes a checkpoint count: sees that every file of it is whole in the storage, writes the
// manifest, and adds a pointer to it to the metadata log. Blocking; one thread at a time.
// docs/exactly-once.md, "The commit".
#pragma once

#include <deque>
#include <set>
#include <string>

#include "engine/storage/checkpoint_storage.h"
#include "engine/storage/metadata_log.h"

namespace millrace {

// A checkpoint that is kept.
struct RetainedCheckpoint {
  int64_t index = 0;  // of its entry in the log
  proto::StoredFile file;
  std::set<std::string> files;  // that it refers to
};

struct CommitterOptions {
  int64_t term = 0;
  int64_t next_index = 0;                   // of the log
  std::deque<RetainedCheckpoint> retained;  // oldest first
  size_t retain = 3;
};

struct CommitFigures {
  int64_t bytes = 0;
  int64_t uploaded_bytes = 0;
};

class CheckpointCommitter {
 public:
  // `storage` and `log` outlive it.
  CheckpointCommitter(CommitterOptions options, CheckpointStorage* storage, MetadataLog* log);

  // The checkpoint counts once it returns OK. "checkpoint_damaged" (retry: the next epoch may be
  // whole; not where the same file was damaged before), "superseded" (another process leads: this
  // one must stop), "disk_full".
  Result<CommitFigures> Commit(const proto::Manifest& manifest);

  // A complete copy of a checkpoint whose output is all published; kept until it is deleted.
  // "savepoint_exists" (user), "superseded".
  Status WriteSavepoint(const proto::Manifest& manifest);

  // OK while no other process has claimed the job: "superseded".
  Status CheckLeadership();

 private:
  Status VerifyNew(const proto::Manifest& manifest, CommitFigures* figures);
  Status RemoveOld();

  CommitterOptions options_;
  CheckpointStorage* storage_;
  MetadataLog* log_;
  std::set<std::string> verified_;  // files of the last checkpoint
  std::string damaged_;             // a file that the last Commit found damaged
};

// What is told where another process leads.
Status Superseded(const std::string& what);

}  // namespace millrace
