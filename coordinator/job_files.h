// What a job has in a folder of states, for those who do not run it: its savepoints, and its last
// checkpoint. Blocking; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/env/clock.h"
#include "engine/storage/checkpoint_storage.h"
#include "engine/storage/metadata_log.h"

namespace millrace {

class JobFiles {
 public:
  // `states` holds a folder for each job (coordinator/job_claim.h).
  static Result<JobFiles> Open(const std::string& states, const std::string& job);

  CheckpointStorage* storage() const { return storage_.get(); }
  std::string folder() const { return folder_; }
  // "checkpoint_missing" (user).
  Result<proto::Manifest> LastManifest() const;
  // Of the last checkpoint, while nobody runs the job: "job_is_running" (user); what
  // CheckpointStorage::WriteSavepoint fails with.
  Status MakeSavepoint(const std::string& name, const Clock& clock) const;

 private:
  std::string folder_;
  std::unique_ptr<CheckpointStorage> storage_;
  std::unique_ptr<MetadataLog> log_;
};

}  // namespace millrace
