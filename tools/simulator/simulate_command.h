// The command `simulate` of the millrace program: a subcommand a kind of fleet, progress on a
// terminal, the account on stdout or into a file.
#pragma once

#include <CLI/App.hpp>

namespace millrace {

// Adds `simulate` to `app`. When it is chosen, it runs while the command line is parsed and
// sets *exit_code: 0 done (also after SIGINT or SIGTERM, with the account so far), 1 an error, told
// on stderr, 2 a flag that makes no sense. `exit_code` must outlive the parsing.
void AddSimulateCommand(CLI::App& app, int* exit_code);

}  // namespace millrace
