// A source over files: CSV, JSON or SenML lines, or Parquet, read once from beginning to end. Each
// file is a partition (TopicPartition{path, 0}) whose offsets are row numbers from 0 (JSON and
// SenML: line numbers; a line may hold several readings).
//
// Files are replayed together by event time, without sorting or loading them: Poll reads the next
// chunk of the file that is least far. Each file's own rows keep their order. At most 256 files,
// because each is open with a chunk in memory (64 MiB for all of them).
//
// Rejected records: "malformed" (a wrong number of cells, broken JSON), "type_mismatch",
// "missing_event_time" (null or unreadable). Their value is the line of JSON, or the row written
// again (as CSV; for Parquet as JSON).
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <memory>

#include "engine/connectors/source.h"
#include "engine/plan/plan.h"

namespace millrace {

// `node` is of a files stream; `plan_node` is the plan's node that holds it.
// User errors of Discover and Start: "path_missing", "compressed_file", "too_many_files",
// "bad_file" (names the file; a missing column with the nearest one that exists).
Result<std::unique_ptr<Source>> MakeFilesSource(const SourceNode& node, const PlanNode& plan_node,
                                                std::shared_ptr<arrow::fs::FileSystem> filesystem);

}  // namespace millrace
