// Which files a source reads: paths as given, folders as the files in them with the format's
// ending, globs (*, ?, [...] in any part of a path) as what they match.
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/job.h"

namespace millrace {

// In the order of `paths`, what one path stands for sorted by name; a file that several paths name
// is listed once. Hidden files (".x", "_x") of folders are left out. Endings: .csv; .json, .jsonl,
// .ndjson; .parquet.
// User errors: "path_missing" (names the path; a folder or glob without a file too),
// "compressed_file".
Result<std::vector<std::string>> ListFiles(const std::vector<std::string>& paths, Format format,
                                           arrow::fs::FileSystem* filesystem);

}  // namespace millrace
