// `millrace run JOB`: a job in this process until it ends by itself, fails, or is told to stop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace millrace {

struct RunOptions {
  std::string job_file;
  std::string brokers;
  std::string data_dir = ".";
  std::string state_dir;  // empty: .millrace in data_dir
  bool new_generation = false;
  std::string savepoint;           // start from it; empty: from the last checkpoint
  int64_t from_epoch = 0;          // restore: the checkpoint to go on from; 0: the last
  std::string host = "127.0.0.1";  // of the operating port
  int metrics_port = 9464;
  std::optional<int32_t> parallelism;
  std::string end_when_idle;  // a duration; empty: never
  std::string summary_file;   // empty: none
  std::string log_format = "text";
  std::string log_level = "info";
};

// Returns the exit code. Handles SIGINT and SIGTERM (the second one ends the process at once);
// must be called from the main thread before any other thread exists.
int RunJob(const RunOptions& options);

// All but the job file.
void AddRunFlags(CLI::App* command, RunOptions* options);
// `run`.
void AddRunCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
