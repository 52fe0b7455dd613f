#include "coordinator/job_claim.h"

#include <arrow/filesystem/localfs.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr auto kBeat = std::chrono::milliseconds(500);

std::string Owner() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return std::string(host) + " process " + std::to_string(getpid());
}

}  // namespace

std::string JobClaim::Folder(const std::string& part) const {
  return options_.folder + "/" + options_.job + "/" + part;
}

Result<std::unique_ptr<JobClaim>> JobClaim::Open(JobClaimOptions options, const Clock* clock,
                                                 const std::atomic<bool>& stopping) {
  std::unique_ptr<JobClaim> claim(new JobClaim(std::move(options)));
  const JobClaimOptions& wish = claim->options_;
  std::error_code error;
  std::filesystem::create_directories(claim->Folder(""), error);
  if (error) {
    return UserError("unwritable_path", "cannot make the state folder '" + claim->Folder("") +
                                            "': " + error.message());
  }
  ARROW_ASSIGN_OR_RAISE(claim->lease_,
                        Lease::Acquire(claim->Folder("lease"), Owner(), kLease, *clock, stopping));
  claim->heart_ = std::jthread([lease = claim->lease_.get()](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      lease->Beat();
      stopped.wait_for(lock, stop, kBeat, [] { return false; });
    }
  });
  ARROW_ASSIGN_OR_RAISE(claim->storage_,
                        CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(),
                                                claim->Folder("checkpoints")));
  ARROW_ASSIGN_OR_RAISE(claim->log_, OpenLocalMetadataLog(claim->Folder("log")));
  RecoveryRequest request;
  request.job = wish.job;
  request.owner = Owner();
  request.new_generation = wish.new_generation;
  request.savepoint = wish.savepoint;
  request.from = wish.from;
  request.minted = MintGeneration();
  request.retain = wish.retain;
  request.registers = wish.registers;
  request.file_registers = wish.file_registers;
  ARROW_ASSIGN_OR_RAISE(claim->recovered_,
                        Recover(request, claim->storage_.get(), claim->log_.get()));
  for (const std::string& note : claim->plan().notes) LogWarn(note);
  claim->committer_ = std::make_unique<CheckpointCommitter>(
      claim->recovered_.committer, claim->storage_.get(), claim->log_.get());
  return claim;
}

const proto::Manifest* JobClaim::restored() const {
  return plan().kind == RecoveryPlan::Kind::kFresh ? nullptr : &plan().manifest;
}

std::vector<std::string> JobClaim::Dropped(const JobPlan& plan) const {
  std::vector<std::string> dropped;
  if (restored() == nullptr) return dropped;
  for (const proto::TaskState& task : restored()->tasks()) {
    const bool known = std::ranges::any_of(
        plan.nodes, [&](const PlanNode& node) { return node.name == task.operator_id(); });
    if (!known && std::ranges::find(dropped, task.operator_id()) == dropped.end()) {
      dropped.push_back(task.operator_id());
    }
  }
  return dropped;
}

}  // namespace millrace
