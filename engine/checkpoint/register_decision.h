// What a register says about a shard's outbox: from which row to publish, or why nothing may be
// published. Pure. docs/exactly-once.md, "The register".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// A job's line of descent: which registers are its own.
struct Lineage {
  std::string job;
  std::string generation;
  std::vector<std::string> ancestors;
  // The start was told to begin a new generation whatever it finds (--new-generation).
  bool accept_foreign = false;
};

// What the manifest knows of a shard.
struct ShardKnowledge {
  int32_t shard = 0;
  // Published for certain: every row below confirmed_row was seen in a register, and epochs up to
  // confirmed_epoch have no other.
  Epoch confirmed_epoch;
  int64_t confirmed_row = 0;
  Epoch sealed_epoch;      // of the checkpoint that the job goes on from
  int64_t sealed_row = 0;  // rows below it exist in the outbox or are published
};

// OK where `generation` is the job's or one that it descends from, or the start was told not to
// care; else "generation_is_foreign" (user). `where`: what was written by it, for people.
Status CheckDescent(const Lineage& lineage, const std::string& where,
                    const std::string& generation);

// The row to publish from. Fails with:
//   register_missing        there is none, although something was confirmed: the topic was deleted
//   register_went_back      it says less than was confirmed: the topic lost records
//   published_beyond        it says more than the checkpoint holds: an older one was restored
//   generation_is_foreign   (user) it is of a start that this one does not descend from
Result<int64_t> DecideRegister(const Lineage& lineage, const ShardKnowledge& known,
                               const std::optional<proto::Register>& found);

}  // namespace millrace
