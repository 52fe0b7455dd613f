// What makes a savepoint out of a checkpoint's manifest, without touching files.
#pragma once

#include <string>

#include "engine/base/status.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// Letters, digits, '-' and '_', at most 200: "bad_savepoint_name" (user).
Status CheckSavepointName(const std::string& name);

// The manifest that stands in the savepoint `name`. Segments that the manifest itself says are
// published are left out; "savepoint_with_output" (internal) where others are left.
Result<proto::Manifest> SavepointManifest(const std::string& name, const proto::Manifest& manifest);

// Puts `prefix` before every path.
void PrefixPaths(const std::string& prefix, proto::Manifest* manifest);

}  // namespace millrace
