// `millrace-worker`: a worker of a cluster. docs/cluster.md.
#include <arrow/compute/initialize.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "engine/metrics/http_server.h"
#include "engine/metrics/log.h"
#include "engine/process/process.h"
#include "worker/cluster_worker.h"

namespace millrace {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(100);

struct WorkerOptions {
  ProcessOptions process;
  std::string coordinators;
  std::string advertise;
  std::string local_dir = ".millrace-worker";
  int32_t slots = std::max(1, int(std::thread::hardware_concurrency()));
  int64_t leave_timeout_seconds = 30;
};

int Fail(const Status& status) { return millrace::Fail("the worker ends", status); }

Result<ClusterWorkerOptions> Configure(const WorkerOptions& options, const Clock* clock,
                                       Metrics* metrics) {
  ClusterWorkerOptions worker;
  ARROW_ASSIGN_OR_RAISE(worker.link, LinkOptionsOf(options.process));
  std::istringstream list(options.coordinators);
  for (std::string one; std::getline(list, one, ',');) {
    ARROW_ASSIGN_OR_RAISE(LinkAddress address, ParseLinkAddress(one));
    worker.coordinators.push_back(std::move(address));
  }
  worker.offer.set_slots(options.slots);
  worker.offer.set_build(MILLRACE_VERSION);
  worker.offer.set_exchange_address(options.advertise.empty() ? options.process.listen
                                                              : options.advertise);
  AttemptSurroundings& surroundings = worker.surroundings;
  surroundings.worker = options.process.name;
  surroundings.clock = clock;
  surroundings.metrics = metrics;
  surroundings.connectors.brokers = options.process.brokers;
  surroundings.connectors.data_dir = options.process.data_dir;
  surroundings.connectors.screen = StandardOutputScreen();
  surroundings.storage = options.process.storage;
  surroundings.local_folder = options.local_dir;
  std::error_code error;
  std::filesystem::create_directories(options.local_dir, error);
  if (error) {
    return UserError("unwritable_path",
                     "cannot make the folder '" + options.local_dir + "': " + error.message());
  }
  return worker;
}

// Where people find the operating port: one that listens on every address of its machine is where
// other workers reach it.
Result<std::string> MetricsAddress(const WorkerOptions& options, int port) {
  std::string host = options.process.host;
  if (host == "0.0.0.0" || host == "::") {
    ARROW_ASSIGN_OR_RAISE(
        const LinkAddress reached,
        ParseLinkAddress(options.advertise.empty() ? options.process.listen : options.advertise));
    host = reached.host;
  }
  return LinkAddress{host, uint16_t(port)}.ToString();
}

int Run(const WorkerOptions& options) {
  const sigset_t signals = SetUpProcess(options.process);
  if (const Status status = arrow::compute::Initialize(); !status.ok()) return Fail(status);
  const SystemClock clock;
  Metrics metrics;
  metrics.SetBuildInfo(MILLRACE_VERSION);
  auto configured = Configure(options, &clock, &metrics);
  if (!configured.ok()) return Fail(configured.status());
  LoopPulse pulse("the thread that decides", &clock);
  configured->pulse = &pulse;
  std::unique_ptr<ClusterWorker> worker;
  std::atomic<const ClusterWorker*> started{nullptr};
  // It ends before the worker, and begins before it: the worker tells where it is.
  HttpServer server(
      {options.process.host, options.process.metrics_port}, &metrics,
      [&started]() -> std::vector<std::string> {
        const ClusterWorker* const of = started;
        if (of != nullptr && of->registered()) return {};
        return {"no coordinator knows this worker"};
      },
      [&pulse] { return pulse.Reasons(); });
  if (const Status status = server.Start(); !status.ok()) return Fail(status);
  const auto reached = MetricsAddress(options, server.port());
  if (!reached.ok()) return Fail(reached.status());
  configured->offer.set_metrics_address(*reached);
  auto begun = ClusterWorker::Start(*std::move(configured));
  if (!begun.ok()) return Fail(begun.status());
  worker = *std::move(begun);
  started = worker.get();
  LogInfo("worker is up", {{"name", options.process.name},
                           {"port", int64_t(worker->port())},
                           {"metrics", server.address() + "/metrics"}});
  while (!TakeSignal(signals, kTurn)) continue;
  LogInfo("leaving: the coordinator takes what runs here; a second signal ends the worker at once");
  worker->RequestLeave();
  const MonotonicTime asked = clock.Monotonic();
  while (clock.Monotonic() - asked < std::chrono::seconds(options.leave_timeout_seconds)) {
    if (worker->MayLeaveWithin(kTurn)) {
      LogInfo("left");
      break;
    }
    if (TakeSignal(signals, std::chrono::milliseconds(0))) _exit(130);
  }
  server.Stop();
  return kExitOk;
}

int Main(int argc, char** argv) {
  CLI::App app("A worker of a Millrace cluster", "millrace-worker");
  app.set_version_flag("--version", std::string("millrace-worker " MILLRACE_VERSION));
  WorkerOptions options;
  options.process.listen = "127.0.0.1:7071";
  options.process.metrics_port = 9091;
  AddProcessOptions(&app, &options.process);
  FromEnvironment(
      app.add_option("--coordinator", options.coordinators, "HOST:PORT[,...] of the coordinators"))
      ->required();
  FromEnvironment(app.add_option("--advertise", options.advertise,
                                 "HOST:PORT where other workers reach it; default: --listen"));
  FromEnvironment(app.add_option("--local-dir", options.local_dir,
                                 "Folder of RocksDB's working files, this worker's own"))
      ->capture_default_str();
  FromEnvironment(app.add_option("--slots", options.slots,
                                 "Tasks of each keyed node that it takes, as a measure of its "
                                 "size; default: its cores"))
      ->check(CLI::Range(1, 720))
      ->capture_default_str();
  FromEnvironment(app.add_option("--leave-timeout", options.leave_timeout_seconds,
                                 "Seconds that a worker waits for its work to be taken when it is "
                                 "told to end"))
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  if (const auto code = ParseArguments(&app, argc, argv); code.has_value()) return *code;
  return Run(options);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
