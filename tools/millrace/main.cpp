// `millrace`: the command line. Data goes to standard output, everything else to standard error;
// exit codes: 0, 1 error, 2 usage.
#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/millrace/functions_command.h"
#include "tools/millrace/job_command.h"
#include "tools/millrace/run_command.h"
#include "tools/millrace/state_commands.h"
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
  app->add_option("--state-dir", options->state_dir,
                  "Where checkpoints and state are kept; default: .millrace in the data folder");
  app->add_flag("--new-generation", options->new_generation,
                "Begin anew, whatever is there: rows that were written before stay, and what is "
                "read again is written again");
  app->add_option("--from-savepoint", options->savepoint,
                  "Begin a new generation from this savepoint");
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

void AddStateOptions(CLI::App* app, StateOptions* options) {
  app->add_option("job", options->job_file, "Job file")->required();
  app->add_option("--data-dir", options->data_dir, "The data folder that the job runs with")
      ->capture_default_str();
  app->add_option("--state-dir", options->state_dir,
                  "Where its state is kept; default: .millrace in the data folder");
}

// create, list, delete.
void AddSavepoint(CLI::App* app, StateOptions* options, int* exit_code) {
  CLI::App* savepoint = app->add_subcommand(
      "savepoint", "Named copies of a job's state, kept until they are deleted");
  savepoint->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, int (*run)(const StateOptions&)) {
    CLI::App* command = savepoint->add_subcommand(name, what);
    AddStateOptions(command, options);
    command->callback([=] { *exit_code = run(*options); });
    return command;
  };
  CLI::App* create =
      add("create", "Make one: of a running job, or of one that was stopped", RunSavepointCreate);
  create->add_option("name", options->savepoint, "Letters, digits, '-' and '_'")->required();
  create->add_option("--timeout", options->timeout, "How long a running job may take")
      ->capture_default_str();
  add("list", "List them", RunSavepointList);
  add("delete", "Delete one", RunSavepointDelete)
      ->add_option("name", options->savepoint, "Its name")
      ->required();
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
  StateOptions state;
  std::string plan_from;
  AddStateOptions(plan, &state);
  plan->add_option("--from", plan_from,
                   "Say what a start would keep, drop, begin empty or refuse: 'latest' (the last "
                   "checkpoint) or a savepoint's name");
  std::string functions_output = "table";
  std::string functions_prefix;
  CLI::App* functions =
      app.add_subcommand("functions", "List the operators, functions and aggregates of SQL");
  functions->add_option("prefix", functions_prefix, "Only those whose name begins so");
  functions->add_option("-o,--output", functions_output, "table or json (an object a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  RunOptions restore;
  bool accept_duplicates = false;
  CLI::App* restore_command = app.add_subcommand(
      "restore", "Run a job from an older checkpoint, in a new generation: rows may repeat");
  AddRun(restore_command, &restore);
  restore_command->add_option("--from", restore.from_epoch, "Epoch of the checkpoint")
      ->required()
      ->check(CLI::PositiveNumber);
  restore_command
      ->add_flag("--accept-duplicates", accept_duplicates,
                 "What was published after that checkpoint is published again")
      ->required();
  StateOptions savepoint;
  AddSavepoint(&app, &savepoint, &exit_code);
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
  if (functions->parsed()) return RunFunctions(functions_output, functions_prefix);
  if (restore_command->parsed()) return RunJob(restore);
  if (plan->parsed()) {
    return plan_from.empty() ? RunPlan(state.job_file) : RunPlanFrom(state, plan_from);
  }
  return exit_code;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
