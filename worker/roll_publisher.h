// Publishes a file sink's rolls: reads the segments of each and has its final files written.
// Blocking; on a thread of its own. docs/exactly-once.md, "Publishing files".
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/checkpoint/outbox_ledger.h"
#include "engine/checkpoint/register_decision.h"
#include "engine/connectors/files/file_register.h"
#include "engine/connectors/files/roll_writer.h"
#include "engine/outbox/segment.h"

namespace millrace {

struct RollPublisherOptions {
  Lineage lineage;
  std::string sink_name;  // part of the files' names
  Epoch sealed_epoch;     // of the checkpoint that the job goes on from
};

class RollPublisher {
 public:
  // `storage` and `writer` outlive it.
  RollPublisher(RollPublisherOptions options, RollWriter* writer, CheckpointStorage* storage)
      : options_(std::move(options)), writer_(writer), storage_(storage) {}

  // Every file of the roll stands under its final name once it returns OK.
  // "generation_is_foreign" (user) where another line of descent wrote to the folder last;
  // "published_beyond" where the folder has more than the checkpoint that the job goes on from.
  Result<RollResult> Publish(const ReleasedRoll& released);

 private:
  Status CheckNotBeyond(const proto::Register& found) const;
  Status NoteEpoch(int64_t epoch);

  const RollPublisherOptions options_;
  RollWriter* writer_;
  CheckpointStorage* storage_;
  std::optional<proto::Register> noted_;
};

}  // namespace millrace
