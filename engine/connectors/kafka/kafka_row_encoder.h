// Rows as records of a topic: what a Kafka sink writes. Value: JSON. Key: the key columns (a single
// text column as its plain text, null: no key; else a JSON object; without key columns none).
// Timestamp: the time column in milliseconds; 0 (the time of writing) where there is none, where it
// is before 1970, or where it is so far in the future that brokers would refuse it. Headers:
// millrace-job, millrace-generation, millrace-epoch; of a sink that takes changes also
// millrace-row-kind.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connectors/sink.h"
#include "engine/model/types.h"
#include "engine/outbox/record_encoder.h"

namespace millrace {

struct KafkaRowEncoderOptions {
  std::string topic;
  Schema schema;
  std::vector<int> keys;
  int time_column = -1;  // -1: none
  RecordHeaders headers;
  bool tells_row_kind = false;
  int64_t record_bytes_max = 1'000'000;
};

// One thread at a time.
class KafkaRowEncoder : public RecordEncoder {
 public:
  static std::unique_ptr<KafkaRowEncoder> Make(KafkaRowEncoderOptions options);

  // Rows larger than the topic takes are rejected as "too_large".
  Status Encode(const Rows& rows, EventTime now, std::vector<DeadLetter>* rejected,
                const VisitRecord& visit) override = 0;
  int64_t non_finite_values() const override { return stats().non_finite_values; }
  virtual const SinkStats& stats() const = 0;
};

// A dead letter as a record: the original bytes and key; headers reason, message, stream, topic,
// partition, offset (the last three for records of a source) and `headers`. A value that the topic
// does not take is left out; header value_bytes says how large it was. Views are into `letter`,
// `headers` and `scratch`.
OutboxRecord DeadLetterRecord(const DeadLetter& letter, std::string_view topic,
                              const RecordHeaders& headers, int64_t record_bytes_max,
                              std::vector<std::string>* scratch);

}  // namespace millrace
