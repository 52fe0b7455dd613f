#include "tools/millrace/run_command.h"

#include <arrow/compute/initialize.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "engine/env/file_limit.h"
#include "engine/env/signals.h"
#include "engine/metrics/http_server.h"
#include "engine/metrics/log.h"
#include "tools/millrace/embedded_job.h"
#include "tools/millrace/job_command.h"
#include "tools/millrace/progress.h"
#include "tools/millrace/run_summary.h"
#include "tools/millrace/state_commands.h"

namespace millrace {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);
// An orderly stop has this long; what is not published by then is published by the next start.
constexpr auto kStopTimeout = std::chrono::milliseconds(4500);
// While it starts, nothing is there to be delivered: only what blocks in a client is waited for.
constexpr auto kStopStartingTimeout = std::chrono::milliseconds(200);

std::string RandomId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 8; ++i) id += "0123456789abcdef"[device() % 16];
  return id;
}

// Starting may wait for a broker: a thread of its own, so that signals are answered meanwhile.
class Starting {
 public:
  Starting(EmbeddedJob* job, const std::atomic<bool>* stopping)
      : thread_([this, job, stopping] {
          status_ = job->Start(stopping);
          done_ = true;
        }) {}
  ~Starting() { thread_.join(); }
  bool done() const { return done_; }
  const Status& status() const { return status_; }

 private:
  Status status_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

int Fail(const Status& status) {
  LogStatus(LogLevel::kError, "the job failed", status);
  return kExitError;
}

class Run {
 public:
  Run(const RunOptions& options, const CheckedJob& job, EmbeddedJobOptions job_options,
      const sigset_t& signals)
      : options_(options),
        signals_(signals),
        job_options_(std::move(job_options)),
        job_(job.spec, job.plan, WithStopping(), &clock_, &metrics_),
        server_({options.host, options.metrics_port}, &metrics_, [this] { return NotReady(); }),
        plan_(job.plan) {}

  int Execute() {
    started_ = clock_.Monotonic();
    if (const Status status = server_.Start(); !status.ok()) return Fail(status);
    metrics_.SetBuildInfo(MILLRACE_VERSION);
    LogInfo("operating port is open", {{"metrics", server_.address() + "/metrics"}});
    {
      MonotonicTime asked_at{0};
      Starting starting(&job_, &stopping_);
      while (!starting.done()) {
        if (TakeSignal(signals_, std::chrono::milliseconds(5)) && !stopping_) {
          LogInfo("stopping before the job runs");
          stopping_ = true;
          asked_at = clock_.Monotonic();
        }
        if (stopping_ && clock_.Monotonic() - asked_at > kStopStartingTimeout) _exit(kExitOk);
      }
      if (!starting.status().ok()) {
        return stopping_ ? kExitOk : Fail(starting.status());
      }
    }
    if (job_.already_finished()) {
      LogInfo(
          "the job has finished: every window was closed and everything is published; to run it "
          "again from the start: --new-generation",
          {{"job", plan_.job}});
      server_.Stop();
      return Conclude(/*orderly=*/true);
    }
    for (const std::string& line : job_.Describe()) LogInfo("writes to", {{"target", line}});
    LogInfo("running", {{"job", plan_.job}});
    const bool orderly = Watch();
    job_.UpdateMetrics();
    server_.Stop();
    return Conclude(orderly);
  }

 private:
  EmbeddedJobOptions WithStopping() {
    EmbeddedJobOptions job_options = job_options_;
    job_options.connectors.stopping = &giving_up_;
    return job_options;
  }

  std::vector<std::string> NotReady() const {
    if (!job_.running()) return {"the job is starting"};
    return {};
  }

  // Until the job has ended; false when it did not end in time after a signal.
  bool Watch() {
    Progress progress(job_.bounded() || job_options_.end_when_idle.has_value());
    bool asked = stopping_;  // while it started
    MonotonicTime asked_at = clock_.Monotonic();
    MonotonicTime updated{0};
    if (asked) job_.RequestStop();
    while (!job_.WaitFor(std::chrono::milliseconds(0))) {
      if (TakeSignal(signals_, kPoll)) {
        if (asked) _exit(130);
        LogInfo("stopping: one more checkpoint; a second signal ends the process at once");
        asked = true;
        asked_at = clock_.Monotonic();
        job_.RequestStop();
      }
      job_.PollRequests();
      const MonotonicTime now = clock_.Monotonic();
      if (asked && now - asked_at > kStopTimeout) return false;
      if (now - updated < std::chrono::milliseconds(500)) continue;
      updated = now;
      job_.UpdateMetrics();
      progress.Show(*job_.account(), now - started_);
    }
    progress.Clear();
    return true;
  }

  int Conclude(bool orderly) {
    giving_up_ = true;
    if (!orderly) {
      LogError(
          "stopped before everything was published: the next start goes on from the last "
          "checkpoint");
      // A thread may be blocked in a client; there is nothing left to save.
      std::cout.flush();
      _exit(kExitError);
    }
    const Status status = job_.status();
    const RunSummary summary =
        Summarize(plan_, *job_.account(), job_.figures(), status, clock_.Monotonic() - started_);
    if (!options_.summary_file.empty()) {
      if (const Status written = WriteSummary(summary, options_.summary_file); !written.ok()) {
        return Fail(written);
      }
    }
    std::cout.flush();
    std::cerr << FormatSummary(summary, isatty(STDERR_FILENO) != 0);
    if (!status.ok()) return Fail(status);
    if (!summary.balanced) {
      LogError("the account differs: readings were lost or counted twice; this is a defect");
      return kExitError;
    }
    return kExitOk;
  }

  const RunOptions& options_;
  const sigset_t& signals_;
  EmbeddedJobOptions job_options_;
  SystemClock clock_;
  Metrics metrics_;
  std::atomic<bool> stopping_{false};   // before the job runs
  std::atomic<bool> giving_up_{false};  // blocked writes end
  EmbeddedJob job_;
  HttpServer server_;
  const JobPlan& plan_;
  MonotonicTime started_{0};
};

}  // namespace

int RunJob(const RunOptions& options) {
  const sigset_t signals = BlockSignals();
  RaiseFileLimit();
  const auto format = LogFormatFromName(options.log_format);
  const auto level = LogLevelFromName(options.log_level);
  SetUpLogging(format.value_or(LogFormat::kText), level.value_or(LogLevel::kInfo));

  const auto job = CheckJob(options.job_file);
  if (job == nullptr) return kExitError;
  if (const arrow::Status status = arrow::compute::Initialize(); !status.ok()) return Fail(status);

  EmbeddedJobOptions job_options;
  job_options.connectors.brokers = options.brokers;
  job_options.connectors.data_dir = options.data_dir;
  job_options.connectors.run_id = RandomId();
  job_options.state_dir =
      options.state_dir.empty() ? options.data_dir + "/.millrace" : options.state_dir;
  job_options.new_generation = options.new_generation;
  if (!options.savepoint.empty()) job_options.savepoint = options.savepoint;
  if (options.from_epoch > 0) job_options.from = Epoch(options.from_epoch);
  job_options.connectors.screen = StandardOutputScreen();
  job_options.parallelism = options.parallelism.value_or(
      job->spec.parallelism.value_or(int32_t(std::max(1u, std::thread::hardware_concurrency()))));
  if (!options.end_when_idle.empty()) {
    const auto idle = ParseDuration(options.end_when_idle);
    if (!idle.ok()) {
      std::cerr << "--end-when-idle: " << idle.status().message() << "\n";
      return kExitUsage;
    }
    job_options.end_when_idle = *idle;
  }
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) {
    return Fail(UserError("unwritable_path", "cannot make the data folder '" + options.data_dir +
                                                 "': " + error.message()));
  }
  return Run(options, *job, std::move(job_options), signals).Execute();
}

void AddRunFlags(CLI::App* command, RunOptions* options) {
  command->add_option("--brokers", options->brokers,
                      "Kafka's bootstrap servers, HOST:PORT[,...]; over what the job file says");
  command
      ->add_option("--data-dir", options->data_dir,
                   "Where relative paths of sinks start, and dead letters go by default")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--state-dir", options->state_dir,
                   "Where checkpoints and state are kept; default: .millrace in the data folder")
      ->type_name("DIR");
  command->add_flag("--new-generation", options->new_generation,
                    "Begin anew, whatever is there: rows that were written before stay, and what "
                    "is read again is written again");
  command
      ->add_option("--from-savepoint", options->savepoint,
                   "Begin a new generation from this savepoint")
      ->type_name("SAVEPOINT");
  command->add_option("--host", options->host, "Address of the operating port")
      ->capture_default_str();
  command
      ->add_option("--metrics-port", options->metrics_port,
                   "Port of /metrics, /healthz and /readyz; 0 takes any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      ->add_option("--parallelism", options->parallelism,
                   "Tasks a window, and readers a source at most; default: the job's, else the "
                   "number of cores")
      ->check(CLI::Range(1, 720));
  command->add_option(
      "--end-when-idle", options->end_when_idle,
      "Treat a topic as ended, and close every window, once its end has been confirmed "
      "for this long (3s, 500ms)");
  command->add_option("--summary", options->summary_file, "Write a JSON summary here at the end")
      ->type_name("FILE");
  command->add_option("--log-format", options->log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->add_option("--log-level", options->log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

void AddRunCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command =
      app->add_subcommand("run", "Run a job in this process, until it ends or is told to stop");
  const auto options = std::make_shared<RunOptions>();
  command->add_option("job", options->job_file, "Job file (docs/job-file.md)")
      ->type_name("FILE")
      ->required();
  AddRunFlags(command, options.get());
  command->callback([options, exit_code] { *exit_code = RunJob(*options); });
}

}  // namespace millrace
