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
  LatencyHistogram latency;                     // fetched to delivered
  std::map<std::string, SinkStats> sinks;       // by publisher name
  std::map<std::string, TaskTimes> task_times;  // by task name
  std::map<std::string, int64_t> lag;           // records behind the end, by stream, where known
  int64_t checkpoints = 0;
  int64_t pending_epochs = 0;
  int64_t state_bytes = 0;
  int64_t keys = 0;
};

}  // namespace millrace
