// Hash of the key columns of each row: decides the key group, and is the hash of the group table.
// Stable across processes, machines and versions (it decides where state lives): XXH3-64 over the
// values' canonical bytes; nulls have bytes of their own; -0.0 counts as 0.0 and all NaNs as one.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <vector>

#include "engine/base/status.h"

namespace millrace {

// One hash a row, into `hashes` (resized). Without key columns every row has the same hash.
Status HashKeys(const arrow::RecordBatch& batch, const std::vector<int>& key_columns,
                std::vector<uint64_t>* hashes);

}  // namespace millrace
