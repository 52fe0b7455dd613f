// The admin API of a coordinator: HTTP and JSON under /api/v1, of the messages of
// proto/admin.proto. docs/admin-api.md.
#pragma once

#include <string>

#include "engine/metrics/http_service.h"

namespace millrace {

class ClusterCoordinator;

struct AdminApiOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
};

class AdminApi {
 public:
  // `cluster` outlives it.
  AdminApi(AdminApiOptions options, ClusterCoordinator* cluster);

  // As HttpService's.
  Status Start();
  void Stop() { service_.Stop(); }
  std::string address() const { return service_.address(); }

 private:
  void Route(httplib::Server* server);

  HttpService service_;
  ClusterCoordinator* const cluster_;
};

}  // namespace millrace
