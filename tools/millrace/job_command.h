// What `run`, `lint` and `plan` share: a job file read, checked and planned, with every mistake
// told at once.
#pragma once

#include <memory>
#include <string>

#include "engine/plan/checked_job.h"
#include "tools/millrace/exit_codes.h"

namespace CLI {
class App;
}

namespace millrace {

// Tells every mistake and warning on standard error. Null where the job has mistakes or its file
// cannot be read.
std::unique_ptr<CheckedJob> CheckJob(const std::string& file_name);

int RunPlan(const std::string& file_name);

// When it is chosen, it runs while the command line is parsed, and sets *exit_code. So do all
// functions of this kind.
void AddLintCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
