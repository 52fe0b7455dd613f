// Who leads a cluster, and its jobs: a log in the cluster's storage that is extended by exclusive
// creation only, as a job's is (engine/storage/metadata_log.h). Blocking; one thread at a time.
//
//   <storage>/.cluster/log     claims of terms, and pointers to catalogs
//                     /files   catalogs (proto::Catalog, sealed)
//                     /lease   the lock of the process that leads
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "engine/env/clock.h"
#include "engine/storage/checkpoint_storage.h"
#include "engine/storage/metadata_log.h"
#include "proto/cluster.pb.h"

namespace millrace {

class ClusterLog {
 public:
  // Stands by while another process leads; then claims the next term. "stopped" once `stopping`.
  static Result<std::unique_ptr<ClusterLog>> Lead(const std::string& storage,
                                                  const std::string& owner, const Clock* clock,
                                                  const std::atomic<bool>& stopping);

  int64_t term() const { return term_; }
  // Of the leader before, or empty.
  const proto::Catalog& catalog() const { return catalog_; }
  // Safe once it returns. "superseded": another process leads.
  Status Write(const proto::Catalog& catalog);
  // "superseded": another process leads. It may do so a moment later, too. Else, where it fails, it
  // is not known who does.
  Status CheckLeads();

 private:
  ClusterLog() = default;
  Status Claim(const std::string& owner);

  std::unique_ptr<Lease> lease_;
  std::jthread heart_;  // beats for the lease
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<CheckpointStorage> files_;
  int64_t term_ = 0;
  int64_t next_index_ = 1;
  std::string last_file_;
  proto::Catalog catalog_;
};

}  // namespace millrace
