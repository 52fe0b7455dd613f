// An HTTP server with bounds: 4 threads, 32 connections waiting, one request a connection; what
// does not fit waits in the kernel's backlog. Loopback and plain HTTP unless told otherwise.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "engine/base/status.h"
#include "engine/http/server_certificate.h"

namespace httplib {
class Server;
}

namespace millrace {

struct HttpServiceOptions {
  std::string host = "127.0.0.1";
  int port = 0;             // 0: any free one; port() says which
  int timeout_seconds = 2;  // a read or write
  size_t body_bytes_max = 4096;
  ServerCertificate* certificate = nullptr;  // of HTTPS; outlives the service. Null: plain HTTP
};

class HttpService {
 public:
  explicit HttpService(HttpServiceOptions options);
  ~HttpService();
  HttpService(const HttpService&) = delete;
  HttpService& operator=(const HttpService&) = delete;

  // Called once; `route` sets the handlers, which are called from the server's threads. User
  // errors: "bad_address" (no such host here), "port_taken".
  Status Start(const std::function<void(httplib::Server*)>& route);
  // Ends open connections and joins all threads, in less than a second. May be called twice.
  void Stop();

  // The real port, once started.
  int port() const { return port_; }
  std::string address() const;  // "http://127.0.0.1:9464"
  // For handlers: half as many wait as may, so that one that is slow should refuse.
  static bool busy();

 private:
  const HttpServiceOptions options_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  int port_ = 0;
};

}  // namespace millrace
