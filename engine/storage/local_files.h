// What Arrow's file systems do not promise and a local disk can: files that are made exactly once,
// hard links, and what is on disk for certain. Everything that is special about a local folder
// stands here. Blocking; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace arrow::fs {
class FileSystem;
}

namespace millrace {

bool IsLocal(const arrow::fs::FileSystem& filesystem);

// A descriptor that is closed at the end.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  bool valid() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  int Release();

 private:
  int descriptor_ = -1;
};

// A system error of an operation on `path`: as disk_full, or as `code` (both external).
Status FileError(int error, std::string_view code, const std::string& what);
// An error of Arrow in the same form; what has a detail of ours is left as it is.
Status FileError(const Status& status, std::string_view code, const std::string& what);

// A new file for writing; fails with EEXIST in its status' errno where the name is taken.
Result<FileDescriptor> CreateExclusively(const std::string& path);
Status WriteAll(int descriptor, std::string_view bytes);

// What a file holds, or the names that stand in a folder, survive a crash of the machine.
Status SyncFile(const std::string& path);
Status SyncFolder(const std::string& path);

// Makes a folder and those above it that are missing, so that all of them survive.
Status MakeFolders(const std::string& path);

enum class LinkResult {
  kLinked,
  kExists,      // the new name is taken
  kMissing,     // the file is gone
  kImpossible,  // another disk, or one without hard links
};
Result<LinkResult> LinkFile(const std::string& from, const std::string& to);

// What stands in a folder, in any order. What comes or goes meanwhile may be missing.
Result<std::vector<std::string>> NamesIn(const std::string& folder);

// The folder part of a path; "." where it has none.
std::string FolderOf(const std::string& path);

// Letters and digits that no other call, in any process, gave.
std::string MakeNonce();

}  // namespace millrace
