// `millrace savepoint` and `millrace plan --from`: what can be asked of a job's state without
// running it.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace millrace {

struct StateOptions {
  std::string job_file;
  std::string data_dir = ".";
  std::string state_dir;  // empty: .millrace in data_dir
  std::string savepoint;  // a name
  std::string timeout = "60s";
};

// The folder of states: what --state-dir says, or its default.
std::string StateFolder(const std::string& state_dir, const std::string& data_dir);

// Exit codes. `create` asks the process that runs the job, or makes the savepoint itself where none
// does.
int RunSavepointCreate(const StateOptions& options);
int RunSavepointList(const StateOptions& options);
int RunSavepointDelete(const StateOptions& options);

// --data-dir and --state-dir.
void AddStateFlags(CLI::App* command, StateOptions* options);

// `plan`. With --from, after the plan: what a start would keep of the last checkpoint ("latest") or
// of a savepoint, what it would drop, what would begin empty, and what it would refuse (exit code
// 1).
void AddPlanCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
