#include <CLI/CLI.hpp>
#include <memory>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/job_report.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/output_form.h"

namespace millrace {
namespace {

struct DescribeOptions {
  ConnectionOptions connection;
  std::string job;
  OutputForm form = OutputForm::kTable;
};

Status Describe(const DescribeOptions& options) {
  ARROW_RETURN_NOT_OK(CheckJobName(options.job));
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::Open(options.connection));
  proto::JobDescription description;
  ARROW_RETURN_NOT_OK(cluster.api()->Get(JobPath(options.job, "/description"), &description));
  if (options.form == OutputForm::kJson) return WriteOutput(ToJson(description));
  if (options.form == OutputForm::kYaml) return WriteOutput(ToYaml(description));
  return WriteOutput(FormatJobReport(description));
}

}  // namespace

void AddDescribeCommand(CLI::App* app, int* exit_code) {
  CLI::App* const describe = app->add_subcommand(
      "describe", "How a job of a cluster is, why there is no output, and what went wrong");
  describe->require_subcommand(1);
  CLI::App* const command = describe->add_subcommand("job", "A job");
  const auto options = std::make_shared<DescribeOptions>();
  AddJobName(command, &options->job);
  AddTextOutputFlag(command, &options->form);
  AddConnectionFlags(command, &options->connection);
  command->callback([options, exit_code] { *exit_code = Conclude(Describe(*options)); });
}

}  // namespace millrace
