// Who leads a job and which checkpoint counts: a log that is extended by exclusive creation only.
// docs/exactly-once.md, "Fencing".
//
// An entry at index n + 1 can be added by one process only, so a coordinator that was stopped and
// woken finds the index taken by its successor's claim, whatever it believes: exactly one
// coordinator can complete a checkpoint. Entries are numbered without gaps; the log is its last run
// of indexes without a gap (older ones are removed, from the front).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

enum class AppendResult {
  kAppended,
  // Another process leads: whoever is told this must stop. Its entry may be in the log even so,
  // where the other had read it and followed it: nothing that it points to may be removed.
  kTaken,
};

struct IndexedEntry {
  int64_t index = 0;
  proto::LogEntry entry;
};

// One thread at a time.
class MetadataLog {
 public:
  virtual ~MetadataLog() = default;
  // All entries, oldest first. "log_damaged".
  virtual Result<std::vector<IndexedEntry>> Read() = 0;
  // Safe on disk once it returns kAppended. After an error the entry may be there or not.
  // "disk_full", "log_write_failed".
  virtual Result<AppendResult> Append(int64_t index, const proto::LogEntry& entry) = 0;
  // Removes entries below `index`, but never the newest.
  virtual Status RemoveBefore(int64_t index) = 0;
};

// In <folder>/<20 digits>: written aside, synced, and linked to its name (which fails where the
// name exists). The folder is made.
Result<std::unique_ptr<MetadataLog>> OpenLocalMetadataLog(const std::string& folder);

// Whether a process that leads is there: a lock that dies with its process, and a heartbeat for one
// that is stopped. Only a hint that saves a start from fencing a healthy process; what fences is
// the log.
class Lease {
 public:
  // At once where nobody holds the lock. Else waits for `lease`: where the holder's heartbeat moves
  // meanwhile, fails with "job_is_running" (user; names the holder); where it does not, takes over.
  // A lease of no time is taken over at once.
  // `stopping` ends the wait with "stopped".
  static Result<std::unique_ptr<Lease>> Acquire(const std::string& folder, const std::string& owner,
                                                Micros lease, const Clock& clock,
                                                const std::atomic<bool>& stopping);
  virtual ~Lease() = default;
  // To be called several times a lease. Any thread.
  virtual void Beat() = 0;

  // How long a holder that does not beat keeps the lease.
  static constexpr auto kTime = std::chrono::seconds(3);
  // A thread that beats as often as that takes, until it is stopped. `lease` outlives it.
  static std::jthread KeepBeating(Lease* lease);
};

}  // namespace millrace
