#include "engine/connectors/kafka/record_batch_maker.h"

#include <xxhash.h>

#include "engine/connectors/tombstone.h"

namespace millrace {
namespace {

std::string_view ValueOf(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.len};
}

std::string_view KeyOf(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.key), message.key_len};
}

int64_t TimestampMicros(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t type;
  const int64_t millis = rd_kafka_message_timestamp(&message, &type);
  return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || millis < 0 ? INT64_MIN : millis * 1000;
}

}  // namespace

class RecordBatchMaker::Messages final : public OriginalRecords {
 public:
  explicit Messages(std::shared_ptr<KafkaClient> client) : client_(std::move(client)) {}
  ~Messages() override {
    for (rd_kafka_message_t* message : messages_) rd_kafka_message_destroy(message);
  }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  // The rows that follow are of this message, each of one of its readings.
  void Add(rd_kafka_message_t* message) { messages_.push_back(message); }
  void AddRow(std::string_view reading) {
    rows_.push_back({uint32_t(messages_.size() - 1), reading});
  }

  std::string_view ValueOfRow(int64_t row) const override { return rows_[size_t(row)].reading; }
  std::string_view KeyOfRow(int64_t row) const override {
    return KeyOf(*messages_[rows_[size_t(row)].message]);
  }

 private:
  std::shared_ptr<KafkaClient> client_;  // destroyed after the messages
  struct Row {
    uint32_t message = 0;
    std::string_view reading;  // of its value
  };
  std::vector<rd_kafka_message_t*> messages_;
  std::vector<Row> rows_;
};

uint64_t HashKafkaRecord(const rd_kafka_message_t& message) {
  return XXH3_64bits_withSeed(message.payload, message.len, XXH64_hash_t(TimestampMicros(message)));
}

RecordBatchMaker::RecordBatchMaker(std::shared_ptr<KafkaClient> client,
                                   const SourceStreamSpec& spec,
                                   const std::vector<int>& used_columns, TopicPartition partition)
    : client_(std::move(client)), partition_(std::move(partition)), decoder_(spec, used_columns) {
  Begin();
}

void RecordBatchMaker::Begin() {
  batch_ = SourceBatch();
  batch_.partition = partition_;
  origins_ = std::make_shared<Origins>();
  origins_->source = partition_;
  messages_ = std::make_shared<Messages>(client_);
}

void RecordBatchMaker::Add(rd_kafka_message_t* message) {
  batch_.bytes += int64_t(message->len);
  batch_.last_record_offset = message->offset;
  if (tells_tombstones_ && message->payload == nullptr) {
    decoded_.rows.clear();
    decoded_.refused = {{{}, {std::string(kTombstone), ""}}};
  } else {
    decoder_.Append(ValueOf(*message), &decoded_);
  }
  for (const DecodedMessage::Refused& refused : decoded_.refused) Reject(*message, refused);
  if (decoded_.rows.empty()) {
    if (decoded_.refused.empty()) ++batch_.empty_records;
    batch_.last_record_hash = HashKafkaRecord(*message);
    last_ = nullptr;
    rd_kafka_message_destroy(message);
    return;
  }
  const int64_t timestamp = TimestampMicros(*message);
  messages_->Add(message);
  last_ = message;
  for (const DecodedMessage::Reading& reading : decoded_.rows) {
    origins_->Add(message->offset, reading.index);
    batch_.record_timestamps.push_back(timestamp);
    messages_->AddRow(reading.value);
  }
}

void RecordBatchMaker::Reject(const rd_kafka_message_t& message,
                              const DecodedMessage::Refused& refused) {
  RejectedRecord rejected;
  rejected.offset = message.offset;
  rejected.index = refused.reading.index;
  rejected.reason = refused.failure.reason;
  rejected.message = refused.failure.message;
  rejected.value = refused.reading.value;
  rejected.key = KeyOf(message);
  batch_.rejected.push_back(std::move(rejected));
}

Result<SourceBatch> RecordBatchMaker::Finish(int64_t next_offset) {
  // Only the last record's hash is wanted: one a batch, not one a record.
  if (last_ != nullptr) batch_.last_record_hash = HashKafkaRecord(*last_);
  last_ = nullptr;
  ARROW_ASSIGN_OR_RAISE(batch_.rows.batch, decoder_.Finish());
  batch_.rows.origins = std::move(origins_);
  batch_.originals = std::move(messages_);
  batch_.next_offset = next_offset;
  SourceBatch finished = std::move(batch_);
  Begin();
  return finished;
}

}  // namespace millrace
