// A manifest out of what the participants acknowledged. Pure. docs/exactly-once.md, "The manifest".
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/checkpoint/checkpoint_coordinator.h"

namespace millrace {

// What stays the same from one checkpoint to the next.
struct JobIdentity {
  std::string job;
  std::string generation;  // 32 hexadecimal digits, minted at each fresh start
  std::vector<std::string> ancestors;
  int64_t term = 0;
  int32_t sink_shards = 0;
};

// The sum of accounts, entry by entry.
proto::AccountCounts SumAccounts(std::span<const proto::AccountCounts* const> accounts);

// `restored`: the account of the checkpoint that the job went on from. `shards`: the ledger's.
proto::Manifest BuildManifest(const JobIdentity& identity, const PendingCheckpoint& checkpoint,
                              const std::vector<proto::ShardState>& shards,
                              const proto::AccountCounts& restored, EventTime now);

// Every file that a checkpoint refers to: state and segments.
template <typename Visit>
void ForEachStoredFile(const proto::Manifest& manifest, const Visit& visit) {
  const auto segments = [&](const auto& list) {
    for (const proto::Segment& segment : list) visit(segment.file());
  };
  for (const proto::TaskState& task : manifest.tasks()) {
    for (const proto::StoredFile& file : task.files()) visit(file);
  }
  for (const proto::ShardState& shard : manifest.shards()) {
    segments(shard.segments());
    for (const proto::FileSinkState& sink : shard.files()) {
      segments(sink.open());
      for (const proto::FileRoll& roll : sink.rolls()) segments(roll.segments());
    }
  }
}

// The same, each once: tasks and their parts share tables after a change of parallelism. Owned by
// the manifest.
std::vector<const proto::StoredFile*> DistinctFiles(const proto::Manifest& manifest);

// Where the readers of `source` were. `manifest` may be null: nowhere.
std::map<TopicPartition, proto::PartitionPosition> PositionsOf(const proto::Manifest* manifest,
                                                               const std::string& source);

// The watermark that every channel from `source` had carried before the barrier: the least over its
// readers. It bounds what the tasks below had seen, so no window that it closes is open in their
// state, and no reading that it makes late is counted in it.
EventTime SourceWatermark(const proto::Manifest& manifest, const std::string& source);

}  // namespace millrace
