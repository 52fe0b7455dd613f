// The commands that speak to a cluster's admin API, for the program `millrace`: docs/cli.md.
//
// Each function adds a command to `app`. When it is chosen, it runs while the command line is
// parsed, and sets *exit_code (exit_codes.h), which outlives that.
#pragma once

namespace CLI {
class App;
}

namespace millrace {

// apply, get, describe, logs, tail, pause, resume, cancel, delete, rescale, wait, top.
void AddClusterCommands(CLI::App* app, int* exit_code);

// What that consists of.
void AddApplyCommand(CLI::App* app, int* exit_code);
void AddGetCommand(CLI::App* app, int* exit_code);
void AddDescribeCommand(CLI::App* app, int* exit_code);
void AddLogsCommand(CLI::App* app, int* exit_code);
void AddTailCommand(CLI::App* app, int* exit_code);
void AddChangeCommands(CLI::App* app, int* exit_code);  // pause, resume, cancel, delete, rescale
void AddWaitCommand(CLI::App* app, int* exit_code);
void AddTopCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
