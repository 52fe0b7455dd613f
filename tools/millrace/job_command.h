// What `run`, `lint` and `plan` share: a job file read, checked and planned, with every mistake
// told at once.
#pragma once

#include <memory>
#include <string>

#include "engine/plan/checked_job.h"

namespace millrace {

// Exit codes of the CLI.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;

// Tells every mistake and warning on standard error. Null where the job has mistakes or its file
// cannot be read.
std::unique_ptr<CheckedJob> CheckJob(const std::string& file_name);

int RunLint(const std::string& file_name);
int RunPlan(const std::string& file_name);

}  // namespace millrace
