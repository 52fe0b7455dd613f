// Writes one file of the checkpoint storage, on any file system, and sums it up as it goes.
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <memory>
#include <string>

#include "engine/storage/checkpoint_storage.h"

namespace millrace {

// `full_path`: of the file system; its folder must be there. `path`: as the StoredFile names it.
// "file_exists": nothing is overwritten; "disk_full", "storage_write_failed".
Result<std::unique_ptr<StoredFileWriter>> CreateStoredFile(
    std::shared_ptr<arrow::fs::FileSystem> filesystem, const std::string& full_path,
    const std::string& path);

}  // namespace millrace
