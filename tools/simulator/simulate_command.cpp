#include "tools/simulator/simulate_command.h"

#include <arrow/scalar.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "engine/env/clock.h"
#include "tools/simulator/smoke.h"

namespace millrace {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

// Set by the signal handler; lock-free, so it may be.
std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int) { stop_requested = true; }

void CatchSignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  // A second one kills.
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// What the flags say, as text where it needs reading.
struct Flags {
  SmokeOptions options;
  std::string start;
  std::string max_delay = "10m";
  std::string pane = "1m";
  std::string max_future = "5m";
  std::vector<std::string> properties;
  std::string account_file;
};

Result<EventTime> ParseStart(const std::string& text) {
  const auto type = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  std::string zoned = text;
  // Without a zone: UTC.
  if (!zoned.empty() && zoned.find('T') != std::string::npos && zoned.back() != 'Z' &&
      zoned.find('+') == std::string::npos) {
    zoned += 'Z';
  }
  const auto scalar = arrow::Scalar::Parse(type, zoned);
  if (!scalar.ok()) {
    return UserError("bad_simulation",
                     "--start '" + text + "' is no time such as 2022-06-09T00:00:00Z");
  }
  const auto& parsed = static_cast<const arrow::TimestampScalar&>(**scalar);
  return EventTime(Micros(parsed.value));
}

Status ReadProperties(const std::vector<std::string>& texts,
                      std::map<std::string, std::string>* properties) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UserError("bad_property", "-X '" + text + "' is not of the form name=value");
    }
    (*properties)[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return Status::OK();
}

Status ReadFlags(const Clock& clock, Flags* flags) {
  SmokeOptions& options = flags->options;
  ARROW_ASSIGN_OR_RAISE(options.fleet.max_delay, ParseDuration(flags->max_delay));
  ARROW_ASSIGN_OR_RAISE(options.fleet.pane, ParseDuration(flags->pane));
  ARROW_ASSIGN_OR_RAISE(options.fleet.max_future, ParseDuration(flags->max_future));
  ARROW_RETURN_NOT_OK(ReadProperties(flags->properties, &options.target.properties));
  options.fleet.start = DefaultStart(clock.Wall(), options.readings, options.fleet.devices);
  if (!flags->start.empty()) {
    ARROW_ASSIGN_OR_RAISE(options.fleet.start, ParseStart(flags->start));
  }
  // At a given rate what counts is that readings arrive promptly.
  if (options.rate > 0) options.target.linger = std::chrono::milliseconds(5);
  return CheckFleet(options.fleet);
}

void ShowProgress(int64_t readings, int64_t sent, double seconds) {
  const double rate = seconds > 0 ? double(sent) / seconds : 0;
  if (readings > 0) {
    std::fprintf(stderr, "\r\033[Ksimulate: %lld of %lld readings (%lld %%), %.0f/s",
                 static_cast<long long>(sent), static_cast<long long>(readings),
                 static_cast<long long>(sent * 100 / readings), rate);
  } else {
    std::fprintf(stderr, "\r\033[Ksimulate: %lld readings, %.0f/s", static_cast<long long>(sent),
                 rate);
  }
}

Status WriteAccount(const std::string& path, const std::string& text) {
  if (path.empty()) {
    std::cout << text << std::flush;
    return Status::OK();
  }
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return ExternalError("unwritable_path", "cannot write '" + path + "'", Retry::kNo);
  return Status::OK();
}

Status Simulate(Flags* flags, const Clock& clock) {
  SmokeOptions& options = flags->options;
  CatchSignals();
  options.stop = &stop_requested;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) {
    options.progress = [&options](int64_t sent, double seconds) {
      ShowProgress(options.readings, sent, seconds);
    };
  }
  const Result<SmokeRun> run = RunSmokeSimulator(options, clock);
  if (terminal) std::fputc('\n', stderr);
  ARROW_RETURN_NOT_OK(run.status());
  return WriteAccount(flags->account_file, FormatAccount(options, *run));
}

int Run(Flags* flags) {
  const SystemClock clock;
  Status status = ReadFlags(clock, flags);
  const bool usage = !status.ok();
  if (status.ok()) status = Simulate(flags, clock);
  if (status.ok()) return 0;
  std::cerr << "simulate: " << status.message() << "\n";
  return usage ? kExitUsage : kExitError;
}

void AddTargetFlags(CLI::App* smoke, Flags* flags) {
  TopicTarget& target = flags->options.target;
  smoke->add_option("--brokers", target.brokers, "Kafka's bootstrap servers, host:port,...")
      ->envname("MILLRACE_BROKERS")
      ->required();
  smoke->add_option("--topic", target.topic, "topic to fill")->default_val("smoke_sensor_data");
  smoke->add_flag("--create-topic", target.create,
                  "make the topic when it is missing (kept for ever)");
  smoke->add_option("--partitions", target.partitions, "partitions of a topic that is made")
      ->default_val(4)
      ->check(CLI::Range(1, 10'000));
  smoke->add_option("-X,--property", flags->properties, "librdkafka property, name=value");
  smoke->add_option("--account", flags->account_file,
                    "file for the JSON account of what was sent (default: stdout)");
}

void AddFleetFlags(CLI::App* smoke, Flags* flags) {
  SmokeOptions& options = flags->options;
  SmokeFleet& fleet = options.fleet;
  smoke->add_option("-n,--readings", options.readings, "readings to send; 0: until Ctrl-C")
      ->default_val(0)
      ->check(CLI::Range(int64_t(0), int64_t(1) << 50));
  smoke
      ->add_option("--rate", options.rate,
                   "readings a second, all devices; 0: as fast as the broker takes them")
      ->default_val(0)
      ->check(CLI::Range(0.0, 1e9));
  smoke->add_option("--devices", fleet.devices, "devices, one reading each a second of event time")
      ->default_val(fleet.devices)
      ->check(CLI::Range(1, 1'000'000));
  smoke->add_option("--seed", fleet.seed, "the same seed gives the same readings")
      ->default_val(fleet.seed);
  smoke->add_option("--start", flags->start,
                    "event time of the first readings (default: 24 h ago, or earlier so that the "
                    "run ends before now)");
  smoke->add_option("--max-delay", flags->max_delay, "the job's, for what is late")
      ->capture_default_str();
  smoke->add_option("--pane", flags->pane, "the job's: common divisor of window size and slide")
      ->capture_default_str();
  smoke->add_option("--max-future", flags->max_future, "the job's, for what is in the future")
      ->capture_default_str();
}

void AddFaultFlags(CLI::App* smoke, SmokeFleet* fleet) {
  const auto share = [&](const char* name, double* value, const char* what) {
    smoke->add_option(name, *value, what)->capture_default_str()->check(CLI::Range(0.0, 1.0));
  };
  share("--null-share", &fleet->null_share, "share of measured values that are null");
  share("--late-share", &fleet->late_share, "share of readings held back until they are late");
  share("--malformed-share", &fleet->malformed_share,
        "share of readings cut short, not JSON or with text for a number");
  share("--future-share", &fleet->future_share, "share of readings dated in the future");
  share("--duplicate-share", &fleet->duplicate_share, "share of readings sent twice");
  smoke
      ->add_option("--stuck-devices", fleet->stuck_devices,
                   "devices whose values stop changing after some minutes")
      ->capture_default_str();
  smoke
      ->add_option("--gap-devices", fleet->gap_devices,
                   "devices that are silent for some minutes of each hour")
      ->capture_default_str();
  smoke
      ->add_option("--fires-per-day", fleet->fires_per_device_day, "fire episodes a device and day")
      ->capture_default_str();
}

}  // namespace

void AddSimulateCommand(CLI::App& app, int* exit_code) {
  CLI::App* simulate = app.add_subcommand("simulate", "Send simulated sensor readings to Kafka");
  simulate->require_subcommand(1);
  CLI::App* smoke = simulate->add_subcommand("smoke", "A fleet of smoke detectors");
  const auto flags = std::make_shared<Flags>();
  AddTargetFlags(smoke, flags.get());
  AddFleetFlags(smoke, flags.get());
  AddFaultFlags(smoke, &flags->options.fleet);
  smoke->callback([flags, exit_code] { *exit_code = Run(flags.get()); });
}

}  // namespace millrace
