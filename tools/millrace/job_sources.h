// The sources of a job, found and opened: their partitions, spread over readers, and where each
// begins: at what an earlier run committed (docs/architecture.md, "Restart"), else as the job file
// says.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/source.h"
#include "engine/env/clock.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "engine/wire/messages.h"
#include "tools/millrace/connectors.h"

namespace millrace {

struct OpenedSource {
  NodeId node;
  std::unique_ptr<Source> source;
  std::map<TopicPartition, size_t> spread;  // partition -> index of its reader
  std::vector<StartReading> starts;         // one a reader
  // Every window that ends at or before it was published by an earlier run.
  EventTime horizon = kEventTimeMin;
};

// Attempts until it succeeds, fails for good, or `stopping` is set; waits with backoff and says so.
Status AttemptWithBackoff(const Clock& clock, const std::atomic<bool>& stopping,
                          const std::string& what, const std::function<Status()>& attempt);

// Opens the job's sources in the plan's order; waits for a broker that is not there. At most
// `readers_max` readers a source.
Result<std::vector<OpenedSource>> OpenSources(const JobSpec& job, const JobPlan& plan,
                                              const ConnectorOptions& options, int32_t readers_max,
                                              const Clock* clock,
                                              const std::atomic<bool>& stopping);

}  // namespace millrace
