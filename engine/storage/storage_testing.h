// For tests of what is stored: a temporary folder with a view of its files.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "engine/base/status_testing.h"

namespace millrace {

class StorageTestFolder {
 public:
  StorageTestFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "millrace-storage-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~StorageTestFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  void Put(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::filesystem::remove(Path(name));  // to cut and write anew makes some disks wait
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  std::string Get(const std::string& name) const {
    std::ostringstream bytes;
    bytes << std::ifstream(Path(name), std::ios::binary).rdbuf();
    return bytes.str();
  }
  // Every file below the folder, hidden ones included.
  std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = std::filesystem::relative(entry.path(), path_).string();
      files[name] = Get(name);
    }
    return files;
  }

 private:
  std::string path_;
};

}  // namespace millrace
