// What the processes of a simulated fleet share: logs that are extended by compare-and-create,
// leases, and catalogs. docs/exactly-once.md, "Fencing".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/recovery.h"
#include "engine/storage/metadata_log.h"
#include "proto/cluster.pb.h"
#include "tests/simulation/fiber.h"
#include "tests/simulation/fleet/fleet_world.h"

namespace millrace::simulation {

class SharedLog {
 public:
  explicit SharedLog(FleetWorld* world) : world_(world) {}

  const std::vector<IndexedEntry>& entries() const { return entries_; }
  AppendResult Append(int64_t index, const proto::LogEntry& entry);
  void RemoveBefore(int64_t index);
  int64_t last_index() const { return entries_.empty() ? 0 : entries_.back().index; }
  // The highest term that was ever claimed.
  int64_t term() const { return term_; }

 private:
  FleetWorld* const world_;
  std::vector<IndexedEntry> entries_;
  int64_t term_ = 0;
};

// Claims the next term of a log by the product's own ClaimTerm, which may be stopped, or end for
// good with its process, between reading and adding.
class TermClaimer {
 public:
  // `done` is called unless the claimer is gone before.
  TermClaimer(FleetProcess* process, SharedLog* log, std::string what,
              std::function<void(Result<ClaimedTerm>)> done);
  ~TermClaimer();

 private:
  class View;
  void GoOn();

  FleetProcess* const process_;
  std::unique_ptr<View> view_;
  const std::string what_;
  const std::function<void(Result<ClaimedTerm>)> done_;
  Result<ClaimedTerm> claimed_ = Status::Cancelled("not yet");
  Fiber fiber_;
  Lifetime lifetime_;
};

// Only a hint, as Lease (engine/storage/metadata_log.h): who holds it, and whether it beats.
struct SharedLease {
  int64_t number = 0;
  std::string holder;  // an incarnation; empty: nobody, or its process is gone
  std::string owner;   // what of that process holds it
  uint64_t beats = 0;  // of the holder's process
};

class FleetStore {
 public:
  explicit FleetStore(FleetWorld* world) : world_(world), cluster_log(world) {}

  // A process says so several times a lease; every lease that it holds beats.
  void Beat(const std::string& incarnation);
  // Its locks are released.
  void Detach(const std::string& incarnation);
  SharedLease* LeaseOf(const std::string& name) { return &leases_[name]; }

 private:
  FleetWorld* const world_;
  std::map<std::string, SharedLease> leases_;

 public:
  SharedLog cluster_log;
  std::map<int64_t, std::string> leaders;          // of the cluster, by term
  std::map<std::string, proto::Catalog> catalogs;  // by path
};

// Takes a lease as Lease::Acquire does.
class LeaseTaker {
 public:
  // `patience`: how long it waits for a holder that does not move, by its own clock. `done`: OK, or
  // "job_is_running". Not called once the taker is gone.
  LeaseTaker(FleetProcess* process, SharedLease* lease, std::string owner, MonotonicTime patience,
             std::function<void(Status)> done);
  ~LeaseTaker() = default;

 private:
  void Begin();
  void Look();

  FleetProcess* const process_;
  SharedLease* const lease_;
  const std::string owner_;
  const MonotonicTime patience_;
  const std::function<void(Status)> done_;
  SharedLease first_;
  MonotonicTime began_{0};
  Lifetime lifetime_;
};

}  // namespace millrace::simulation
