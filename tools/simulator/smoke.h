// `simulate smoke`: sends a simulated fleet's readings to a Kafka topic and gives the account of
// what it sent.
#pragma once

#include <string>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/simulator/account.h"
#include "tools/simulator/generator.h"
#include "tools/simulator/sending.h"

namespace millrace {

struct SmokeOptions : SendOptions {
  SmokeFleet fleet;
};

struct SmokeRun : SendOutcome {
  SmokeAccount account;
};

// Blocks. Every record that the account counts was acknowledged. Errors: those of CheckFleet and
// SendRecords.
Result<SmokeRun> RunSmokeSimulator(const SmokeOptions& options, const Clock& clock);

// One JSON object, indented, with the options that the run can be repeated from. At most
// kDeviceAccountsMax devices.
std::string FormatAccount(const SmokeOptions& options, const SmokeRun& run);

}  // namespace millrace
