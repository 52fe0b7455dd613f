#include <CLI/CLI.hpp>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <memory>
#include <system_error>

#include "engine/base/utf8.h"
#include "proto/admin.pb.h"
#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/waiting.h"
#include "tools/millrace/exit_codes.h"

namespace millrace {
namespace {

constexpr size_t kJobFileBytesMax = size_t(1) << 20;

struct ApplyOptions {
  ConnectionOptions connection = PatientConnection();
  std::vector<std::string> files;
  bool dry_run = false;
  bool wait = false;
};

Result<std::string> ReadJobFile(const std::string& name) {
  std::ifstream file;
  if (name != "-") file.open(name, std::ios::binary);
  if (!file) {
    return UserError("unreadable_file",
                     "cannot read '" + name + "': " + std::generic_category().message(errno));
  }
  std::istream& from = name == "-" ? std::cin : file;
  std::string text(kJobFileBytesMax + 1, '\0');
  from.read(text.data(), std::streamsize(text.size()));
  if (from.bad()) return UserError("unreadable_file", "cannot read '" + name + "'");
  text.resize(size_t(from.gcount()));
  if (text.size() > kJobFileBytesMax) {
    return UserError("unreadable_file", "'" + name + "' has more than 1 MiB: it is no job file");
  }
  if (!IsUtf8(text)) return UserError("unreadable_file", "'" + name + "' is not UTF-8");
  return text;
}

std::string ShownName(const std::string& file) {
  return file == "-" ? "(standard input)" : EscapeLine(file);
}

Status Apply(ApiClient* api, const ApplyOptions& options, const std::string& file, Micros timeout) {
  proto::ApplyRequest request;
  ARROW_ASSIGN_OR_RAISE(*request.mutable_file(), ReadJobFile(file));
  request.set_file_name(ShownName(file));
  request.set_dry_run(options.dry_run);
  proto::ApplyResult result;
  ARROW_RETURN_NOT_OK(api->Post("/jobs", &request, &result));
  for (const std::string& warning : result.warnings()) Tell(warning);
  const std::string job = "job " + result.job().name() + ": ";
  if (options.dry_run) {
    return WriteOutput(EscapeLine(job + "would be " + result.action()) + "\n");
  }
  ARROW_RETURN_NOT_OK(WriteOutput(EscapeLine(job + result.action()) + "\n"));
  if (!options.wait) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(
      const proto::JobStatus status,
      WaitForJob(api, result.job().name(), {.states = {"running", "finished"}}, timeout));
  return WriteOutput(EscapeLine(job + status.state()) + "\n");
}

// Mistakes in the file are told with their places, as `lint` does: "job.yaml:3:7: error: ...".
int ConcludeFile(const std::string& file, const Status& status) {
  if (!status.message().starts_with(ShownName(file) + ":")) return Conclude(status);
  Tell(status.message());
  return ExitCodeOf(status);
}

int RunApply(const ApplyOptions& options) {
  auto cluster = ClusterConnection::OpenToWait(options.connection);
  if (!cluster.ok()) return Conclude(cluster.status());
  int exit_code = kExitOk;
  for (const std::string& file : options.files) {
    const int one = ConcludeFile(file, Apply(cluster->api(), options, file, cluster->timeout()));
    if (exit_code == kExitOk) exit_code = one;
  }
  return exit_code;
}

}  // namespace

void AddApplyCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command = app->add_subcommand(
      "apply", "Give a cluster job files: it runs new jobs, and goes on with those that it has");
  const auto options = std::make_shared<ApplyOptions>();
  command->add_option("file", options->files, "Job files; -: standard input")
      ->type_name("FILE")
      ->required();
  CLI::Option* const dry_run = command->add_flag(
      "--dry-run", options->dry_run, "Only say what is wrong with them and what would be done");
  command->add_flag("--wait", options->wait, "Until each job runs")->excludes(dry_run);
  AddConnectionFlags(command, &options->connection, "How long --wait may take");
  command->callback([options, exit_code] { *exit_code = RunApply(*options); });
}

}  // namespace millrace
