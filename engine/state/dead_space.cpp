#include "engine/state/dead_space.h"

#include <rocksdb/convenience.h>

namespace millrace {
namespace {

// Below it, compacting everything costs more than the space is worth.
constexpr int64_t kWorthBytes = 4 << 20;

}  // namespace

DeadSpace::~DeadSpace() {
  if (!thread_.joinable()) return;
  db_->DisableManualCompaction();  // ends the one that runs
  thread_.join();
}

rocksdb::Status DeadSpace::BeforeDeleting(const Ranges& ranges) {
  if (ranges.empty()) return rocksdb::Status::OK();
  std::vector<rocksdb::Slice> ends;
  ends.reserve(2 * ranges.size());
  for (const auto& [first, last] : ranges) ends.insert(ends.end(), {first, last});
  std::vector<rocksdb::RangePtr> inside;
  std::vector<rocksdb::Range> hidden;
  for (size_t i = 0; i < ends.size(); i += 2) {
    inside.emplace_back(&ends[i], &ends[i + 1]);
    hidden.emplace_back(ends[i], ends[i + 1]);
  }
  rocksdb::Status status = rocksdb::DeleteFilesInRanges(
      db_, db_->DefaultColumnFamily(), inside.data(), inside.size(), /*include_end=*/false);
  if (!status.ok()) return status;
  std::vector<uint64_t> sizes(hidden.size());
  status = db_->GetApproximateSizes(hidden.data(), int(hidden.size()), sizes.data());
  for (const uint64_t size : sizes) dead_bytes_ += int64_t(size);
  return status;
}

void DeadSpace::ReclaimIfWorthIt() {
  if (dead_bytes_ < kWorthBytes || compacting_) return;
  uint64_t total = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &total);
  if (2 * dead_bytes_ < int64_t(total)) return;
  if (thread_.joinable()) thread_.join();
  dead_bytes_ = 0;
  compacting_ = true;
  thread_ = std::thread(&DeadSpace::Compact, this);
}

void DeadSpace::Compact() {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;  // flushes are merged meanwhile
  // A failure shows at the next write, as that of any other compaction.
  if (db_->CompactRange(options, nullptr, nullptr).ok()) reclaimed_ = true;
  compacting_ = false;
}

}  // namespace millrace
