// The flags that every command of a cluster has: where its admin API is, and who asks.
#pragma once

#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/millrace/cluster/api_client.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace millrace {

// Empty: what the environment says (MILLRACE_SERVER, MILLRACE_TOKEN_FILE, MILLRACE_CA), else the
// default.
struct ConnectionOptions {
  std::string server;
  std::string token_file;
  std::string ca_file;
  std::string timeout = "10s";  // of a request; of all that a command waits for, where it waits
};

// Of a command that waits: 60 s.
ConnectionOptions PatientConnection();

// Under the heading "Connection" of the command's help. `timeout_help`: what --timeout is about.
void AddConnectionFlags(CLI::App* command, ConnectionOptions* options,
                        const std::string& timeout_help = "How long a request may take");

// A client with all that it needs.
class ClusterConnection {
 public:
  // User errors: "bad_server", "bad_duration", "unreadable_file", "bad_token", and
  // "token_in_clear": a token is given, and a server is neither https nor on this machine.
  static Result<ClusterConnection> Open(const ConnectionOptions& options);
  // For commands that wait: --timeout is for all of that, and a request has 10 s of it at most.
  static Result<ClusterConnection> OpenToWait(const ConnectionOptions& options);

  ApiClient* api() { return api_.get(); }
  Micros timeout() const { return timeout_; }

 private:
  Micros timeout_{0};
  std::unique_ptr<SystemClock> clock_;
  std::unique_ptr<HttpTransport> transport_;
  std::unique_ptr<ApiClient> api_;
};

}  // namespace millrace
