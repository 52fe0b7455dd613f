// The way of readings from sensor to Kafka: a transport delay each, and what goes wrong on it.
// Readings of a fleet are drawn a way, written, and handed over with it; they come out in the order
// in which they arrive, and enter the account as they do. Pure: the same seed, the same ways.
//
// Nine in ten readings take up to 50 ms, the others up to a tenth of max_delay, so partitions are
// out of order within bounds. Readings held back for longer than max_delay and a pane come late.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "tools/simulator/account.h"
#include "tools/simulator/random.h"
#include "tools/simulator/record.h"

namespace millrace {

class AccountText;

// Shares are probabilities a reading, 0..1.
struct DeliveryFaults {
  double null_share = 0;  // of values
  double late_share = 0;
  double malformed_share = 0;  // cut short, not JSON, or a text for the number, a third each
  double future_share = 0;
  double duplicate_share = 0;

  // The job's event-time settings, by which the account tells what is late.
  Micros max_delay = std::chrono::seconds(10);
  Micros pane = std::chrono::seconds(1);
  Micros max_future = std::chrono::minutes(5);
};

// User error "bad_simulation" that names the value.
Status CheckFaults(const DeliveryFaults& faults);

//   readings = counted + late + future + truncated + not_json + wrong_type
struct DeliveryAccount {
  int64_t readings = 0;  // records given out
  int64_t counted = 0;   // what a job's windows must hold
  int64_t late = 0;
  int64_t future = 0;
  int64_t truncated = 0;
  int64_t not_json = 0;
  int64_t wrong_type = 0;
  // Kinds that cut across the ones above.
  int64_t held_back = 0;
  int64_t duplicates = 0;                      // second copies, the same bytes
  int64_t nulls = 0;                           // among those counted
  EventTime first_event_time = kEventTimeMax;  // of those counted
  EventTime last_event_time = kEventTimeMin;
  std::vector<int64_t> topics;  // records a topic

  int64_t malformed() const { return truncated + not_json + wrong_type; }
  void Write(AccountText* text) const;
};

class Delivery {
 public:
  enum class Fate : uint8_t { kReading, kHeldBack, kFuture, kTruncated, kNotJson, kWrongType };
  struct Way {
    EventTime event_time{};  // what the reading shall say
    EventTime record_time{};
    Fate fate = Fate::kReading;
    bool is_null = false;  // the reading shall have no value
    bool twice = false;
    uint32_t draw = 0;
    // The reading shall have a text in place of its number.
    bool wrong_type() const { return fate == Fate::kWrongType; }
  };

  // `faults` have passed CheckFaults.
  Delivery(const DeliveryFaults& faults, uint64_t seed, std::vector<int32_t> partition_counts);

  // Of a reading that is measured at this time, after 1970.
  Way Draw(EventTime measured);
  // Way of what is not a reading, and has no faults: a label.
  Way Plain(EventTime measured);
  // `key` must outlive the delivery; it decides the partition, as Java's client does. `value` is a
  // JSON object.
  void Send(const Way& way, int32_t topic, std::string_view key, std::string value);
  // The next that arrives before `until`; none: hand over more. It enters the account. Its views
  // are valid until the next call.
  std::optional<SimulatedRecord> Take(EventTime until);

  const DeliveryAccount& account() const { return account_; }

 private:
  struct Pending {
    Way way;
    int64_t sequence = 0;
    int32_t topic = 0;
    bool second_copy = false;
    std::string_view key;
    std::string value;
  };
  static bool ArrivesLater(const Pending& a, const Pending& b);
  void Push(Pending pending);
  void Count(const Pending& pending, int32_t partition);
  Fate DrawFate();
  Micros DrawDelay(Fate fate);

  DeliveryFaults faults_;
  SeededRandom random_;
  std::vector<int32_t> partition_counts_;  // a topic
  std::vector<int32_t> first_partition_;   // a topic: its first one's place in the rule
  LatenessRule rule_;
  DeliveryAccount account_;
  std::vector<Pending> under_way_;  // a heap, the next to arrive on top
  int64_t sequence_ = 0;
  Pending current_;
};

}  // namespace millrace
