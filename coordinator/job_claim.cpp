#include "coordinator/job_claim.h"

#include <arrow/filesystem/localfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/endpoints/job_sinks.h"
#include "engine/endpoints/job_sources.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

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
  ARROW_ASSIGN_OR_RAISE(
      claim->lease_, Lease::Acquire(claim->Folder("lease"), Owner(), wish.lease, *clock, stopping));
  claim->heart_ = Lease::KeepBeating(claim->lease_.get());
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

Result<std::unique_ptr<JobClaim>> ClaimJob(const JobSpec& job, const JobPlan& plan,
                                           const ConnectorOptions& connectors,
                                           JobClaimOptions options, const Clock* clock,
                                           const std::atomic<bool>& stopping) {
  options.job = job.name;
  options.retain = size_t(job.checkpoint.retain);
  options.registers = [&](bool fence) -> Result<std::map<int32_t, proto::Register>> {
    std::map<int32_t, proto::Register> registers;
    ARROW_RETURN_NOT_OK(
        AttemptWithBackoff(*clock, stopping, "reading what was published before", [&] {
          ARROW_ASSIGN_OR_RAISE(registers, ReadJobRegisters(job, connectors, fence));
          return Status::OK();
        }));
    return registers;
  };
  options.file_registers = [&] { return ReadFileRegisters(job, plan, connectors); };
  ARROW_ASSIGN_OR_RAISE(auto claim, JobClaim::Open(std::move(options), clock, stopping));
  const proto::Manifest* const restored = claim->restored();
  if (restored == nullptr || claim->finished()) return claim;
  const bool same = restored->generation() == claim->plan().generation;
  if (same && restored->sink_shards() != job.sink_shards) {
    return UserError("sink_shards_changed",
                     "sink_shards is " + std::to_string(job.sink_shards) +
                         ", but the job began with " + std::to_string(restored->sink_shards()) +
                         ": it is fixed; to change it, stop with a savepoint and start from that");
  }
  if (const auto orphaned = OrphanedSinks(job, *restored); !orphaned.empty()) {
    return UserError("unpublished_output",
                     "the checkpoint holds rows for '" + orphaned.front() +
                         "', which the job no longer has: run it as it was, once, until it is "
                         "stopped, or go on from a savepoint");
  }
  for (const std::string& operator_id : claim->Dropped(plan)) {
    LogWarn("the checkpoint holds state that this job no longer has: it is dropped",
            {{"operator", operator_id}});
  }
  LogInfo("going on from a checkpoint",
          {{"epoch", restored->epoch()}, {"generation", claim->plan().generation.substr(0, 8)}});
  return claim;
}

}  // namespace millrace
