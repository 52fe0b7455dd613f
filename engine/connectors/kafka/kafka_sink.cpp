#include "engine/connectors/kafka/kafka_sink.h"

#include <arrow/array.h>

#include "engine/connectors/json/row_encoder.h"
#include "engine/connectors/kafka/kafka_producer.h"

namespace millrace {
namespace {

// Kafka 4's message.timestamp.after.max.ms is one hour: a record beyond it fails its whole batch.
constexpr auto kFutureMax = std::chrono::minutes(30);

KafkaProducer::Options ProducerOptions(const KafkaSinkSpec& spec, KafkaSinkOptions options) {
  KafkaProducer::Options producer;
  producer.job = std::move(options.job);
  producer.topic = spec.topic;
  producer.layers = {std::move(options.default_properties), spec.properties};
  producer.log = std::move(options.log);
  producer.stop = options.stop;
  producer.flush_timeout = options.flush_timeout;
  return producer;
}

class KafkaSink final : public SinkWriter {
 public:
  KafkaSink(std::unique_ptr<KafkaProducer> producer, const std::string& job, const Schema& schema,
            std::vector<int> keys, int time_column)
      : producer_(std::move(producer)),
        headers_({{"millrace-job", job}}),
        values_(schema),
        keys_(schema, keys),
        key_columns_(std::move(keys)),
        text_key_(key_columns_.size() == 1 &&
                  schema.fields[size_t(key_columns_[0])].type == Type::kText),
        time_column_(time_column) {}

  Status Open() override { return producer_->Open(); }
  Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) override;
  Status Flush(bool close_files) override { return producer_->Flush(); }
  SinkStats stats() const override { return stats_; }
  std::string description() const override { return "kafka topic " + producer_->topic(); }

 private:
  Status EncodeKeys(const arrow::RecordBatch& batch);
  void SetKey(const arrow::RecordBatch& batch, int64_t row, KafkaProducer::Record* record) const;
  int64_t TimestampMs(const arrow::RecordBatch& batch, int64_t row, int64_t latest_ms) const;
  DeadLetter TooLarge(const Rows& rows, int64_t row, const KafkaProducer::Record& record) const;

  const std::unique_ptr<KafkaProducer> producer_;
  const KafkaProducer::Headers headers_;
  JsonRowEncoder values_;
  JsonRowEncoder keys_;
  const std::vector<int> key_columns_;
  const bool text_key_;
  const int time_column_;
  SinkStats stats_;
  std::string value_buffer_;
  std::vector<size_t> value_ends_;
  std::string key_buffer_;
  std::vector<size_t> key_ends_;
};

Status KafkaSink::EncodeKeys(const arrow::RecordBatch& batch) {
  key_buffer_.clear();
  key_ends_.clear();
  if (key_columns_.empty() || text_key_) return Status::OK();
  return keys_.Encode(batch, &key_buffer_, &key_ends_);
}

void KafkaSink::SetKey(const arrow::RecordBatch& batch, int64_t row,
                       KafkaProducer::Record* record) const {
  if (key_columns_.empty()) return;
  if (text_key_) {
    const auto& column = static_cast<const arrow::StringArray&>(*batch.column(key_columns_[0]));
    if (column.IsNull(row)) return;
    record->key = column.GetView(row);
  } else {
    const size_t begin = row == 0 ? 0 : key_ends_[size_t(row - 1)];
    record->key = std::string_view(key_buffer_).substr(begin, key_ends_[size_t(row)] - begin);
  }
  record->has_key = true;
}

int64_t KafkaSink::TimestampMs(const arrow::RecordBatch& batch, int64_t row,
                               int64_t latest_ms) const {
  if (time_column_ < 0) return 0;
  const auto& column = static_cast<const arrow::TimestampArray&>(*batch.column(time_column_));
  if (column.IsNull(row)) return 0;
  const int64_t millis = column.Value(row) / 1000;
  return millis < 0 || millis > latest_ms ? 0 : millis;
}

Status KafkaSink::Write(const Rows& rows, std::vector<DeadLetter>* rejected) {
  if (rows.size() == 0) return Status::OK();
  const arrow::RecordBatch& batch = *rows.batch;
  value_buffer_.clear();
  value_ends_.clear();
  ARROW_RETURN_NOT_OK(values_.Encode(batch, &value_buffer_, &value_ends_));
  stats_.non_finite_values = values_.non_finite_values();
  ARROW_RETURN_NOT_OK(EncodeKeys(batch));
  const int64_t latest_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                (std::chrono::system_clock::now() + kFutureMax).time_since_epoch())
                                .count();
  size_t begin = 0;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    KafkaProducer::Record record;
    const size_t end = value_ends_[size_t(row)];
    record.value = std::string_view(value_buffer_).substr(begin, end - begin);
    begin = end;
    SetKey(batch, row, &record);
    record.timestamp_ms = TimestampMs(batch, row, latest_ms);
    ARROW_ASSIGN_OR_RAISE(const auto outcome, producer_->Produce(record, headers_));
    if (outcome == KafkaProducer::Outcome::kTooLarge) {
      if (rejected != nullptr) rejected->push_back(TooLarge(rows, row, record));
      continue;
    }
    ++stats_.rows_written;
    stats_.bytes_written += int64_t(record.value.size());
  }
  return Status::OK();
}

DeadLetter KafkaSink::TooLarge(const Rows& rows, int64_t row,
                               const KafkaProducer::Record& record) const {
  DeadLetter letter;
  letter.value = record.value;
  letter.key = record.key;
  letter.reason = "too_large";
  letter.message = "the row has " + std::to_string(record.value.size()) + " bytes; topic " +
                   producer_->topic() + " takes " + std::to_string(producer_->record_bytes_max());
  if (rows.origins != nullptr) {
    letter.source = rows.origins->source;
    letter.offset = rows.origins->offsets[size_t(row)];
  }
  return letter;
}

class KafkaDeadLetters final : public DeadLetterWriter {
 public:
  KafkaDeadLetters(std::unique_ptr<KafkaProducer> producer, std::string job)
      : producer_(std::move(producer)), job_(std::move(job)) {}

  Status Open() override { return producer_->Open(); }
  Status Write(const std::vector<DeadLetter>& letters) override;
  Status Flush() override { return producer_->Flush(); }
  std::string description() const override { return "kafka topic " + producer_->topic(); }

 private:
  KafkaProducer::Headers HeadersOf(const DeadLetter& letter) const;

  const std::unique_ptr<KafkaProducer> producer_;
  const std::string job_;
};

KafkaProducer::Headers KafkaDeadLetters::HeadersOf(const DeadLetter& letter) const {
  KafkaProducer::Headers headers = {{"millrace-job", job_},
                                    {"reason", letter.reason},
                                    {"message", letter.message},
                                    {"stream", letter.stream}};
  if (!letter.source.topic.empty()) {
    headers.emplace_back("topic", letter.source.topic);
    headers.emplace_back("partition", std::to_string(letter.source.partition));
    headers.emplace_back("offset", std::to_string(letter.offset));
  }
  return headers;
}

Status KafkaDeadLetters::Write(const std::vector<DeadLetter>& letters) {
  for (const DeadLetter& letter : letters) {
    KafkaProducer::Record record;
    record.value = letter.value;
    record.key = letter.key;
    record.has_key = !letter.key.empty();
    KafkaProducer::Headers headers = HeadersOf(letter);
    ARROW_ASSIGN_OR_RAISE(auto outcome, producer_->Produce(record, headers));
    if (outcome == KafkaProducer::Outcome::kQueued) continue;
    headers.emplace_back("value_bytes", std::to_string(letter.value.size()));
    record = KafkaProducer::Record();
    ARROW_ASSIGN_OR_RAISE(outcome, producer_->Produce(record, headers));
    if (outcome == KafkaProducer::Outcome::kTooLarge) {
      return ExternalError(
          "delivery_failed",
          "topic " + producer_->topic() + " takes not even a dead letter's headers", Retry::kNo);
    }
  }
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<SinkWriter>> MakeKafkaSink(const KafkaSinkSpec& spec, const Schema& schema,
                                                  std::vector<int> keys, int time_column,
                                                  KafkaSinkOptions options) {
  const std::string job = options.job;
  ARROW_ASSIGN_OR_RAISE(auto producer,
                        KafkaProducer::Make(ProducerOptions(spec, std::move(options))));
  return std::make_unique<KafkaSink>(std::move(producer), job, schema, std::move(keys),
                                     time_column);
}

Result<std::unique_ptr<DeadLetterWriter>> MakeKafkaDeadLetterWriter(const KafkaSinkSpec& spec,
                                                                    KafkaSinkOptions options) {
  const std::string job = options.job;
  ARROW_ASSIGN_OR_RAISE(auto producer,
                        KafkaProducer::Make(ProducerOptions(spec, std::move(options))));
  return std::make_unique<KafkaDeadLetters>(std::move(producer), job);
}

}  // namespace millrace
