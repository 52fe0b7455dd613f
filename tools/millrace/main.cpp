// `millrace`: the command line. Data goes to standard output, everything else to standard error;
// exit codes: 0, 1 error, 2 usage.
#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/millrace/job_command.h"
#include "tools/millrace/run_command.h"
#include "tools/simulator/simulate_command.h"

namespace millrace {
namespace {

void AddRun(CLI::App* app, RunOptions* options) {
  app->add_option("job", options->job_file, "Job file (docs/job-file.md)")->required();
  app->add_option("--brokers", options->brokers,
                  "Kafka's bootstrap servers, HOST:PORT[,...]; over what the job file says");
  app->add_option("--data-dir", options->data_dir,
                  "Where relative paths of sinks start, and dead letters go by default")
      ->capture_default_str();
  app->add_option("--host", options->host, "Address of the operating port")->capture_default_str();
  app->add_option("--metrics-port", options->metrics_port,
                  "Port of /metrics, /healthz and /readyz; 0 takes any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app->add_option("--parallelism", options->parallelism,
                  "Tasks a window, and readers a source at most; default: the job's, else the "
                  "number of cores")
      ->check(CLI::Range(1, 720));
  app->add_option("--end-when-idle", options->end_when_idle,
                  "Treat a topic as ended, and close every window, once its end has been confirmed "
                  "for this long (3s, 500ms)");
  app->add_option("--summary", options->summary_file, "Write a JSON summary here at the end");
  app->add_option("--log-format", options->log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app->add_option("--log-level", options->log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

int Main(int argc, char** argv) {
  CLI::App app("Exactly-once stream processing for fleets of sensors", "millrace");
  app.set_version_flag("--version", std::string("millrace " MILLRACE_VERSION));
  // None is told apart below: CLI11 would tell an unknown word as a missing one.
  app.require_subcommand(0, 1);

  RunOptions run;
  std::string job_file;
  int exit_code = kExitOk;
  CLI::App* run_command =
      app.add_subcommand("run", "Run a job in this process, until it ends or is told to stop");
  AddRun(run_command, &run);
  CLI::App* lint = app.add_subcommand("lint", "Check a job file; tells every mistake at once");
  lint->add_option("job", job_file, "Job file")->required();
  CLI::App* plan =
      app.add_subcommand("plan", "Show what a job does: operators, keys, where data is exchanged");
  plan->add_option("job", job_file, "Job file")->required();
  AddSimulateCommand(app, &exit_code);

  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitOk : kExitUsage;
  }
  if (run_command->parsed()) return RunJob(run);
  if (lint->parsed()) return RunLint(job_file);
  if (plan->parsed()) return RunPlan(job_file);
  return exit_code;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
