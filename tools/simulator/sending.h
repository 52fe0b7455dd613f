// Sends a fleet's records to Kafka: all of them or so many, evenly or as fast as the broker takes
// them, until somebody stops it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/simulator/record.h"
#include "tools/simulator/topic_producer.h"

namespace millrace {

struct SendOptions {
  TopicTarget target;
  int64_t readings = 0;  // records to send; 0: until the source ends, or `stop`
  double rate = 0;       // records a second, sent evenly; 0: as fast as the broker takes them

  // Called about every 100 ms with the records sent so far; may be empty.
  std::function<void(int64_t sent, double seconds)> progress;
  // Set by anyone: the run ends early. May be null.
  const std::atomic<bool>* stop = nullptr;
};

struct SendOutcome {
  bool complete = false;  // `readings` were sent, or all that the source had
  double seconds = 0;     // from the first record to the last acknowledgement
};

// Makes the source, once the topics' partitions are known; it lives as long as its maker lets it.
using MakeSource = std::function<RecordSource*(const std::vector<int32_t>& partition_counts)>;

// Blocks. Every record that the source gave out was acknowledged. Errors: TopicProducer's.
Result<SendOutcome> SendRecords(const SendOptions& options, const MakeSource& make_source,
                                const Clock& clock);

// The start of event time when none is given: 24 h before `now`, or earlier where a run covers
// more, on a whole minute.
EventTime DefaultStart(EventTime now, Micros covered);

}  // namespace millrace
