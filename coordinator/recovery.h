// A start: claims the job in the metadata log, finds the checkpoint to go on from, and removes what
// earlier processes left behind. Blocking. docs/exactly-once.md, "Restart".
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/checkpoint_committer.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/recovery_plan.h"

namespace millrace {

struct RecoveryRequest {
  std::string job;
  std::string owner;  // for people: host and process
  bool new_generation = false;
  std::optional<std::string> savepoint;  // by name
  std::optional<Epoch> from;
  std::string minted;  // the id of a generation that begins now
  size_t retain = 3;
  // Registers of the job in Kafka; asked only where they decide: at a fresh start, and where the
  // newest checkpoint is damaged. With `fence` (there are checkpoints, so this process leads) it
  // must fence older producers before it reads: a transaction in doubt that is committed afterwards
  // would be of the checkpoint that is passed over.
  std::function<Result<std::map<int32_t, proto::Register>>(bool fence)> registers;
  // By sink, of file sinks: the highest epoch that was published, and its generation.
  std::function<Result<std::map<std::string, proto::Register>>()> file_registers;
};

struct Recovered {
  RecoveryPlan plan;
  CommitterOptions committer;  // term, next index, retained
};

// A term that this process leads by, and what the log held before it, oldest first.
struct ClaimedTerm {
  int64_t term = 0;
  int64_t next_index = 0;
  std::vector<IndexedEntry> entries;
};
// Adds a claim of the next term to a log. `what` is for people. "superseded" where others claim at
// the same time, again and again.
Result<ClaimedTerm> ClaimTerm(MetadataLog* log, const std::string& owner, const std::string& what);

// "superseded" where others claim at the same time, and what PlanRecovery fails with. Every file of
// the checkpoint that is gone on from was read and found whole.
Result<Recovered> Recover(const RecoveryRequest& request, CheckpointStorage* storage,
                          MetadataLog* log);

// 32 hexadecimal digits.
std::string MintGeneration();

}  // namespace millrace
