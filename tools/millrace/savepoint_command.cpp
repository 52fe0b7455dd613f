#include "tools/millrace/savepoint_command.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/savepoint_commands.h"
#include "tools/millrace/exit_codes.h"
#include "tools/millrace/run_command.h"
#include "tools/millrace/state_commands.h"

namespace millrace {
namespace {

std::vector<const CLI::Option*> OptionsOf(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

// A command for both kinds of JOB, and which flags are for one of them alone. The environment is no
// flag: MILLRACE_SERVER may be set for other commands.
struct Flags {
  std::vector<const CLI::Option*> of_files;
  std::vector<const CLI::Option*> of_clusters;
};

// User error "usage": a flag is given that makes no sense for this JOB.
Status CheckFlags(const std::string& job, const Flags& flags) {
  const bool is_file = IsJobFile(job);
  for (const CLI::Option* const option : is_file ? flags.of_clusters : flags.of_files) {
    if (option->count() == 0) continue;
    return UserError("usage",
                     option->get_name() +
                         (is_file ? " is about a cluster, and '" + job +
                                        "' is a file, whose job runs in a process of its own: on a "
                                        "cluster, a job is named by the metadata.name of its file"
                                  : " is about a job file, and '" + job +
                                        "' is the name of a job on a cluster: a file's name has a "
                                        "dot or a slash (./" +
                                        job + ")"));
  }
  return Status::OK();
}

// Where a name was meant to be a file.
int ConcludeJob(const std::string& job, int exit_code) {
  std::error_code error;
  if (exit_code != kExitOk && !IsJobFile(job) && std::filesystem::is_regular_file(job, error)) {
    Tell("'" + job + "' is the name of a job on a cluster; the file of that name here is ./" + job);
  }
  return exit_code;
}

void AddJob(CLI::App* command, std::string* job) {
  command
      ->add_option(
          "job", *job,
          "A job file (it has a dot or a slash), for a job that `run` runs; or the name of "
          "a job on a cluster")
      ->type_name("JOB|FILE")
      ->required();
}

// ---- savepoint

struct SavepointOptions {
  StateOptions state;  // of a job file; also the savepoint's name
  ConnectionOptions connection = PatientConnection();
  OutputForm form = OutputForm::kTable;
  bool no_wait = false;
};

using RunSavepoint = int (*)(const SavepointOptions&);

int Create(const SavepointOptions& options) {
  const StateOptions& state = options.state;
  if (!IsJobFile(state.job_file)) {
    return CreateClusterSavepoint(options.connection, state.job_file, state.savepoint,
                                  !options.no_wait);
  }
  StateOptions local = state;
  local.timeout = options.connection.timeout;
  return RunSavepointCreate(local);
}

int List(const SavepointOptions& options) {
  if (IsJobFile(options.state.job_file)) return RunSavepointList(options.state);
  return ListClusterSavepoints(options.connection, options.state.job_file, options.form);
}

int Delete(const SavepointOptions& options) {
  const StateOptions& state = options.state;
  if (IsJobFile(state.job_file)) return RunSavepointDelete(state);
  return DeleteClusterSavepoint(options.connection, state.job_file, state.savepoint);
}

// ---- restore

struct RestoreOptions {
  RunOptions run;  // of a job file; also where from
  ConnectionOptions connection = PatientConnection();
  bool accept_duplicates = false;
  bool wait = false;
};

Status CheckRestore(const RestoreOptions& options) {
  const bool from_epoch = options.run.from_epoch > 0;
  if (from_epoch == !options.run.savepoint.empty()) {
    return UserError("usage", "either --from-savepoint NAME, or --from EPOCH --accept-duplicates");
  }
  if (from_epoch && !options.accept_duplicates) {
    return UserError("usage",
                     "what was published after that checkpoint is published again: "
                     "--accept-duplicates says that this is meant");
  }
  return Status::OK();
}

int Restore(const RestoreOptions& options) {
  if (IsJobFile(options.run.job_file)) return RunJob(options.run);
  ClusterRestore restore;
  restore.job = options.run.job_file;
  restore.savepoint = options.run.savepoint;
  restore.epoch = options.run.from_epoch;
  restore.accept_duplicates = options.accept_duplicates;
  restore.wait = options.wait;
  return RestoreOnCluster(options.connection, restore);
}

}  // namespace

void AddSavepointCommand(CLI::App* app, int* exit_code) {
  CLI::App* const savepoint = app->add_subcommand(
      "savepoint", "Named copies of a job's state, kept until they are deleted");
  savepoint->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, const char* timeout, RunSavepoint run,
                       const auto& add_others) {
    CLI::App* const command = savepoint->add_subcommand(name, what);
    const auto options = std::make_shared<SavepointOptions>();
    AddJob(command, &options->state.job_file);
    AddStateFlags(command, &options->state);
    Flags flags;
    flags.of_files = OptionsOf(*command);
    std::erase(flags.of_files, command->get_help_ptr());
    AddConnectionFlags(command, &options->connection, timeout);
    for (const char* const flag : {"--server", "--token-file", "--ca"}) {
      flags.of_clusters.push_back(command->get_option(flag));
    }
    add_others(command, options.get(), &flags);
    command->callback([options, flags, run, exit_code] {
      const Status status = CheckFlags(options->state.job_file, flags);
      const std::string& job = options->state.job_file;
      *exit_code = ConcludeJob(job, status.ok() ? run(*options) : Conclude(status));
    });
  };
  const auto add_name = [](CLI::App* command, SavepointOptions* options, const char* type) {
    command->add_option("name", options->state.savepoint, "Letters, digits, '-' and '_'")
        ->type_name(type)
        ->required();
  };
  add("create", "Make one: of a running job, or of one that was stopped",
      "How long a running job may take", Create,
      [&](CLI::App* command, SavepointOptions* options, Flags* flags) {
        add_name(command, options, "NAME");
        flags->of_clusters.push_back(command->add_flag("--no-wait", options->no_wait,
                                                       "On a cluster: ends once it has begun"));
      });
  add("list", "List them", "On a cluster: how long a request may take", List,
      [](CLI::App* command, SavepointOptions* options, Flags* flags) {
        AddOutputFlag(command, &options->form);
        flags->of_clusters.push_back(command->get_option("--output"));
      });
  add("delete", "Delete one", "On a cluster: how long a request may take", Delete,
      [&](CLI::App* command, SavepointOptions* options, Flags*) {
        add_name(command, options, "SAVEPOINT");
      });
}

void AddRestoreCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command = app->add_subcommand(
      "restore", "Let a job go on from a savepoint or an older checkpoint, in a new generation");
  const auto options = std::make_shared<RestoreOptions>();
  AddJob(command, &options->run.job_file);
  AddRunFlags(command, &options->run);
  Flags flags;
  flags.of_files = OptionsOf(*command);
  std::erase(flags.of_files, command->get_help_ptr());
  std::erase(flags.of_files, command->get_option("--from-savepoint"));
  command->add_option("--from", options->run.from_epoch, "Epoch of the checkpoint")
      ->type_name("EPOCH")
      ->check(CLI::PositiveNumber);
  command->add_flag("--accept-duplicates", options->accept_duplicates,
                    "What was published after that checkpoint is published again");
  flags.of_clusters.push_back(
      command->add_flag("--wait", options->wait, "On a cluster: until the job runs"));
  AddConnectionFlags(command, &options->connection, "On a cluster: how long --wait may take");
  for (const char* const flag : {"--server", "--token-file", "--ca", "--timeout"}) {
    flags.of_clusters.push_back(command->get_option(flag));
  }
  command->callback([options, flags, exit_code] {
    Status status = CheckFlags(options->run.job_file, flags);
    if (status.ok()) status = CheckRestore(*options);
    const std::string& job = options->run.job_file;
    *exit_code = ConcludeJob(job, status.ok() ? Restore(*options) : Conclude(status));
  });
}

}  // namespace millrace
