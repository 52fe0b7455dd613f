// A StateStore on local disk: one RocksDB a task, all of a process sharing one cache and one
// write-buffer budget. No write-ahead log: what survives a crash is the last checkpoint, and the
// local folder of a process that died is thrown away.
//
// A table of state (*.sst) checks itself whenever it is read. The other files of a checkpoint do
// not in every case (RocksDB may take a damaged manifest for a shorter one), so whoever restores
// them compares their checksums first. A store never changes a file that it was restored from: hard
// links will do. Within the life of one store a name ending in .sst always means the same bytes;
// other names, and those of another life, do not.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/state/part_groups.h"
#include "engine/state/state_store.h"

namespace millrace {

// What the stores of one process share. Outlives them.
class StateMemory {
 public:
  // `bytes`: block cache and memtables of all stores together.
  static std::shared_ptr<StateMemory> Make(int64_t bytes);
  virtual ~StateMemory() = default;
  virtual int64_t used_bytes() const = 0;
};

struct RocksStateOptions {
  std::string folder;                   // made; must be empty or hold what was restored into it
  std::shared_ptr<StateMemory> memory;  // never null
  // Of a store whose files hold entries of other key groups, too. Only these are read and may be
  // written; checkpoints say so in a file more (PartGroups::kFileName). None: all are its own.
  std::optional<PartGroups> groups = {};
  // So many stores share what may be queued for one (a PartedStateStore's).
  int32_t sharers = 1;
};

// "state_damaged", "state_open_failed", "disk_full".
Result<std::unique_ptr<StateStore>> OpenRocksStateStore(RocksStateOptions options);

}  // namespace millrace
