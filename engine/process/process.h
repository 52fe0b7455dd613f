// What the programs of a cluster share: flags, signals, logging. Each flag may also be given as
// MILLRACE_<FLAG>, in upper case and with _ for -.
#pragma once

#include <signal.h>

#include <chrono>
#include <string>

#include "engine/base/status.h"
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

// Sets the log up; SIGINT and SIGTERM are taken with TakeSignal alone from now on.
sigset_t SetUpProcess(const ProcessOptions& options);
// Whether one came within `timeout`.
bool TakeSignal(const sigset_t& signals, std::chrono::milliseconds timeout);

// User errors: "bad_address", "bad_tls_files" (not all three).
Result<LinkOptions> LinkOptionsOf(const ProcessOptions& options);

}  // namespace millrace
