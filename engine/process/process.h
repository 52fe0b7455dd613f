// What the programs of a cluster share: flags, signals, logging. Each flag may also be given as
// MILLRACE_<FLAG>, in upper case and with _ for -.
#pragma once

#include <optional>
#include <string>

#include "engine/base/status.h"
#include "engine/env/signals.h"
#include "engine/link/link_network.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace millrace {

struct ProcessOptions {
  std::string cluster = "default";
  std::string name;  // of the node; default: the host's
  std::string listen;
  std::string storage;
  std::string data_dir = ".";
  std::string brokers;
  std::string host = "127.0.0.1";  // of the operating port
  int metrics_port = 0;
  std::string tls_ca;
  std::string tls_certificate;
  std::string tls_key;
  int32_t protocol_max = 0;  // 0: the newest
  std::string log_format = "text";
  std::string log_level = "info";
};

// `listen` and `metrics_port` are the defaults.
void AddProcessOptions(CLI::App* app, ProcessOptions* options);
// Lets the option be given by the environment too.
CLI::Option* FromEnvironment(CLI::Option* option);

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;

// None: go on; else the process ends with this code, and was told why (or its help).
std::optional<int> ParseArguments(CLI::App* app, int argc, char** argv);
// Sets the log up, blocks signals and lets the process open as many files as it may.
sigset_t SetUpProcess(const ProcessOptions& options);
// Tells why the process ends; its exit code.
int Fail(const std::string& what, const Status& status);

// User errors: "bad_address", "bad_tls_files" (not all three).
Result<LinkOptions> LinkOptionsOf(const ProcessOptions& options);

}  // namespace millrace
