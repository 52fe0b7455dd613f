#include "coordinator/job_files.h"

#include <arrow/filesystem/localfs.h>

#include <atomic>

namespace millrace {

Result<JobFiles> JobFiles::Open(const std::string& states, const std::string& job) {
  JobFiles files;
  files.folder_ = states + "/" + job;
  ARROW_ASSIGN_OR_RAISE(files.storage_,
                        CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(),
                                                files.folder_ + "/checkpoints"));
  ARROW_ASSIGN_OR_RAISE(files.log_, OpenLocalMetadataLog(files.folder_ + "/log"));
  return files;
}

Result<proto::Manifest> JobFiles::LastManifest() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, log_->Read());
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->entry.has_manifest()) return storage_->ReadManifest(entry->entry.manifest().file());
  }
  return UserError("checkpoint_missing", "the job has no checkpoint in " + folder_);
}

// The last checkpoint has to be complete in itself.
Status JobFiles::MakeSavepoint(const std::string& name, const Clock& clock) const {
  const std::atomic<bool> stopping{false};
  ARROW_ASSIGN_OR_RAISE(const auto lease, Lease::Acquire(folder_ + "/lease", "millrace savepoint",
                                                         Lease::kTime, clock, stopping));
  ARROW_ASSIGN_OR_RAISE(proto::Manifest manifest, LastManifest());
  manifest.set_savepoint(name);
  return storage_->WriteSavepoint(name, manifest);
}

}  // namespace millrace
