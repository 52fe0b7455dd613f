// The sources of a job, found and opened: their partitions, spread over readers, and where each
// begins: where the checkpoint stands that the job goes on from, else as the job file says. What
// the consumer group has committed has no say: a checkpoint counts (docs/exactly-once.md).
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/source.h"
#include "engine/endpoints/connectors.h"
#include "engine/env/clock.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "engine/wire/messages.h"

namespace millrace {

struct OpenedSource {
  NodeId node;
  std::unique_ptr<Source> source;
  std::map<TopicPartition, size_t> spread;  // partition -> index of its reader
  std::vector<StartReading> starts;         // one a reader
  EventTime watermark = kEventTimeMin;      // the stream's, of the checkpoint
  // Why readings cross workers although the job says what its topics are keyed by; for people.
  // Empty: they do not.
  std::string misfit;
};

// Attempts until it succeeds, fails for good, or `stopping` is set; waits with backoff and says so.
Status AttemptWithBackoff(const Clock& clock, const std::atomic<bool>& stopping,
                          const std::string& what, const std::function<Status()>& attempt);

// Opens the job's sources in the plan's order; waits for a broker that is not there. At most
// `readers_max` readers a source. `restored`: the checkpoint to go on from, or null.
Result<std::vector<OpenedSource>> OpenSources(const JobSpec& job, const JobPlan& plan,
                                              const ConnectorOptions& options, int32_t readers_max,
                                              const proto::Manifest* restored, const Clock* clock,
                                              const std::atomic<bool>& stopping);

}  // namespace millrace
