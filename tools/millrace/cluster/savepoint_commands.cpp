#include "tools/millrace/cluster/savepoint_commands.h"

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/resource_output.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

std::string SavepointPath(const std::string& job, const std::string& savepoint) {
  return JobPath(job, "/savepoints/" + PathPart(savepoint));
}

// Whether it is complete. External error "savepoint_failed".
Result<bool> IsComplete(const proto::SavepointStatus& savepoint) {
  if (savepoint.state() != "failed") return savepoint.state() == "complete";
  return ExternalError("savepoint_failed",
                       "savepoint " + savepoint.name() + " failed: " + savepoint.why(), Retry::kNo);
}

Status Create(const ConnectionOptions& connection, const std::string& job, const std::string& name,
              bool wait) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::OpenToWait(connection));
  ApiClient* const api = cluster.api();
  proto::SavepointRequest request;
  request.set_name(name);
  proto::SavepointStatus savepoint;
  ARROW_RETURN_NOT_OK(api->Post(JobPath(job, "/savepoints"), &request, &savepoint));
  ARROW_ASSIGN_OR_RAISE(const bool complete, IsComplete(savepoint));
  if (!complete && !wait) return WriteOutput("savepoint " + name + " is in progress\n");
  if (!complete) {
    ARROW_RETURN_NOT_OK(PollUntil(
        api, SavepointPath(job, name), &savepoint, cluster.timeout(),
        [&] { return IsComplete(savepoint); },
        [&] { return "savepoint " + name + " is still in progress"; }));
  }
  return WriteOutput("savepoint " + name + " is complete\n");
}

Status List(const ConnectionOptions& connection, const std::string& job, OutputForm form) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::OpenToWait(connection));
  proto::SavepointList list;
  ARROW_RETURN_NOT_OK(cluster.api()->Get(JobPath(job, "/savepoints"), &list));
  return ShowAll(kSavepoints, list, form);
}

Status Delete(const ConnectionOptions& connection, const std::string& job,
              const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::OpenToWait(connection));
  ARROW_RETURN_NOT_OK(cluster.api()->Delete(SavepointPath(job, name)));
  return WriteOutput("savepoint " + name + " is deleted\n");
}

Status Restore(const ConnectionOptions& connection, const ClusterRestore& restore) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::OpenToWait(connection));
  ApiClient* const api = cluster.api();
  proto::RestoreRequest request;
  request.set_savepoint(restore.savepoint);
  request.set_epoch(restore.epoch);
  request.set_accept_duplicates(restore.accept_duplicates);
  proto::JobStatus before;
  if (restore.wait) ARROW_RETURN_NOT_OK(api->Get(JobPath(restore.job), &before));
  proto::JobStatus after;
  ARROW_RETURN_NOT_OK(api->Post(JobPath(restore.job, "/restore"), &request, &after));
  ARROW_RETURN_NOT_OK(
      WriteOutput("job " + restore.job + ": restoring from " +
                  (restore.savepoint.empty() ? "epoch " + std::to_string(restore.epoch)
                                             : "savepoint " + restore.savepoint) +
                  "\n"));
  if (!restore.wait) return Status::OK();
  const JobGoal goal{{"running", "finished"}, before.attempt()};
  ARROW_ASSIGN_OR_RAISE(after, WaitForJob(api, restore.job, goal, cluster.timeout()));
  return WriteOutput("job " + restore.job + ": " + after.state() + "\n");
}

}  // namespace

int CreateClusterSavepoint(const ConnectionOptions& connection, const std::string& job,
                           const std::string& savepoint, bool wait) {
  return Conclude(Create(connection, job, savepoint, wait));
}

int ListClusterSavepoints(const ConnectionOptions& connection, const std::string& job,
                          OutputForm form) {
  return Conclude(List(connection, job, form));
}

int DeleteClusterSavepoint(const ConnectionOptions& connection, const std::string& job,
                           const std::string& savepoint) {
  return Conclude(Delete(connection, job, savepoint));
}

int RestoreOnCluster(const ConnectionOptions& connection, const ClusterRestore& restore) {
  return Conclude(Restore(connection, restore));
}

}  // namespace millrace
