#include "engine/connectors/kafka/kafka_records.h"

namespace millrace {
namespace {

// The batch's header has 61 bytes; a record's own lengths, deltas and counts at most 36 more.
constexpr int64_t kBatchOverheadBytes = 100;
constexpr int64_t kHeaderOverheadBytes = 10;

}  // namespace

rd_kafka_resp_err_t EnqueueKafkaRecord(rd_kafka_t* handle, rd_kafka_topic_t* topic,
                                       int32_t partition, const OutboxRecord& record) {
  rd_kafka_headers_t* const headers = rd_kafka_headers_new(record.headers.size());
  for (const auto& [name, value] : record.headers) {
    rd_kafka_header_add(headers, name.data(), ssize_t(name.size()),
                        value.empty() ? "" : value.data(), ssize_t(value.size()));
  }
  // What is empty is there; null is none.
  const char* const key = record.has_key ? (record.key.empty() ? "" : record.key.data()) : nullptr;
  const char* const value = record.value.empty() ? "" : record.value.data();
  const auto error = rd_kafka_producev(
      handle, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_VALUE(const_cast<char*>(value), record.value.size()),
      RD_KAFKA_V_KEY(key, record.key.size()), RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
      RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
  // Where it was queued, librdkafka owns the headers.
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
  return error;
}

int64_t KafkaBatchBytes(const OutboxRecord& record) {
  int64_t bytes = kBatchOverheadBytes + int64_t(record.key.size() + record.value.size());
  for (const auto& [name, value] : record.headers) {
    bytes += kHeaderOverheadBytes + int64_t(name.size() + value.size());
  }
  return bytes;
}

}  // namespace millrace
