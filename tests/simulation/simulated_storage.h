// The checkpoint storage and the metadata log of a simulation, as one process sees them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/storage/checkpoint_storage.h"
#include "engine/storage/metadata_log.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

// Files on the local disk of one task: thrown away with its process.
using LocalFiles = std::map<std::string, std::string>;

// `local` is where Upload reads and Download writes; it may be null where neither is called.
std::unique_ptr<CheckpointStorage> MakeStorage(Site* site, Disk* disk, LocalFiles* local);

// The log, shared by all processes, and what must be true of it.
class LogState {
 public:
  explicit LogState(World* world) : world_(world) {}

  std::vector<IndexedEntry> Read() const;
  // Whether the entry now stands at `index`.
  bool Link(int64_t index, const proto::LogEntry& entry, const Site& site);
  void Sync();
  // Whether a linked entry counts: it is above the floor.
  bool Counts(int64_t index) const { return index >= floor_; }
  void RemoveBefore(int64_t index);
  void CrashMachine(Random* random);

  // The highest term that was claimed.
  int64_t term() const;
  // The highest epoch of `generation` whose manifest was ever in the log; 0: none.
  int64_t CommittedEpoch(const std::string& generation) const;
  // How many manifests were added.
  int64_t commits() const { return commits_; }
  // The newest manifest's entry; null: none.
  const proto::ManifestPointer* Newest() const;

 private:
  struct Linked {
    proto::LogEntry entry;
    bool safe = false;
  };
  void CheckClaim(const proto::LogEntry& entry, const Site& site);
  void CheckManifest(const proto::LogEntry& entry, const Site& site);

  World* world_;
  std::map<int64_t, Linked> entries_;
  int64_t floor_ = 0;
  int64_t commits_ = 0;
  std::map<int64_t, int> owners_;             // process by term
  std::map<std::string, int64_t> committed_;  // epoch by generation, of removed entries
};

std::unique_ptr<MetadataLog> MakeLog(Site* site, LogState* state);

}  // namespace millrace::simulation
