// `savepoint` and `restore` of a job on a cluster; of a local run: ../state_commands.h.
#pragma once

#include <cstdint>
#include <string>

#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/output_form.h"

namespace millrace {

// Exit codes.

// Waits until it is complete, for the connection's timeout in all; without `wait`, until it has
// begun.
int CreateClusterSavepoint(const ConnectionOptions& connection, const std::string& job,
                           const std::string& savepoint, bool wait);
int ListClusterSavepoints(const ConnectionOptions& connection, const std::string& job,
                          OutputForm form);
int DeleteClusterSavepoint(const ConnectionOptions& connection, const std::string& job,
                           const std::string& savepoint);

struct ClusterRestore {
  std::string job;
  std::string savepoint;  // either
  int64_t epoch = 0;      // or
  bool accept_duplicates = false;
  bool wait = false;  // until it runs, for the connection's timeout in all
};
int RestoreOnCluster(const ConnectionOptions& connection, const ClusterRestore& restore);

}  // namespace millrace
