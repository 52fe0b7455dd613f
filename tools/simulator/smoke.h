// `simulate smoke`: sends a simulated fleet's readings to a Kafka topic and gives the account of
// what it sent.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/simulator/account.h"
#include "tools/simulator/generator.h"
#include "tools/simulator/topic_producer.h"

namespace millrace {

struct SmokeOptions {
  TopicTarget target;
  SmokeFleet fleet;
  int64_t readings = 0;  // records to send; 0: until `stop`
  double rate = 0;       // records a second, sent evenly; 0: as fast as the broker takes them

  // Called about every 100 ms with the records sent so far; may be empty.
  std::function<void(int64_t sent, double seconds)> progress;
  // Set by anyone: the run ends early, with the account so far. May be null.
  const std::atomic<bool>* stop = nullptr;
};

struct SmokeRun {
  SmokeAccount account;
  bool complete = false;  // all of `readings` were sent
  double seconds = 0;     // from the first record to the last acknowledgement
};

// The start of event time that `simulate` takes when none is given: 24 h before `now`, or earlier
// where the run covers more, on a whole minute.
EventTime DefaultStart(EventTime now, int64_t readings, int32_t devices);

// Blocks. Every record that the account counts was acknowledged. Errors: those of CheckFleet and
// TopicProducer.
Result<SmokeRun> RunSmokeSimulator(const SmokeOptions& options, const Clock& clock);

// One JSON object, indented, with the options that the run can be repeated from. At most
// kDeviceAccountsMax devices.
std::string FormatAccount(const SmokeOptions& options, const SmokeRun& run);

}  // namespace millrace
