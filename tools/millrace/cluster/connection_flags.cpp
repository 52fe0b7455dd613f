#include "tools/millrace/cluster/connection_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <thread>

namespace millrace {
namespace {

constexpr const char* kServerVariable = "MILLRACE_SERVER";
constexpr const char* kTokenFileVariable = "MILLRACE_TOKEN_FILE";
constexpr const char* kCaVariable = "MILLRACE_CA";
constexpr size_t kTokenBytesMax = 256;

std::string GivenOr(const std::string& given, const char* variable) {
  if (!given.empty()) return given;
  // Nothing in this process changes its environment.
  const char* const value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

Status Unreadable(const std::string& file) {
  return UserError("unreadable_file",
                   "cannot read '" + file + "': " + std::generic_category().message(errno));
}

Result<std::string> ReadToken(const std::string& file_name) {
  std::ifstream file(file_name, std::ios::binary);
  std::string token;
  if (!file) return Unreadable(file_name);
  token.resize(kTokenBytesMax + 2);  // a line break after it
  file.read(token.data(), std::streamsize(token.size()));
  if (file.bad()) return Unreadable(file_name);
  token.resize(size_t(file.gcount()));
  while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
  const bool plain =
      std::ranges::all_of(token, [](unsigned char c) { return c > ' ' && c < 0x7F; });
  if (token.empty() || token.size() > kTokenBytesMax || !plain) {
    return UserError("bad_token", "'" + file_name +
                                      "' holds no token: one line of 16 to 256 characters, without "
                                      "spaces (the coordinator's file of tokens has its name and "
                                      "role before it)");
  }
  return token;
}

Status CheckToken(const std::vector<ServerAddress>& servers) {
  for (const ServerAddress& server : servers) {
    if (server.tls || server.IsLoopback()) continue;
    return UserError("token_in_clear", "the token would be sent to " + server.ToString() +
                                           " in clear, for anybody on the way to read: use "
                                           "https://");
  }
  return Status::OK();
}

}  // namespace

ConnectionOptions PatientConnection() {
  ConnectionOptions options;
  options.timeout = "60s";
  return options;
}

void AddConnectionFlags(CLI::App* command, ConnectionOptions* options,
                        const std::string& timeout_help) {
  const auto add = [&](const char* name, std::string* value, const char* type, const char* what) {
    command->add_option(name, *value, what)->type_name(type)->group("Connection");
  };
  add("--server", &options->server, "URL,...",
      "Where the admin API is: of all coordinators, with commas between them; or MILLRACE_SERVER; "
      "default: http://127.0.0.1:8080");
  add("--token-file", &options->token_file, "FILE",
      "File that holds the token to show; or MILLRACE_TOKEN_FILE");
  add("--ca", &options->ca_file, "FILE",
      "Certificates that sign the coordinators' (PEM); or MILLRACE_CA; default: the system's");
  command->add_option("--timeout", options->timeout, timeout_help)
      ->type_name("DURATION")
      ->group("Connection")
      ->capture_default_str();
}

Result<ClusterConnection> ClusterConnection::Open(const ConnectionOptions& options) {
  ApiClientOptions client;
  ARROW_ASSIGN_OR_RAISE(client.timeout, ParseDuration(options.timeout));
  if (client.timeout <= Micros(0)) return UserError("bad_duration", "--timeout must not be 0");
  std::string server = GivenOr(options.server, kServerVariable);
  if (server.empty()) server = kDefaultServer;
  ARROW_ASSIGN_OR_RAISE(client.servers, ParseServers(server));
  const std::string token_file = GivenOr(options.token_file, kTokenFileVariable);
  if (!token_file.empty()) {
    ARROW_ASSIGN_OR_RAISE(client.token, ReadToken(token_file));
    ARROW_RETURN_NOT_OK(CheckToken(client.servers));
  }
  const std::string ca_file = GivenOr(options.ca_file, kCaVariable);
  if (!ca_file.empty() && !std::ifstream(ca_file)) return Unreadable(ca_file);
  ClusterConnection connection;
  connection.timeout_ = client.timeout;
  connection.clock_ = std::make_unique<SystemClock>();
  connection.transport_ = std::make_unique<NetworkTransport>(ca_file);
  connection.api_ = std::make_unique<ApiClient>(
      std::move(client), connection.transport_.get(), connection.clock_.get(),
      [](Micros time) { std::this_thread::sleep_for(time); });
  return connection;
}

Result<ClusterConnection> ClusterConnection::OpenToWait(const ConnectionOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection connection, Open(options));
  connection.api()->set_timeout(std::min(connection.timeout(), kRequestTimeout));
  return connection;
}

}  // namespace millrace
