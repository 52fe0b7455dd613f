// Gives disk space back after ranges were deleted. A range deletion is an entry; what it hides goes
// when a compaction meets both. Three ways, by cost:
//
// - Before the deletion is written, files that lie wholly inside the range are dropped. Safe
// because
//   nothing reads between the drop and the deletion, iterators keep the files that they look at,
//   and checkpoints have links of their own.
// - Compactions that run anyway.
// - Once what is hidden makes up half of the files, all of them are compacted, on a thread of its
//   own: so at most as much is rewritten as was deleted.
//
// Internal to engine/state; one caller's thread.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/status.h"

namespace millrace {

class DeadSpace {
 public:
  using Ranges = std::vector<std::pair<std::string, std::string>>;

  explicit DeadSpace(rocksdb::DB* db) : db_(db) {}
  ~DeadSpace();

  // To be called before deletions of `ranges` are written.
  rocksdb::Status BeforeDeleting(const Ranges& ranges);
  // To be called now and then, when the deletions are in files. Does not block.
  void ReclaimIfWorthIt();
  // Whether everything that was there at the start has been compacted at once.
  bool is_reclaimed() const { return reclaimed_; }

 private:
  void Compact();

  rocksdb::DB* db_;
  int64_t dead_bytes_ = 0;  // in files, hidden by deletions since the last compaction of all
  std::atomic<bool> compacting_ = false;
  std::atomic<bool> reclaimed_ = false;
  std::thread thread_;
};

}  // namespace millrace
