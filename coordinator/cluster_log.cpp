#include "coordinator/cluster_log.h"

#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "coordinator/checkpoint_committer.h"
#include "engine/metrics/log.h"
#include "engine/storage/sealed_message.h"

namespace millrace {
namespace {

constexpr auto kLease = std::chrono::seconds(3);
constexpr auto kBeat = std::chrono::milliseconds(500);
constexpr int kClaimAttempts = 8;
constexpr SealedKind kCatalogKind = {"MRCATLOG", 1, "catalog_damaged"};

std::jthread BeatFor(Lease* lease) {
  return std::jthread([lease](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      lease->Beat();
      stopped.wait_for(lock, stop, kBeat, [] { return false; });
    }
  });
}

bool IsHeld(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail != nullptr && detail->code() == "job_is_running";
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
    auto lease = Lease::Acquire(folder + "/lease", owner, kLease, *clock, stopping);
    if (lease.ok()) {
      log->lease_ = *std::move(lease);
      break;
    }
    if (stopping || !IsHeld(lease.status())) return lease.status();
    if (!std::exchange(told, true)) LogInfo("another coordinator leads; standing by");
  }
  log->heart_ = BeatFor(log->lease_.get());
  ARROW_ASSIGN_OR_RAISE(log->log_, OpenLocalMetadataLog(folder + "/log"));
  ARROW_RETURN_NOT_OK(log->Claim(owner));
  return log;
}

Status ClusterLog::Claim(const std::string& owner) {
  for (int attempt = 0; attempt < kClaimAttempts; ++attempt) {
    ARROW_ASSIGN_OR_RAISE(const auto entries, log_->Read());
    term_ = 0;
    next_index_ = 1;
    const proto::StoredFile* newest = nullptr;
    for (const IndexedEntry& entry : entries) {
      term_ = std::max(term_, entry.entry.term());
      next_index_ = entry.index + 1;
      if (entry.entry.has_catalog()) newest = &entry.entry.catalog();
    }
    ++term_;
    proto::LogEntry claim;
    claim.set_term(term_);
    claim.mutable_claim()->set_owner(owner);
    ARROW_ASSIGN_OR_RAISE(const AppendResult appended, log_->Append(next_index_, claim));
    if (appended == AppendResult::kTaken) continue;
    ++next_index_;
    if (newest == nullptr) return Status::OK();
    ARROW_RETURN_NOT_OK(files_->Verify(*newest));
    ARROW_ASSIGN_OR_RAISE(const auto file, files_->Read(*newest));
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file->Read(newest->bytes()));
    last_file_ = newest->path();
    return Unseal(kCatalogKind, std::string_view(*bytes), newest->path(), &catalog_);
  }
  return Superseded("claiming the cluster");
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
  if (appended == AppendResult::kTaken) return Superseded("changing the catalog");
  const int64_t index = next_index_++;
  if (!last_file_.empty()) ARROW_RETURN_NOT_OK(files_->Remove({last_file_}));
  last_file_ = path;
  return log_->RemoveBefore(index);
}

}  // namespace millrace
