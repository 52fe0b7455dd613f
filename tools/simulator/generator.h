// A fleet of smoke detectors as a sequence of Kafka records, in the order in which a producer
// sends them. Pure: no clock, no Kafka; the same fleet, seed and number of partitions give the
// same bytes.
//
// Event time goes on by one second a device and round. A reading arrives after a transport delay:
// nine in ten within the second, the others after seconds (at most a tenth of max_delay), so
// partitions are out of order within bounds. Readings held back for longer than max_delay and a
// pane come late. Records that a run does not reach (still under way when it ends) were never
// sent and are in no account.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "tools/simulator/account.h"
#include "tools/simulator/device.h"
#include "tools/simulator/random.h"
#include "tools/simulator/reading.h"
#include "tools/simulator/record.h"

namespace millrace {

// Shares are probabilities a reading, 0..1.
struct SmokeFleet {
  int32_t devices = 100;
  uint64_t seed = 1;
  EventTime start{};  // event time of the first second; not before 1970

  double null_share = 0.02;  // of each measured value
  double late_share = 0;
  double malformed_share = 0;
  double future_share = 0;
  double duplicate_share = 0;
  int32_t stuck_devices = 0;
  int32_t gap_devices = 0;
  double fires_per_device_day = 2;

  // The job's event-time settings, which the account's rule needs.
  Micros max_delay = std::chrono::minutes(10);
  Micros pane = std::chrono::minutes(1);
  Micros max_future = std::chrono::minutes(5);
};

// User error "bad_simulation" that names the value.
Status CheckFleet(const SmokeFleet& fleet);

class SmokeGenerator final : public RecordSource {
 public:
  // `fleet` has passed CheckFleet; partition_count > 0.
  SmokeGenerator(const SmokeFleet& fleet, int32_t partition_count);

  // The next record; never ends. It enters the account.
  std::optional<SimulatedRecord> Next() override;

  // Of the records returned so far.
  SmokeAccount account() const;

 private:
  enum class Kind : uint8_t { kReading, kHeldBack, kFuture, kTruncated, kNotJson, kWrongType };
  struct Pending {
    SmokeReading reading;
    EventTime record_time{};
    int32_t device = 0;
    Kind kind = Kind::kReading;
    bool second_copy = false;
    uint32_t draw = 0;  // decides how a malformed reading is spoilt
  };

  void StepSecond();
  // Lets the next device report; false when all have in this second.
  bool StepDevice(Pending* now);
  Kind DrawKind();
  Micros DrawDelay(Kind kind);
  void Keep(const Pending& pending, int64_t due_second);
  int64_t SecondOf(EventTime time) const;
  SimulatedRecord Send(const Pending& pending);
  size_t Spoil(const Pending& pending, size_t length);
  void Count(const Pending& pending, int32_t partition);

  SmokeFleet fleet_;
  SeededRandom random_;
  std::vector<SmokeDevice> devices_;
  std::vector<int32_t> partition_of_;  // a device
  LatenessRule rule_;
  SmokeAccount account_;

  int64_t second_ = -1;
  int32_t next_device_ = 0;
  // Ring: what is under way, by the second in which it arrives.
  std::vector<std::vector<Pending>> arriving_;
  std::vector<Pending> due_;  // of this second
  size_t next_due_ = 0;
  char text_[kReadingTextMax];
};

}  // namespace millrace
