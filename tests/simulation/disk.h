// The simulated disk: every process of a simulation is on the machine that has it. A crash of a
// process loses nothing of it; a crash of the machine loses, by chance, bytes and names that were
// not synced, and brings names back whose removal was not.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace millrace::simulation {

class Disk {
 public:
  struct File {
    std::string bytes;
    bool bytes_safe = false;
    bool name_safe = false;
  };

  bool Has(const std::string& path) const { return files_.contains(path); }
  const File* Find(const std::string& path) const {
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : &found->second;
  }
  File* Find(const std::string& path) {
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : &found->second;
  }
  void Create(const std::string& path) { files_[path] = File(); }
  void Remove(const std::string& path) {
    const auto found = files_.find(path);
    if (found == files_.end()) return;
    if (found->second.name_safe) removed_.insert_or_assign(path, found->second);
    files_.erase(found);
  }
  // For good: no crash brings it back.
  void Lose(const std::string& path) { files_.erase(path); }
  void Rename(const std::string& from, const std::string& to) {
    const auto found = files_.find(from);
    if (found == files_.end()) return;
    File file = std::move(found->second);
    files_.erase(found);
    file.name_safe = false;
    files_.insert_or_assign(to, std::move(file));
  }
  // Paths that begin with `prefix`, sorted.
  std::vector<std::string> List(const std::string& prefix) const {
    std::vector<std::string> paths;
    for (auto file = files_.lower_bound(prefix);
         file != files_.end() && file->first.starts_with(prefix); ++file) {
      paths.push_back(file->first);
    }
    return paths;
  }

  void CrashMachine(Random* random) {
    for (auto file = files_.begin(); file != files_.end();) {
      if (!file->second.name_safe && random->Chance(500)) {
        file = files_.erase(file);
        continue;
      }
      std::string& bytes = file->second.bytes;
      if (!file->second.bytes_safe && !bytes.empty()) {
        bytes.resize(size_t(random->Below(int64_t(bytes.size()) + 1)));  // torn
      }
      file->second.bytes_safe = file->second.name_safe = true;
      ++file;
    }
    for (auto& [path, file] : removed_) {
      if (!files_.contains(path) && random->Chance(300)) files_[path] = file;
    }
    removed_.clear();
  }

 private:
  std::map<std::string, File> files_;
  std::map<std::string, File> removed_;  // since the last crash
};

}  // namespace millrace::simulation
