// What a run put into its topic, counted as it went in: the figures that a job's output is held
// against. Lateness is worked out here for every reading by the rule itself, in code of its own,
// so what is late by accident of transport is counted too.
//
//   readings = counted + late + future + malformed.truncated + .not_json + .wrong_type
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "tools/simulator/reading.h"

namespace millrace {

struct DeviceAccount {
  std::string device;
  int64_t readings = 0;  // put in, of every kind
  int64_t counted = 0;
  int64_t fire_alarms = 0;  // among those counted
};

struct SmokeAccount {
  int64_t readings = 0;  // records put in
  int64_t counted = 0;   // what a job's windows must hold
  int64_t late = 0;
  int64_t future = 0;
  int64_t truncated = 0;
  int64_t not_json = 0;
  int64_t wrong_type = 0;  // text in place of the temperature
  // Kinds that cut across the ones above.
  int64_t held_back = 0;   // delayed on purpose, so that they come late
  int64_t duplicates = 0;  // second copies, the same bytes; each counts where it falls

  // Over counted readings.
  int64_t fire_alarms = 0;
  std::array<int64_t, kSmokeColumnCount> nulls{};
  EventTime first_event_time = kEventTimeMax;
  EventTime last_event_time = kEventTimeMin;

  int64_t fires = 0;  // episodes that began
  int64_t gaps = 0;   // silences that began
  std::vector<std::string> stuck_devices;
  std::vector<std::string> gap_devices;
  std::vector<int64_t> partitions;     // records a partition
  std::vector<DeviceAccount> devices;  // empty for fleets above kDeviceAccountsMax

  int64_t malformed() const { return truncated + not_json + wrong_type; }
};

inline constexpr int32_t kDeviceAccountsMax = 10'000;

// Decides what becomes of each record in the order in which its partition holds them. The rule:
// a reading is in the future when its event time > record timestamp + max_future; else it is late
// when the pane that holds it ended at or before (largest event time so far of its partition) -
// max_delay. Malformed and future readings move nothing.
class LatenessRule {
 public:
  LatenessRule(Micros max_delay, Micros pane, Micros max_future, int32_t partition_count);

  enum class Verdict { kCounted, kLate, kFuture };
  Verdict Judge(int32_t partition, EventTime event_time, EventTime record_time);

 private:
  Micros max_delay_;
  Micros pane_;
  Micros max_future_;
  std::vector<EventTime> largest_;
};

}  // namespace millrace
