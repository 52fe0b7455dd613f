// The operating port: GET /metrics, /healthz and /readyz, apart from everything else that a process
// serves, so that a busy API never hides whether it lives. Plain HTTP; loopback unless told
// otherwise.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/http/http_service.h"
#include "engine/metrics/metrics.h"

namespace millrace {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one; port() says which
};

class HttpServer {
 public:
  // Why the process is not ready, or hangs, a line each; empty: it is, or does not. Called from the
  // server's threads; must not wait for what may hang.
  using Reasons = std::function<std::vector<std::string>()>;

  // `metrics` outlives the server. Without `hangs` a process lives while it answers.
  HttpServer(HttpServerOptions options, const Metrics* metrics, Reasons readiness,
             Reasons hangs = nullptr);

  // As HttpService's.
  Status Start();
  void Stop() { service_.Stop(); }
  int port() const { return service_.port(); }
  std::string address() const { return service_.address(); }

 private:
  void Route(httplib::Server* server);

  HttpService service_;
  const Metrics* metrics_;
  Reasons readiness_;
  Reasons hangs_;
};

}  // namespace millrace
