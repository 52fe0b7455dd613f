// What the subcommands of `simulate` have in common: flags of where to, how fast and from when, of
// the job's event time and of faults on the way; how a run is stopped, shown and accounted for.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/simulator/delivery.h"
#include "tools/simulator/sending.h"

namespace millrace {

// As texts what needs reading.
struct CommonFlags {
  std::string start;
  std::string max_delay;
  std::string pane;
  std::string max_future;
  std::vector<std::string> properties;
  std::string account_file;
};

// Shares of readings, or of values, with a fault.
struct FaultShares {
  double* nulls;
  double* late;
  double* malformed;
  double* future;
  double* duplicates;
};

struct EventTimeFlags {
  Micros max_delay, pane, max_future;
};

void AddTargetFlags(CLI::App* command, TopicTarget* target, CommonFlags* flags);
void AddSendFlags(CLI::App* command, SendOptions* options);
// --seed, --start and what the account needs of the job's event time.
void AddTimeFlags(CLI::App* command, const EventTimeFlags& defaults, uint64_t* seed,
                  CommonFlags* flags);
void AddShareFlags(CLI::App* command, const FaultShares& shares);

// User errors "bad_duration", "bad_property".
Result<EventTimeFlags> ReadCommonFlags(const CommonFlags& flags, SendOptions* options);
// The start that the flags give, or DefaultStart. User error "bad_simulation".
Result<EventTime> ReadStart(const CommonFlags& flags, EventTime now, Micros covered);

// Runs `simulate` with stop (SIGINT, SIGTERM) and progress (on a terminal) set in `options`, and
// writes the account that it gives. Called at most once in a process.
Status RunAndAccount(SendOptions* options, const CommonFlags& flags,
                     const std::function<Result<std::string>()>& simulate);

// The exit code; errors are told on stderr. Those of `read` are about flags.
int RunCommand(const std::function<Status(const Clock&)>& read,
               const std::function<Status(const Clock&)>& simulate);

}  // namespace millrace
