// The operating port: GET /metrics, /healthz and /readyz, apart from everything else that a process
// serves, so that a busy API never hides whether it lives. Plain HTTP; loopback unless told
// otherwise.
//
// Bounds: 4 threads, 32 connections waiting, one request a connection, 2 s a read or write, bodies
// of 4 KiB (none is used). What does not fit waits in the kernel's backlog.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/status.h"
#include "engine/metrics/metrics.h"

namespace httplib {
class Server;
}

namespace millrace {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one; port() says which
};

class HttpServer {
 public:
  // Why the process is not ready, a line each; empty: ready. Called from the server's threads.
  using Readiness = std::function<std::vector<std::string>()>;

  // `metrics` outlives the server.
  HttpServer(HttpServerOptions options, const Metrics* metrics, Readiness readiness);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Called once. User errors: "bad_address" (no such host here), "port_taken".
  Status Start();
  // Ends open connections and joins all threads, in less than a second. May be called twice.
  void Stop();

  // The real port, once started.
  int port() const { return port_; }
  std::string address() const;  // "http://127.0.0.1:9464"

 private:
  void Route();

  HttpServerOptions options_;
  const Metrics* metrics_;
  Readiness readiness_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  int port_ = 0;
};

}  // namespace millrace
