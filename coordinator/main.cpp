// `millrace-coordinator`: leads a cluster, or stands by. docs/cluster.md.
#include <arrow/compute/initialize.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <thread>

#include "coordinator/admin_api.h"
#include "coordinator/cluster_coordinator.h"
#include "coordinator/leader_label.h"
#include "engine/metrics/http_server.h"
#include "engine/metrics/log.h"
#include "engine/process/process.h"

namespace millrace {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(50);

struct CoordinatorOptions {
  ProcessOptions process;
  std::string api = "127.0.0.1:8080";
  std::string api_tokens;
  std::string api_tls_certificate;
  std::string api_tls_key;
  std::string leader_label;
};

int Fail(const Status& status) { return millrace::Fail("the coordinator ends", status); }

int Lead(const CoordinatorOptions& options, const sigset_t& signals, ClusterLog* log,
         const Clock* clock, Metrics* metrics, LoopPulse* pulse, LeaderLabel* label) {
  ClusterCoordinatorOptions cluster;
  auto link = LinkOptionsOf(options.process);
  if (!link.ok()) return Fail(link.status());
  cluster.link = *std::move(link);
  cluster.metrics = metrics;
  cluster.pulse = pulse;
  cluster.surroundings.clock = clock;
  cluster.surroundings.connectors.brokers = options.process.brokers;
  cluster.surroundings.connectors.data_dir = options.process.data_dir;
  cluster.surroundings.storage = options.process.storage;
  auto coordinator = ClusterCoordinator::Start(std::move(cluster), log);
  if (!coordinator.ok()) return Fail(coordinator.status());
  auto address = ParseLinkAddress(options.api);
  if (!address.ok()) return Fail(address.status());
  AdminApiOptions configured;
  configured.host = address->host;
  configured.port = int(address->port);
  configured.tokens = options.api_tokens;
  configured.tls_certificate = options.api_tls_certificate;
  configured.tls_key = options.api_tls_key;
  configured.cluster = options.process.cluster;
  configured.coordinator = options.process.name;
  configured.build = MILLRACE_VERSION;
  configured.storage = options.process.storage;
  auto api = AdminApi::Make(std::move(configured), coordinator->get(), clock);
  if (!api.ok()) return Fail(api.status());
  if (const Status status = (*api)->Start(); !status.ok()) return Fail(status);
  LogInfo("leads the cluster", {{"cluster", options.process.cluster},
                                {"term", log->term()},
                                {"port", int64_t((*coordinator)->port())},
                                {"api", (*api)->address()}});
  if (label != nullptr) label->Say(true);
  while (!TakeSignal(signals, kTurn)) {
    if (const auto failure = (*coordinator)->failure(); failure.has_value()) {
      return Fail(*failure);
    }
  }
  LogInfo("ends; workers go on until another coordinator leads");
  (*api)->Stop();
  return kExitOk;
}

int Run(const CoordinatorOptions& options) {
  const sigset_t signals = SetUpProcess(options.process);
  if (const Status status = arrow::compute::Initialize(); !status.ok()) return Fail(status);
  const SystemClock clock;
  Metrics metrics;
  metrics.SetBuildInfo(MILLRACE_VERSION);
  LoopPulse pulse("the thread that decides", &clock);
  HttpServer server(
      {options.process.host, options.process.metrics_port}, &metrics,
      [] { return std::vector<std::string>(); }, [&pulse] { return pulse.Reasons(); });
  if (const Status status = server.Start(); !status.ok()) return Fail(status);
  LogInfo("coordinator is up",
          {{"name", options.process.name}, {"metrics", server.address() + "/metrics"}});
  std::unique_ptr<LeaderLabel> label;
  if (!options.leader_label.empty()) {
    auto pod = LeaderLabelInPod(options.leader_label, options.process.name);
    if (!pod.ok()) return Fail(pod.status());
    label = std::make_unique<LeaderLabel>(*std::move(pod));
    label->Say(false);
  }
  std::atomic<bool> stopping{false};
  std::atomic<bool> decided{false};
  Result<std::unique_ptr<ClusterLog>> log = Status::Cancelled("not yet");
  std::jthread standing_by([&] {
    log = ClusterLog::Lead(options.process.storage, options.process.name, &clock, stopping);
    decided = true;
  });
  while (!decided) {
    if (TakeSignal(signals, kTurn)) stopping = true;
  }
  standing_by.join();
  if (stopping) return kExitOk;
  if (!log.ok()) return Fail(log.status());
  return Lead(options, signals, log->get(), &clock, &metrics, &pulse, label.get());
}

int Main(int argc, char** argv) {
  CLI::App app("The coordinator of a Millrace cluster: leads it, or stands by",
               "millrace-coordinator");
  app.set_version_flag("--version", std::string("millrace-coordinator " MILLRACE_VERSION));
  CoordinatorOptions options;
  options.process.listen = "127.0.0.1:7070";
  options.process.metrics_port = 9090;
  AddProcessOptions(&app, &options.process);
  FromEnvironment(app.add_option("--api", options.api, "HOST:PORT of the admin API"))
      ->capture_default_str();
  FromEnvironment(app.add_option("--api-tokens", options.api_tokens,
                                 "File of who may use the admin API: lines NAME ROLE TOKEN, of "
                                 "the roles viewer and operator; default: anyone, on loopback"));
  FromEnvironment(app.add_option("--api-tls-cert", options.api_tls_certificate,
                                 "PEM file of the admin API's certificate"));
  FromEnvironment(
      app.add_option("--api-tls-key", options.api_tls_key, "PEM file of its private key"));
  FromEnvironment(app.add_option("--leader-label", options.leader_label,
                                 "In Kubernetes: a label of this node's pod, which has its name, "
                                 "that says true while it leads, else false"));
  if (const auto code = ParseArguments(&app, argc, argv); code.has_value()) return *code;
  return Run(options);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
