// What a file sink's folder says of who wrote there last. docs/exactly-once.md, "Publishing files".
#pragma once

#include <optional>

#include "engine/base/status.h"
#include "engine/connectors/files/roll_writer.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// The register in a sink's folder says which generation wrote there last, and up to which epoch. It
// is written before the files of an epoch: nothing of a later epoch than it says is there.
Result<std::optional<proto::Register>> ReadFileRegister(RollWriter* writer);

}  // namespace millrace
