#include <CLI/CLI.hpp>
#include <memory>

#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/resource_output.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

struct GetOptions {
  ConnectionOptions connection;
  OutputForm form = OutputForm::kTable;
  bool watch = false;
  std::string job;  // where the command takes one
};

template <typename Message, typename Item>
Status Get(const GetOptions& options, const std::string& path,
           const Resource<Message, Item>& resource) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection connection, ClusterConnection::Open(options.connection));
  Message message;
  if (options.watch) {
    Changes<Message, Item> changes(resource, options.form);
    return Watch(connection.api(), path, &message, [&] { return changes.Show(message); });
  }
  ARROW_RETURN_NOT_OK(connection.api()->Get(path, &message));
  return ShowAll(resource, message, options.form);
}

template <typename Run>
void AddKind(CLI::App* get, const char* kind, const char* what, bool of_a_job, int* exit_code,
             Run run) {
  CLI::App* const command = get->add_subcommand(kind, what);
  const auto options = std::make_shared<GetOptions>();
  if (of_a_job) AddJobName(command, &options->job);
  AddOutputFlag(command, &options->form);
  command->add_flag("-w,--watch", options->watch,
                    "Goes on: rows that change, once a second; measurements alone (lag, delays, "
                    "ages) are no change");
  AddConnectionFlags(command, &options->connection);
  command->callback([options, of_a_job, exit_code, run] {
    const Status name = of_a_job ? CheckJobName(options->job) : Status::OK();
    *exit_code = Conclude(name.ok() ? run(*options) : name);
  });
}

}  // namespace

void AddGetCommand(CLI::App* app, int* exit_code) {
  CLI::App* const get = app->add_subcommand("get", "Show jobs, workers or savepoints of a cluster");
  get->require_subcommand(1);
  AddKind(get, "jobs", "All jobs", false, exit_code,
          [](const GetOptions& options) { return Get(options, "/jobs", kJobs); });
  AddKind(get, "job", "One job", true, exit_code,
          [](const GetOptions& options) { return Get(options, JobPath(options.job), kJob); });
  AddKind(get, "workers", "Who runs jobs", false, exit_code,
          [](const GetOptions& options) { return Get(options, "/workers", kWorkers); });
  AddKind(get, "savepoints", "A job's savepoints", true, exit_code, [](const GetOptions& options) {
    return Get(options, JobPath(options.job, "/savepoints"), kSavepoints);
  });
}

}  // namespace millrace
