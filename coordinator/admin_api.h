// The admin API of a coordinator: HTTP and JSON under /api/v1, of the messages of
// proto/admin.proto. docs/admin-api.md.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "coordinator/job_files.h"
#include "engine/env/clock.h"
#include "engine/http/api_tokens.h"
#include "engine/http/http_service.h"
#include "proto/admin.pb.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace millrace {

class ClusterCoordinator;

struct AdminApiOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
  // Files; empty: anyone may ask, without TLS, on loopback only.
  std::string tokens;
  std::string tls_certificate;
  std::string tls_key;
  std::string cluster;
  std::string coordinator;  // this one's name
  std::string build;
  std::string storage;  // the folder of the jobs' states
};

class AdminApi {
 public:
  // `cluster` and `clock` outlive it. User errors: "api_unprotected" (it would be reached from
  // elsewhere, and lacks tokens or TLS), "api_tokens", "tls_files".
  static Result<std::unique_ptr<AdminApi>> Make(AdminApiOptions options,
                                                ClusterCoordinator* cluster, const Clock* clock);

  // As HttpService's.
  Status Start();
  void Stop() { service_->Stop(); }
  std::string address() const { return service_->address(); }

 private:
  AdminApi(AdminApiOptions options, ClusterCoordinator* cluster, const Clock* clock)
      : options_(std::move(options)), cluster_(cluster), clock_(clock) {}
  void Route(httplib::Server* server);
  void RouteCluster(httplib::Server* server);
  void RouteJobs(httplib::Server* server);
  void RouteChanges(httplib::Server* server);
  void RouteSavepoints(httplib::Server* server);
  // True: it may go on; else it was answered.
  bool Admit(const httplib::Request& request, httplib::Response* response);

  // Each answers, or says why it does not.
  Status AnswerJob(const std::string& name, httplib::Response* response);
  Status AnswerLog(const std::string& job, const httplib::Request& request,
                   httplib::Response* response);
  Status AnswerRows(const std::string& job, const httplib::Request& request,
                    httplib::Response* response);
  Status Apply(const httplib::Request& request, httplib::Response* response);
  Status MakeSavepoint(const std::string& job, const httplib::Request& request,
                       httplib::Response* response);
  Status Restore(const std::string& job, const httplib::Request& request,
                 httplib::Response* response);
  Result<JobFiles> FilesOf(const std::string& job);
  Result<std::map<std::string, proto::SavepointStatus>> Savepoints(const std::string& job);

  const AdminApiOptions options_;
  ClusterCoordinator* const cluster_;
  const Clock* const clock_;
  std::unique_ptr<ApiTokens> tokens_;  // null: anyone
  std::unique_ptr<ServerCertificate> certificate_;
  std::unique_ptr<HttpService> service_;
};

}  // namespace millrace
