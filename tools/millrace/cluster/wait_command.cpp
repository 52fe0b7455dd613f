#include <CLI/CLI.hpp>
#include <memory>

#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

struct WaitOptions {
  ConnectionOptions connection = PatientConnection();
  std::string job;
  std::string goal;
};

Status Wait(const WaitOptions& options) {
  ARROW_RETURN_NOT_OK(CheckJobName(options.job));
  ARROW_ASSIGN_OR_RAISE(const JobGoal goal, ParseGoal(options.goal));
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster,
                        ClusterConnection::OpenToWait(options.connection));
  ARROW_ASSIGN_OR_RAISE(const proto::JobStatus job,
                        WaitForJob(cluster.api(), options.job, goal, cluster.timeout()));
  return WriteOutput("job " + options.job + ": " + EscapeLine(job.state()) + "\n");
}

}  // namespace

void AddWaitCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command =
      app->add_subcommand("wait", "Wait until a job of a cluster is in a state");
  const auto options = std::make_shared<WaitOptions>();
  AddJobName(command, &options->job);
  command
      ->add_option("--for", options->goal,
                   "The state, or several with commas between them: waiting, preparing, deploying, "
                   "running, stopping, ending, paused, canceled, finished, failed")
      ->type_name("state=STATE")
      ->required();
  AddConnectionFlags(command, &options->connection, "How long to wait; then the exit code is 124");
  command->callback([options, exit_code] { *exit_code = Conclude(Wait(*options)); });
}

}  // namespace millrace
