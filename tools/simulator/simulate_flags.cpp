#include "tools/simulator/simulate_flags.h"

#include <arrow/scalar.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>

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

}  // namespace

void AddTargetFlags(CLI::App* command, TopicTarget* target, CommonFlags* flags) {
  command->add_option("--brokers", target->brokers, "Kafka's bootstrap servers, host:port,...")
      ->envname("MILLRACE_BROKERS")
      ->required();
  command->add_flag("--create-topic", target->create,
                    "make the topic when it is missing (kept for ever)");
  command->add_option("--partitions", target->partitions, "partitions of a topic that is made")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  command->add_option("-X,--property", flags->properties, "librdkafka property, name=value");
  command->add_option("--account", flags->account_file,
                      "file for the JSON account of what was sent (default: stdout)");
}

void AddSendFlags(CLI::App* command, SendOptions* options) {
  command->add_option("-n,--readings", options->readings, "readings to send; 0: until Ctrl-C")
      ->default_val(0)
      ->check(CLI::Range(int64_t(0), int64_t(1) << 50));
  command
      ->add_option("--rate", options->rate,
                   "readings a second, all devices; 0: as fast as the broker takes them")
      ->default_val(0)
      ->check(CLI::Range(0.0, 1e9));
}

void AddTimeFlags(CLI::App* command, const EventTimeFlags& defaults, uint64_t* seed,
                  CommonFlags* flags) {
  flags->max_delay = FormatDuration(defaults.max_delay);
  flags->pane = FormatDuration(defaults.pane);
  flags->max_future = FormatDuration(defaults.max_future);
  command->add_option("--seed", *seed, "the same seed gives the same readings")->default_val(*seed);
  command->add_option("--start", flags->start,
                      "event time of the first readings (default: 24 h ago, or earlier so that "
                      "the run ends before now)");
  command->add_option("--max-delay", flags->max_delay, "the job's, for what is late")
      ->capture_default_str();
  command->add_option("--pane", flags->pane, "the job's: common divisor of window size and slide")
      ->capture_default_str();
  command->add_option("--max-future", flags->max_future, "the job's, for what is in the future")
      ->capture_default_str();
}

void AddShareFlags(CLI::App* command, const FaultShares& shares) {
  const auto share = [&](const char* name, double* value, const char* what) {
    command->add_option(name, *value, what)->capture_default_str()->check(CLI::Range(0.0, 1.0));
  };
  share("--null-share", shares.nulls, "share of measured values that are null");
  share("--late-share", shares.late, "share of readings held back until they are late");
  share("--malformed-share", shares.malformed,
        "share of readings cut short, not JSON or with text for a number");
  share("--future-share", shares.future, "share of readings dated in the future");
  share("--duplicate-share", shares.duplicates, "share of readings sent twice");
}

Result<EventTimeFlags> ReadCommonFlags(const CommonFlags& flags, SendOptions* options) {
  EventTimeFlags times;
  ARROW_ASSIGN_OR_RAISE(times.max_delay, ParseDuration(flags.max_delay));
  ARROW_ASSIGN_OR_RAISE(times.pane, ParseDuration(flags.pane));
  ARROW_ASSIGN_OR_RAISE(times.max_future, ParseDuration(flags.max_future));
  ARROW_RETURN_NOT_OK(ReadProperties(flags.properties, &options->target.properties));
  // At a given rate what counts is that readings arrive promptly.
  if (options->rate > 0) options->target.linger = std::chrono::milliseconds(5);
  return times;
}

Result<EventTime> ReadStart(const CommonFlags& flags, EventTime now, Micros covered) {
  if (!flags.start.empty()) return ParseStart(flags.start);
  return DefaultStart(now, covered);
}

Status RunAndAccount(SendOptions* options, const CommonFlags& flags,
                     const std::function<Result<std::string>()>& simulate) {
  CatchSignals();
  options->stop = &stop_requested;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) {
    options->progress = [options](int64_t sent, double seconds) {
      ShowProgress(options->readings, sent, seconds);
    };
  }
  const Result<std::string> account = simulate();
  if (terminal) std::fputc('\n', stderr);
  ARROW_RETURN_NOT_OK(account.status());
  return WriteAccount(flags.account_file, *account);
}

int RunCommand(const std::function<Status(const Clock&)>& read,
               const std::function<Status(const Clock&)>& simulate) {
  const SystemClock clock;
  Status status = read(clock);
  const bool usage = !status.ok();
  if (status.ok()) status = simulate(clock);
  if (status.ok()) return 0;
  std::cerr << "simulate: " << status.message() << "\n";
  return usage ? kExitUsage : kExitError;
}

}  // namespace millrace
