#include "engine/state/rocks_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/table.h>
#include <rocksdb/universal_compaction.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cstdarg>

namespace millrace {
namespace {

constexpr size_t kMiB = 1 << 20;

// RocksDB's own log would stand in the store's folder; what matters of it comes back as a status.
class SilentLogger final : public rocksdb::Logger {
 public:
  SilentLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {}
};

rocksdb::BlockBasedTableOptions TableOptions(const RocksStateMemory& memory) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = memory.cache();
  // Indexes are counted in the budget too. No filters: state is only ever scanned.
  table.cache_index_and_filter_blocks = true;
  table.block_size = 16 << 10;
  table.checksum = rocksdb::kXXH3;
  return table;
}

void SetThreads(rocksdb::Options* options) {
  // One flush and two compactions at a time, of all stores of the process: a long compaction does
  // not keep the small ones from running.
  options->max_background_jobs = 3;
  options->max_subcompactions = 1;
  options->max_open_files = 256;
  options->max_file_opening_threads = 1;
  // One thread writes.
  options->allow_concurrent_memtable_write = false;
  options->enable_write_thread_adaptive_yield = false;
}

void SetFiles(rocksdb::Options* options) {
  options->info_log = std::make_shared<SilentLogger>();
  options->stats_dump_period_sec = 0;
  options->stats_persist_period_sec = 0;
  options->keep_log_file_num = 1;
  // Each checkpoint copies the manifest, which grows with every flush.
  options->max_manifest_file_size = kMiB;
  options->manifest_preallocation_size = 64 << 10;
  options->bytes_per_sync = kMiB;
  // What is not in a checkpoint is thrown away, so closing must not cost a flush.
  options->avoid_flush_during_shutdown = true;
  // The first error counts: the task restarts from its last checkpoint.
  options->max_bgerror_resume_count = 0;
}

// Merging runs of like size writes an entry a few times only, whatever part of the key space each
// second's run covers (levels would rewrite all of the next level: an operator's own entry makes
// every run span all of its times). At 8 runs they are merged; when the newer ones hold twice as
// much as the oldest, all are: less often, and the disk holds what is dead for longer.
void SetCompaction(rocksdb::Options* options) {
  options->compaction_style = rocksdb::kCompactionStyleUniversal;
  options->level0_file_num_compaction_trigger = 8;
  // Far above what a long compaction lets pile up at a checkpoint a second.
  options->level0_slowdown_writes_trigger = 256;
  options->level0_stop_writes_trigger = 1024;
  options->compaction_options_universal.size_ratio = 10;
  options->compaction_options_universal.max_size_amplification_percent = 200;
  options->target_file_size_base = 16 * kMiB;
  options->ttl = 0;
  options->periodic_compaction_seconds = 0;
  options->compression = rocksdb::kLZ4Compression;
}

}  // namespace

// Half for memtables: the other half holds blocks, and is room for memtables that are on their way
// to disk.
RocksStateMemory::RocksStateMemory(int64_t bytes)
    : memtable_bytes_(size_t(bytes) / 2),
      cache_(rocksdb::NewLRUCache(size_t(bytes), /*num_shard_bits=*/2)),
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(memtable_bytes_, cache_)) {}

std::shared_ptr<StateMemory> StateMemory::Make(int64_t bytes) {
  return std::make_shared<RocksStateMemory>(bytes);
}

rocksdb::Options MakeRocksOptions(const RocksStateMemory& memory, rocksdb::Env* env) {
  rocksdb::Options options;
  options.env = env;
  SetThreads(&options);
  SetFiles(&options);
  SetCompaction(&options);
  options.write_buffer_manager = memory.write_buffers();
  options.write_buffer_size = std::clamp(memory.memtable_bytes() / 4, kMiB, 64 * kMiB);
  options.max_write_buffer_number = 2;
  options.arena_block_size = 256 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(memory)));
  return options;
}

Status FromRocks(const rocksdb::Status& status, std::string_view otherwise, std::string_view what) {
  if (status.ok()) return Status::OK();
  std::string_view code = otherwise;
  if (status.IsNoSpace()) code = "disk_full";
  if (status.IsCorruption()) code = "state_damaged";
  return ExternalError(code, std::string(what) + ": " + status.ToString(), Retry::kNo);
}

}  // namespace millrace
