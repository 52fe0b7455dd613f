// What has been sealed for output and is not known to be published: the coordinator's list of
// segments, which every manifest holds as it is then. Pure. docs/exactly-once.md, "The outbox".
//
// A segment's life: acknowledged (Add) -> its epoch is committed (Commit, which says what is
// released) -> confirmed by its publisher and dropped; the next manifest no longer holds it.
// Segments of an abandoned epoch stay and are released with the next one that is committed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// What a publisher may publish now.
struct ReleasedSegments {
  int32_t shard = 0;
  Epoch epoch;  // everything up to it is released, also where there is no segment
  std::vector<proto::Segment> segments;
};
struct ReleasedRoll {
  int32_t shard = 0;
  std::string sink;
  proto::FileRoll roll;
};
struct Released {
  std::vector<ReleasedSegments> shards;
  std::vector<ReleasedRoll> rolls;
};

class OutboxLedger {
 public:
  // `restored`: the shards of the manifest that the job goes on from; empty: a fresh start.
  OutboxLedger(int32_t shards, const std::vector<proto::ShardState>& restored,
               Epoch restored_epoch);

  // What an outbox sealed for an epoch: its new segments, and for file sinks whether it was rolled
  // (a FileRoll without segments: the ledger knows them).
  void Add(const proto::ShardState& sealed, Epoch epoch);
  // Every file sink is rolled with `epoch`: the last of a job, a savepoint's.
  void RollAll(Epoch epoch);
  // Everything that was added is committed with `epoch`. Returns what has become free to publish.
  Released Commit(Epoch epoch);
  // What was restored and is not confirmed: free to publish from the start.
  Released Recovered() const;

  // Confirmations of publishers. False: nothing new.
  bool OnPublished(int32_t shard, Epoch epoch, int64_t next_row);
  bool OnRollWritten(int32_t shard, const std::string& sink, Epoch epoch);

  // As the manifest of the epoch being committed has it.
  std::vector<proto::ShardState> Snapshot() const;

  // Completed epochs of which something is not published (open files do not count), and its bytes.
  int64_t unpublished_epochs() const;
  int64_t unpublished_bytes() const;
  bool recovered_left() const;
  // Nothing waits: neither segments, nor rolls, nor rows in open files.
  bool empty() const;
  // Nothing that was committed waits for its publisher.
  bool all_published() const;

 private:
  struct Roll {
    proto::FileRoll roll;
    bool committed = false;
  };
  struct FileSink {
    std::vector<proto::Segment> open;
    std::vector<Roll> rolls;
  };
  struct Shard {
    int64_t next_row = 0;
    std::vector<proto::Segment> segments;  // oldest first
    int64_t published_epoch = 0;
    int64_t published_row = 0;
    std::map<std::string, FileSink> files;
  };

  static void RollSink(FileSink* sink, Epoch epoch);
  // The oldest epoch of which something waits; those before it are done. INT64_MAX: nothing does.
  int64_t OldestUnpublished() const;

  std::vector<Shard> shards_;
  Epoch restored_;
  Epoch committed_;
  std::vector<Epoch> completed_;  // not known to be published by every shard, oldest first
};

}  // namespace millrace
