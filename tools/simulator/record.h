// A record of a simulated fleet, and where records come from: a generator, in the order in which a
// producer sends them. Pure: no clock, no Kafka.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/time.h"

namespace millrace {

// Views are valid until the source's next record.
struct SimulatedRecord {
  int32_t topic = 0;  // its place in the target's topics
  int32_t partition = 0;
  EventTime record_time{};  // event time + transport delay, the record's timestamp
  std::string_view key;
  std::string_view value;
};

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // None: all have been given out.
  virtual std::optional<SimulatedRecord> Next() = 0;
};

}  // namespace millrace
