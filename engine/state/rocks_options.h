// How RocksDB is set up for window state (docs/state-format.md, "Store on disk"), and its statuses
// as ours. Internal to engine/state.
#pragma once

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <memory>
#include <string_view>

#include "engine/base/status.h"
#include "engine/state/rocks_state_store.h"

namespace millrace {

// Memtables and blocks are counted in one cache, so that its capacity bounds both.
class RocksStateMemory final : public StateMemory {
 public:
  explicit RocksStateMemory(int64_t bytes);

  int64_t used_bytes() const override { return int64_t(cache_->GetUsage()); }
  // Memtables of all stores together take as much as they should: flush before writing more.
  bool MemtablesFull() const { return write_buffers_->memory_usage() >= memtable_bytes_; }

  const std::shared_ptr<rocksdb::Cache>& cache() const { return cache_; }
  const std::shared_ptr<rocksdb::WriteBufferManager>& write_buffers() const {
    return write_buffers_;
  }
  size_t memtable_bytes() const { return memtable_bytes_; }

 private:
  const size_t memtable_bytes_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
};

rocksdb::Options MakeRocksOptions(const RocksStateMemory& memory, rocksdb::Env* env);

// OK, "disk_full", "state_damaged", or `otherwise`; `what` comes first in the message.
Status FromRocks(const rocksdb::Status& status, std::string_view otherwise, std::string_view what);

// OpenRocksStateStore with a file system of the caller's; `env` outlives the store.
Result<std::unique_ptr<StateStore>> OpenRocksStateStore(RocksStateOptions options,
                                                        rocksdb::Env* env);

}  // namespace millrace
