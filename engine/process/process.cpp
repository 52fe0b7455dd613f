#include "engine/process/process.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "engine/env/file_limit.h"
#include "engine/metrics/log.h"
#include "engine/wire/protocol.h"

namespace millrace {
namespace {

std::string HostName() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return host;
}

}  // namespace

CLI::Option* FromEnvironment(CLI::Option* option) {
  std::string name = "MILLRACE_" + option->get_name().substr(2);
  std::ranges::transform(name, name.begin(), [](unsigned char letter) {
    return letter == '-' ? '_' : char(std::toupper(letter));
  });
  return option->envname(name);
}

void AddProcessOptions(CLI::App* app, ProcessOptions* options) {
  options->name = HostName();
  const auto add = [&](const char* name, auto* value, const char* what) {
    return FromEnvironment(app->add_option(name, *value, what))->capture_default_str();
  };
  add("--cluster", &options->cluster, "The cluster's name: nodes of others are refused");
  add("--name", &options->name, "This node's name, its own in the cluster");
  add("--listen", &options->listen, "HOST:PORT where other nodes connect; port 0: any free one");
  add("--storage", &options->storage,
      "Folder of checkpoints, logs and the catalog: the same for all nodes")
      ->required();
  add("--data-dir", &options->data_dir, "Where relative paths of sinks start");
  add("--brokers", &options->brokers,
      "Kafka's bootstrap servers, HOST:PORT[,...]; over what job files say");
  add("--host", &options->host, "Address of the operating port");
  add("--metrics-port", &options->metrics_port,
      "Port of /metrics, /healthz and /readyz; 0: any free one")
      ->check(CLI::Range(0, 65535));
  add("--tls-ca", &options->tls_ca, "Certificates that sign the nodes' (PEM)");
  add("--tls-cert", &options->tls_certificate, "This node's certificate (PEM)");
  add("--tls-key", &options->tls_key, "Its key (PEM)");
  add("--protocol-max", &options->protocol_max,
      "The newest protocol to speak, while a cluster is upgraded; 0: this build's")
      ->check(CLI::Range(0, 1000));
  add("--log-format", &options->log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  add("--log-level", &options->log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
}

std::optional<int> ParseArguments(CLI::App* app, int argc, char** argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app->exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return std::nullopt;
}

sigset_t SetUpProcess(const ProcessOptions& options) {
  const sigset_t signals = BlockSignals();
  RaiseFileLimit();
  SetUpLogging(LogFormatFromName(options.log_format).value_or(LogFormat::kText),
               LogLevelFromName(options.log_level).value_or(LogLevel::kInfo));
  return signals;
}

int Fail(const std::string& what, const Status& status) {
  LogStatus(LogLevel::kError, what, status);
  return kExitError;
}

Result<LinkOptions> LinkOptionsOf(const ProcessOptions& options) {
  LinkOptions link;
  link.self.cluster = options.cluster;
  link.self.node = options.name;
  ARROW_ASSIGN_OR_RAISE(link.listen, ParseLinkAddress(options.listen));
  link.self.protocol_min = kProtocolMin;
  if (options.protocol_max > kProtocolMax) {
    return UserError("bad_protocol", "--protocol-max is " + std::to_string(options.protocol_max) +
                                         ", but this build speaks " + std::to_string(kProtocolMin) +
                                         " to " + std::to_string(kProtocolMax));
  }
  link.self.protocol_max = options.protocol_max > 0 ? options.protocol_max : kProtocolMax;
  const int given = int(!options.tls_ca.empty()) + int(!options.tls_certificate.empty()) +
                    int(!options.tls_key.empty());
  if (given == 0) return link;
  if (given != 3) {
    return UserError("bad_tls_files", "--tls-ca, --tls-cert and --tls-key go together");
  }
  LinkTlsFiles files;
  files.ca = options.tls_ca;
  files.certificate = options.tls_certificate;
  files.key = options.tls_key;
  link.tls = files;
  return link;
}

}  // namespace millrace
