#include "coordinator/recovery.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "engine/env/crash_point.h"

namespace millrace {
namespace {

// Claims that may lose against others who start at the same time.
constexpr int kClaimAttempts = 8;
constexpr size_t kVerifyThreads = 4;

// Reads every file, several at a time: a gigabyte of state is read in well under a second.
Status VerifyAll(const proto::Manifest& manifest, CheckpointStorage* storage) {
  const std::vector<const proto::StoredFile*> files = DistinctFiles(manifest);
  std::atomic<size_t> next{0};
  std::vector<Status> found(std::min(kVerifyThreads, files.size()));
  std::vector<std::thread> threads;
  threads.reserve(found.size());
  for (Status& status : found) {
    threads.emplace_back([&files, &next, &status, storage] {
      for (size_t i = next++; i < files.size() && status.ok(); i = next++) {
        status = storage->Verify(*files[i]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : found) ARROW_RETURN_NOT_OK(status);
  return Status::OK();
}

// Newest first; older ones than a whole one are read only if somebody asks for them.
std::vector<FoundCheckpoint> FindCheckpoints(const std::vector<IndexedEntry>& entries,
                                             const RecoveryRequest& request,
                                             CheckpointStorage* storage) {
  std::vector<FoundCheckpoint> found;
  bool whole = false;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (!entry->entry.has_manifest()) continue;
    const proto::ManifestPointer& pointer = entry->entry.manifest();
    FoundCheckpoint checkpoint;
    checkpoint.epoch = Epoch(pointer.epoch());
    checkpoint.generation = pointer.generation();
    const bool wanted = !whole || request.from == checkpoint.epoch;
    if (wanted) {
      auto manifest = storage->ReadManifest(pointer.file());
      checkpoint.damage = manifest.status();
      if (manifest.ok()) {
        checkpoint.damage = VerifyAll(*manifest, storage);
        checkpoint.manifest = *std::move(manifest);
      }
      whole = whole || checkpoint.damage.ok();
    } else {
      checkpoint.damage = Status::Invalid("not looked at");
    }
    found.push_back(std::move(checkpoint));
  }
  return found;
}

Result<RecoveryFacts> Gather(const RecoveryRequest& request,
                             const std::vector<IndexedEntry>& entries, CheckpointStorage* storage) {
  RecoveryFacts facts;
  facts.job = request.job;
  facts.checkpoints = FindCheckpoints(entries, request, storage);
  const bool settled = !facts.checkpoints.empty() && facts.checkpoints.front().damage.ok();
  if (settled && !request.new_generation && !request.from.has_value()) return facts;
  ARROW_ASSIGN_OR_RAISE(facts.registers, request.registers(!facts.checkpoints.empty()));
  ARROW_ASSIGN_OR_RAISE(facts.file_registers, request.file_registers());
  return facts;
}

struct RetainedCheckpoints {
  std::deque<RetainedCheckpoint> checkpoints;
  bool all_read = true;
};

// The checkpoints that the log keeps naming, with what they refer to.
RetainedCheckpoints Retained(const std::vector<IndexedEntry>& entries, CheckpointStorage* storage) {
  RetainedCheckpoints retained;
  for (const IndexedEntry& entry : entries) {
    if (!entry.entry.has_manifest()) continue;
    RetainedCheckpoint kept{entry.index, entry.entry.manifest().file(), {}};
    const auto manifest = storage->ReadManifest(kept.file);
    if (manifest.ok()) kept.files = FilesOf(*manifest);
    retained.all_read = retained.all_read && manifest.ok();
    retained.checkpoints.push_back(std::move(kept));
  }
  return retained;
}

// What no checkpoint refers to was left by processes that died. `present`: what was there before
// the claim; whatever came later may be a successor's. Where a manifest cannot be read nothing is
// removed: it may be gone because a successor has newer ones, and those refer to some of its files.
Status RemoveLeftovers(const RetainedCheckpoints& retained, std::vector<std::string> present,
                       CheckpointStorage* storage) {
  if (!retained.all_read) return Status::OK();
  std::set<std::string> keep;
  for (const RetainedCheckpoint& checkpoint : retained.checkpoints) {
    keep.insert(checkpoint.file.path());
    keep.insert(checkpoint.files.begin(), checkpoint.files.end());
  }
  std::erase_if(present, [&](const std::string& path) { return keep.contains(path); });
  return storage->Remove(present);
}

}  // namespace

Result<ClaimedTerm> ClaimTerm(MetadataLog* log, const std::string& owner, const std::string& what) {
  for (int attempt = 0; attempt < kClaimAttempts; ++attempt) {
    ClaimedTerm claimed;
    ARROW_ASSIGN_OR_RAISE(claimed.entries, log->Read());
    int64_t index = 1;
    for (const IndexedEntry& entry : claimed.entries) {
      claimed.term = std::max(claimed.term, entry.entry.term());
      index = entry.index + 1;
    }
    ++claimed.term;
    proto::LogEntry claim;
    claim.set_term(claimed.term);
    claim.mutable_claim()->set_owner(owner);
    ARROW_ASSIGN_OR_RAISE(const AppendResult appended, log->Append(index, claim));
    if (appended == AppendResult::kTaken) continue;
    CrashPoint("claimed");
    claimed.next_index = index + 1;
    return claimed;
  }
  return Superseded("claiming " + what);
}

Result<Recovered> Recover(const RecoveryRequest& request, CheckpointStorage* storage,
                          MetadataLog* log) {
  ARROW_ASSIGN_OR_RAISE(std::vector<std::string> present, storage->List());
  ARROW_ASSIGN_OR_RAISE(const ClaimedTerm claimed, ClaimTerm(log, request.owner, "the job"));
  ARROW_ASSIGN_OR_RAISE(const RecoveryFacts facts, Gather(request, claimed.entries, storage));
  RecoveryWish wish;
  wish.new_generation = request.new_generation;
  wish.from = request.from;
  wish.minted = request.minted;
  if (request.savepoint.has_value()) {
    ARROW_ASSIGN_OR_RAISE(wish.savepoint, storage->ReadSavepoint(*request.savepoint));
    ARROW_RETURN_NOT_OK(VerifyAll(*wish.savepoint, storage));
  }
  Recovered recovered;
  ARROW_ASSIGN_OR_RAISE(recovered.plan, PlanRecovery(facts, wish));
  recovered.committer.term = claimed.term;
  recovered.committer.next_index = claimed.next_index;
  recovered.committer.retain = request.retain;
  RetainedCheckpoints retained = Retained(claimed.entries, storage);
  ARROW_RETURN_NOT_OK(RemoveLeftovers(retained, std::move(present), storage));
  recovered.committer.retained = std::move(retained.checkpoints);
  return recovered;
}

std::string MintGeneration() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 32; ++i) id += "0123456789abcdef"[device() % 16];
  return id;
}

}  // namespace millrace
