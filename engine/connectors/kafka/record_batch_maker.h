// Records of one partition, in order, decoded into a SourceBatch, each into as many rows as it has
// readings. Records stay where librdkafka put them: a batch keeps the messages of its rows alive,
// and with them the client, until it is dropped.
#pragma once

#include <memory>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/message/message_decoder.h"
#include "engine/connectors/source.h"

namespace millrace {

// What SourceBatch::last_record_hash holds: XXH3 of the value, seeded with the timestamp.
uint64_t HashKafkaRecord(const rd_kafka_message_t& message);

class RecordBatchMaker {
 public:
  RecordBatchMaker(std::shared_ptr<KafkaClient> client, const SourceStreamSpec& spec,
                   const std::vector<int>& used_columns, TopicPartition partition);

  // Records without a value are rejected as tombstones (tombstone.h), in place of being decoded.
  void TellTombstones() { tells_tombstones_ = true; }
  // Takes the message over.
  void Add(rd_kafka_message_t* message);
  // What was added since the last Finish.
  int64_t rows() const { return decoder_.rows(); }
  // What was added since the last call; without records a batch that only moves the position.
  Result<SourceBatch> Finish(int64_t next_offset);

 private:
  class Messages;
  void Begin();
  void Reject(const rd_kafka_message_t& message, const DecodedMessage::Refused& refused);

  std::shared_ptr<KafkaClient> client_;
  TopicPartition partition_;
  MessageDecoder decoder_;
  DecodedMessage decoded_;
  bool tells_tombstones_ = false;

  SourceBatch batch_;
  std::shared_ptr<Origins> origins_;
  std::shared_ptr<Messages> messages_;
  const rd_kafka_message_t* last_ = nullptr;  // the last record, where rows came of it
};

}  // namespace millrace
