// `millrace completion bash`: a script that completes commands, flags and what they take, made from
// the commands themselves.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace millrace {

// As AddClusterCommands. `app` is the whole program; commands that are added later are in it too.
void AddCompletionCommand(CLI::App* app, int* exit_code);

// What an argument takes is told by its type's name: FILE, DIR, JOB, "JOB|FILE", SAVEPOINT, SINK,
// or choices "a|b|c". Names of jobs and savepoints are asked of the cluster, by this program.
std::string BashCompletion(const CLI::App& app);

}  // namespace millrace
