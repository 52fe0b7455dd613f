// Whether a file has changed since it was read: Kubernetes replaces Secrets under a process that
// runs.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace millrace {

struct FileStamp {
  bool exists = false;
  uint64_t inode = 0;
  int64_t bytes = 0;
  int64_t seconds = 0;
  int64_t nanoseconds = 0;

  static FileStamp Of(const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {true, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  }

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

}  // namespace millrace
