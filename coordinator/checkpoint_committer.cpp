#include "coordinator/checkpoint_committer.h"

#include "engine/checkpoint/manifest.h"
#include "engine/env/crash_point.h"

namespace millrace {
namespace {

Status Damaged(const Status& status, Retry retry) {
  return ExternalError("checkpoint_damaged", status.message(), retry);
}

}  // namespace

Status Superseded(const std::string& what) {
  return ExternalError("superseded",
                       what +
                           ": another process has taken this job over; this one stops, and "
                           "nothing of it counts any more",
                       Retry::kNo);
}

CheckpointCommitter::CheckpointCommitter(CommitterOptions options, CheckpointStorage* storage,
                                         MetadataLog* log)
    : options_(std::move(options)), storage_(storage), log_(log) {
  if (!options_.retained.empty()) verified_ = options_.retained.back().files;
}

Status CheckpointCommitter::VerifyNew(const proto::Manifest& manifest, CommitFigures* figures) {
  Status status;
  std::string failed;
  ForEachStoredFile(manifest,
                    [&](const proto::StoredFile& file) { figures->bytes += file.bytes(); });
  for (const proto::StoredFile* file : DistinctFiles(manifest)) {
    if (verified_.contains(file->path())) continue;
    figures->uploaded_bytes += file->bytes();
    status = storage_->Verify(*file);
    if (status.ok()) continue;
    failed = file->path();
    break;
  }
  const std::string before = std::exchange(damaged_, failed);
  if (status.ok()) return status;
  // Another process that leads now has removed what no checkpoint of the log refers to.
  ARROW_RETURN_NOT_OK(CheckLeadership());
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  if (detail == nullptr || detail->code() != "checkpoint_damaged") return status;
  // The next checkpoint may have another file in its place; one that has not never will.
  return Damaged(status, failed == before ? Retry::kNo : Retry::kYes);
}

Result<CommitFigures> CheckpointCommitter::Commit(const proto::Manifest& manifest) {
  CommitFigures figures;
  CrashPoint("confirm");
  ARROW_RETURN_NOT_OK(VerifyNew(manifest, &figures));
  CrashPoint("confirmed");
  ARROW_ASSIGN_OR_RAISE(const proto::StoredFile file, storage_->WriteManifest(manifest));
  CrashPoint("manifest_written");
  proto::LogEntry entry;
  entry.set_term(options_.term);
  *entry.mutable_manifest()->mutable_file() = file;
  entry.mutable_manifest()->set_epoch(manifest.epoch());
  entry.mutable_manifest()->set_generation(manifest.generation());
  ARROW_ASSIGN_OR_RAISE(const AppendResult appended, log_->Append(options_.next_index, entry));
  if (appended == AppendResult::kTaken) {
    return Superseded("completing epoch " + std::to_string(manifest.epoch()));
  }
  CrashPoint("manifest_committed");
  verified_ = FilesOf(manifest);
  options_.retained.push_back({options_.next_index++, file, verified_});
  ARROW_RETURN_NOT_OK(RemoveOld());
  return figures;
}

Status CheckpointCommitter::RemoveOld() {
  if (options_.retained.size() <= options_.retain) return Status::OK();
  std::set<std::string> dropped;
  while (options_.retained.size() > options_.retain) {
    RetainedCheckpoint& oldest = options_.retained.front();
    dropped.insert(oldest.file.path());
    dropped.merge(oldest.files);
    options_.retained.pop_front();
  }
  for (const RetainedCheckpoint& kept : options_.retained) {
    for (const std::string& path : kept.files) dropped.erase(path);
  }
  // The log first: what it names must exist.
  ARROW_RETURN_NOT_OK(log_->RemoveBefore(options_.retained.front().index));
  CrashPoint("cleanup");
  return storage_->Remove({dropped.begin(), dropped.end()});
}

Status CheckpointCommitter::WriteSavepoint(const proto::Manifest& manifest) {
  ARROW_RETURN_NOT_OK(CheckLeadership());
  CrashPoint("savepoint");
  ARROW_RETURN_NOT_OK(storage_->WriteSavepoint(manifest.savepoint(), manifest));
  CrashPoint("savepoint_written");
  return Status::OK();
}

Status CheckpointCommitter::CheckLeadership() {
  ARROW_ASSIGN_OR_RAISE(const auto entries, log_->Read());
  if (!entries.empty() && entries.back().index < options_.next_index) return Status::OK();
  return Superseded("publishing");
}

}  // namespace millrace
