#include "coordinator/cluster_log.h"

#include <arrow/buffer.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>

#include "coordinator/recovery.h"
#include "engine/metrics/log.h"
#include "engine/storage/sealed_message.h"

namespace millrace {
namespace {

constexpr SealedKind kCatalogKind = {"MRCATLOG", 1, "catalog_damaged"};

bool IsHeld(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail != nullptr && detail->code() == "job_is_running";
}

Status OtherLeads() {
  return ExternalError("superseded",
                       "another coordinator leads the cluster; this one ends, and nothing of it "
                       "counts any more",
                       Retry::kNo);
}

}  // namespace

Result<std::unique_ptr<ClusterLog>> ClusterLog::Lead(const std::string& storage,
                                                     const std::string& owner, const Clock* clock,
                                                     const std::atomic<bool>& stopping) {
  const std::string folder = storage + "/.cluster";
  std::unique_ptr<ClusterLog> log(new ClusterLog());
  const auto local = std::make_shared<arrow::fs::LocalFileSystem>();
  ARROW_ASSIGN_OR_RAISE(log->files_, CheckpointStorage::Open(local, folder + "/files"));
  bool told = false;
  while (true) {
    auto lease = Lease::Acquire(folder + "/lease", owner, Lease::kTime, *clock, stopping);
    if (lease.ok()) {
      log->lease_ = *std::move(lease);
      break;
    }
    if (stopping || !IsHeld(lease.status())) return lease.status();
    if (!std::exchange(told, true)) LogInfo("another coordinator leads; standing by");
  }
  log->heart_ = Lease::KeepBeating(log->lease_.get());
  ARROW_ASSIGN_OR_RAISE(log->log_, OpenLocalMetadataLog(folder + "/log"));
  ARROW_RETURN_NOT_OK(log->Claim(owner));
  return log;
}

Status ClusterLog::Claim(const std::string& owner) {
  ARROW_ASSIGN_OR_RAISE(const ClaimedTerm claimed, ClaimTerm(log_.get(), owner, "the cluster"));
  term_ = claimed.term;
  next_index_ = claimed.next_index;
  for (auto entry = claimed.entries.rbegin(); entry != claimed.entries.rend(); ++entry) {
    if (!entry->entry.has_catalog()) continue;
    const proto::StoredFile& file = entry->entry.catalog();
    ARROW_RETURN_NOT_OK(files_->Verify(file));
    ARROW_ASSIGN_OR_RAISE(const auto input, files_->Read(file));
    ARROW_ASSIGN_OR_RAISE(const auto bytes, input->Read(file.bytes()));
    last_file_ = file.path();
    return Unseal(kCatalogKind, std::string_view(*bytes), file.path(), &catalog_);
  }
  return Status::OK();
}

Status ClusterLog::CheckLeads() {
  ARROW_ASSIGN_OR_RAISE(const auto entries, log_->Read());
  return entries.empty() || entries.back().index < next_index_ ? Status::OK() : OtherLeads();
}

Status ClusterLog::Write(const proto::Catalog& catalog) {
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, Seal(kCatalogKind, catalog));
  const std::string path =
      "outbox/catalog-" + std::to_string(term_) + "-" + std::to_string(next_index_);
  ARROW_ASSIGN_OR_RAISE(const auto writer, files_->Create(path));
  ARROW_RETURN_NOT_OK(writer->Write(bytes));
  proto::LogEntry entry;
  entry.set_term(term_);
  ARROW_ASSIGN_OR_RAISE(*entry.mutable_catalog(), writer->Finish());
  ARROW_ASSIGN_OR_RAISE(const AppendResult appended, log_->Append(next_index_, entry));
  if (appended == AppendResult::kTaken) return OtherLeads();
  const int64_t index = next_index_++;
  if (!last_file_.empty()) ARROW_RETURN_NOT_OK(files_->Remove({last_file_}));
  last_file_ = path;
  return log_->RemoveBefore(index);
}

}  // namespace millrace
