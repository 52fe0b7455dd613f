// One HTTP request to one server.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "tools/millrace/cluster/server_address.h"

namespace millrace {

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // percent-encoded, with its query; without the server's prefix
  std::string body;  // JSON; empty: none
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::string etag;  // empty: none
  int retry_after_seconds = 0;
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // Blocks, for `timeout` at most (names are resolved by the system, which may take longer).
  // Whatever is answered is an answer; external errors:
  //   "unreachable"        no connection: nothing has been sent
  //   "no_answer"          none within the time; what was asked for may have been done
  //   "connection_broken"  no HTTP answer, or half of one; the same
  //   "tls_failed"         the server is not who it should be, or speaks no TLS: nothing has been
  //   sent "answer_too_large"
  virtual Result<HttpAnswer> Send(const ServerAddress& server, const HttpRequest& request,
                                  Micros timeout) = 0;
};

// Over the network, each request in a connection of its own. Redirections are not followed.
class NetworkTransport final : public HttpTransport {
 public:
  // `ca_file`: PEM certificates that servers' must chain to; empty: the system's.
  explicit NetworkTransport(std::string ca_file) : ca_file_(std::move(ca_file)) {}

  Result<HttpAnswer> Send(const ServerAddress& server, const HttpRequest& request,
                          Micros timeout) override;

 private:
  const std::string ca_file_;
};

}  // namespace millrace
