// Whether partitions are at their end, by evidence: the broker that leads a partition is connected,
// has answered since the last statistics, and the end that it told is where reading stands. Pure:
// librdkafka's statistics and the reader's positions go in, what has changed comes out.
//
// A partition is confirmed at its end with every statistics report in which all of that holds, if
// what was fetched of all partitions had been taken in kCaughtUpReports reports in a row: while
// more waits than the client's queue may hold, it asks for no partition, and the ends that it knows
// are old though the broker answers other questions. So a reader that lags confirms none. A
// partition
// is interrupted when its leader is not connected, when there is none, or when nothing was heard
// from it for kSilentReports reports while reading stands at the end. A client that has just
// started is given as many reports to find its brokers.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

// One report of rd_kafka's statistics, as far as it matters here.
struct KafkaStatistics {
  struct Broker {
    bool up = false;
    int64_t responses = 0;
  };
  struct Partition {
    int32_t leader = -1;
    int64_t next_offset = -1;  // to be fetched
    int64_t end_offset = -1;   // last stable offset, or high watermark; -1: not known
  };
  std::map<int32_t, Broker> brokers;
  std::map<TopicPartition, Partition> partitions;
};

// `read_committed`: the end is the last stable offset. Fails with "bad_statistics" (internal).
Result<KafkaStatistics> ParseKafkaStatistics(std::string_view json, bool read_committed);

class PartitionHealth {
 public:
  // Two seconds, with a report each half second.
  static constexpr int kSilentReports = 4;
  // In a row; librdkafka goes on fetching up to a second after its queue was full.
  static constexpr int kCaughtUpReports = 3;

  enum class Change { kNone, kEndConfirmed, kInterrupted, kRecovered };

  // `at_end`: the broker told an end at `position`, and nothing was read since. `caught_up`: since
  // the report before there was a moment at which nothing that was fetched waited.
  Change Report(const KafkaStatistics& statistics, const TopicPartition& partition,
                int64_t position, bool at_end, bool caught_up);

  bool interrupted() const { return interrupted_; }
  // Why, for people: "broker 1 is not connected".
  const std::string& reason() const { return reason_; }

 private:
  std::string FindTrouble(const KafkaStatistics& statistics,
                          const KafkaStatistics::Partition* state, bool at_end);

  bool interrupted_ = false;
  std::string reason_;
  int32_t leader_ = -1;
  int64_t responses_ = -1;
  bool answered_ = false;
  int silent_reports_ = 0;
  int caught_up_reports_ = 0;
};

}  // namespace millrace
