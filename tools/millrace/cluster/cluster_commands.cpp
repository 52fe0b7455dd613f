#include "tools/millrace/cluster/cluster_commands.h"

namespace millrace {

void AddClusterCommands(CLI::App* app, int* exit_code) {
  AddApplyCommand(app, exit_code);
  AddGetCommand(app, exit_code);
  AddDescribeCommand(app, exit_code);
  AddLogsCommand(app, exit_code);
  AddTailCommand(app, exit_code);
  AddChangeCommands(app, exit_code);
  AddWaitCommand(app, exit_code);
  AddTopCommand(app, exit_code);
}

}  // namespace millrace
