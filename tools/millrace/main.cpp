// `millrace`: the command line. Data goes to standard output, everything else to standard error;
// exit_codes.h has what it ends with. docs/cli.md.
#include <CLI/CLI.hpp>
#include <string>

#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/completion_command.h"
#include "tools/millrace/exit_codes.h"
#include "tools/millrace/functions_command.h"
#include "tools/millrace/job_command.h"
#include "tools/millrace/run_command.h"
#include "tools/millrace/savepoint_command.h"
#include "tools/millrace/state_commands.h"
#include "tools/simulator/simulate_command.h"

namespace millrace {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Exactly-once stream processing for fleets of sensors", "millrace");
  app.set_version_flag("--version", std::string("millrace " MILLRACE_VERSION));
  // None is told apart below: CLI11 would tell an unknown word as a missing one.
  app.require_subcommand(0, 1);

  int exit_code = kExitOk;
  AddRunCommand(&app, &exit_code);
  AddLintCommand(&app, &exit_code);
  AddPlanCommand(&app, &exit_code);
  AddFunctionsCommand(&app, &exit_code);
  AddClusterCommands(&app, &exit_code);
  AddSavepointCommand(&app, &exit_code);
  AddRestoreCommand(&app, &exit_code);
  AddSimulateCommand(app, &exit_code);
  AddCompletionCommand(&app, &exit_code);

  // The command that is chosen runs while the words are parsed.
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
