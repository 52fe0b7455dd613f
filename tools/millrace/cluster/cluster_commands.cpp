#include "tools/millrace/cluster/cluster_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace millrace {
namespace {

constexpr const char* kGroup = "On a cluster";

std::vector<CLI::App*> CommandsOf(CLI::App* app) {
  return app->get_subcommands([](const CLI::App*) { return true; });
}

}  // namespace

void AddClusterCommands(CLI::App* app, int* exit_code) {
  const std::vector<CLI::App*> others = CommandsOf(app);
  AddApplyCommand(app, exit_code);
  AddGetCommand(app, exit_code);
  AddDescribeCommand(app, exit_code);
  AddLogsCommand(app, exit_code);
  AddTailCommand(app, exit_code);
  AddChangeCommands(app, exit_code);
  AddWaitCommand(app, exit_code);
  AddTopCommand(app, exit_code);
  for (CLI::App* const command : CommandsOf(app)) {
    if (std::ranges::find(others, command) == others.end()) command->group(kGroup);
  }
}

}  // namespace millrace
