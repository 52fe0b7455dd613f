// `millrace savepoint` and `millrace restore`, of a local run (JOB is a job file) or of a cluster
// (JOB is a job's name): cluster/job_name.h has the rule.
#pragma once

namespace CLI {
class App;
}

namespace millrace {

// create, list, delete.
void AddSavepointCommand(CLI::App* app, int* exit_code);
void AddRestoreCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
