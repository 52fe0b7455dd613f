// From what a start finds to what it does: which checkpoint it goes on from, or why it must not.
// Pure. docs/exactly-once.md, "Restart".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// A checkpoint that the log names, newest first in a list of them.
struct FoundCheckpoint {
  Epoch epoch;
  std::string generation;
  std::optional<proto::Manifest> manifest;  // none: it cannot be read
  Status damage;                            // OK: it and every file of it are whole
};

struct RecoveryFacts {
  std::string job;
  std::vector<FoundCheckpoint> checkpoints;      // of the log, newest first
  std::map<int32_t, proto::Register> registers;  // by shard; as Kafka has them now
  // By file sink: what its folder says was published last (no row numbers).
  std::map<std::string, proto::Register> file_registers;
};

struct RecoveryWish {
  bool new_generation = false;  // begin anew whatever is there
  std::optional<proto::Manifest> savepoint;
  std::optional<Epoch> from;  // --from N --accept-duplicates
  std::string minted;         // the id of a generation that begins now
};

struct RecoveryPlan {
  enum class Kind { kFresh, kRestore, kFinished };
  Kind kind = Kind::kFresh;
  proto::Manifest manifest;  // kRestore, kFinished
  std::string generation;
  std::vector<std::string> ancestors;
  // The highest epoch that any process may have committed: numbering goes on after it.
  Epoch last_epoch;
  bool accept_foreign = false;
  // For the log: what was passed over, and why.
  std::vector<std::string> notes;
};

// Fails with "format_too_new", "generation_is_foreign", "checkpoint_damaged", "checkpoint_missing"
// (user or external): each message says what to do.
Result<RecoveryPlan> PlanRecovery(const RecoveryFacts& facts, const RecoveryWish& wish);

}  // namespace millrace
