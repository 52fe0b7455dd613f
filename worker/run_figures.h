// What a run knows besides its account: at its end exactly, while it goes on roughly.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/connectors/sink.h"
#include "engine/metrics/latency_histogram.h"
#include "worker/actors.h"

namespace millrace {

struct RunFigures {
  LatencyHistogram latency;                        // fetched to delivered
  LatencyHistogram stalls;                         // of tasks, by work for checkpoints
  std::map<std::string, SinkStats> sinks;          // by publisher name
  std::map<std::string, TaskTimes> task_times;     // by task name
  std::map<std::string, MonotonicTime> cpu_times;  // by name of a reader or task
  std::map<std::string, int64_t> lag;              // records behind the end, by stream, where known
  int64_t checkpoints = 0;
  std::map<std::string, int64_t> stored_state_bytes;  // by task, of the last checkpoint
  std::map<std::string, int64_t> non_finite_values;   // by outbox
  int64_t state_bytes = 0;
  int64_t keys = 0;
  // Of streams whose keys have a watermark each, by stream and task.
  std::map<std::string, std::map<std::string, KeyCensus>> censuses;

  // Of all tasks of each stream.
  std::map<std::string, KeyCensus> KeysByStream() const;
};

// "device-7 by 40m, device-9 by 12m"
std::string FurthestBehind(const KeyCensus& census);

}  // namespace millrace
