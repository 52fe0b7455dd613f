#include "engine/connectors/kafka/kafka_row_encoder.h"

#include <arrow/array.h>

#include "engine/connectors/json/row_encoder.h"
#include "engine/connectors/kafka/kafka_records.h"

namespace millrace {
namespace {

// Kafka 4's message.timestamp.after.max.ms is one hour: a record beyond it fails its whole batch.
constexpr auto kFutureMax = std::chrono::minutes(30);
constexpr std::string_view kRowKindHeader = "millrace-row-kind";
constexpr size_t kShortMessageBytes = 200;  // what is left of a message that takes too much

int64_t Millis(EventTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

class JsonKafkaRowEncoder final : public KafkaRowEncoder {
 public:
  explicit JsonKafkaRowEncoder(KafkaRowEncoderOptions options)
      : options_(std::move(options)),
        values_(options_.schema),
        keys_(options_.schema, options_.keys),
        text_key_(options_.keys.size() == 1 &&
                  options_.schema.fields[size_t(options_.keys[0])].type == Type::kText) {}

  Status Encode(const Rows& rows, EventTime now, std::vector<DeadLetter>* rejected,
                const std::function<Status(const OutboxRecord&)>& visit) override;
  const SinkStats& stats() const override { return stats_; }

 private:
  Status EncodeKeys(const arrow::RecordBatch& batch);
  void SetKey(const arrow::RecordBatch& batch, int64_t row, OutboxRecord* record) const;
  int64_t TimestampMs(const arrow::RecordBatch& batch, int64_t row, int64_t latest_ms) const;
  DeadLetter TooLarge(const Rows& rows, int64_t row, const OutboxRecord& record) const;

  KafkaRowEncoderOptions options_;
  JsonRowEncoder values_;
  JsonRowEncoder keys_;
  const bool text_key_;
  SinkStats stats_;
  std::string value_buffer_;
  std::vector<size_t> value_ends_;
  std::string key_buffer_;
  std::vector<size_t> key_ends_;
};

Status JsonKafkaRowEncoder::EncodeKeys(const arrow::RecordBatch& batch) {
  key_buffer_.clear();
  key_ends_.clear();
  if (options_.keys.empty() || text_key_) return Status::OK();
  return keys_.Encode(batch, &key_buffer_, &key_ends_);
}

void JsonKafkaRowEncoder::SetKey(const arrow::RecordBatch& batch, int64_t row,
                                 OutboxRecord* record) const {
  record->has_key = false;
  record->key = {};
  if (options_.keys.empty()) return;
  if (text_key_) {
    const auto& column = static_cast<const arrow::StringArray&>(*batch.column(options_.keys[0]));
    if (column.IsNull(row)) return;
    record->key = column.GetView(row);
  } else {
    const size_t begin = row == 0 ? 0 : key_ends_[size_t(row - 1)];
    record->key = std::string_view(key_buffer_).substr(begin, key_ends_[size_t(row)] - begin);
  }
  record->has_key = true;
}

int64_t JsonKafkaRowEncoder::TimestampMs(const arrow::RecordBatch& batch, int64_t row,
                                         int64_t latest_ms) const {
  if (options_.time_column < 0) return 0;
  const auto& column =
      static_cast<const arrow::TimestampArray&>(*batch.column(options_.time_column));
  if (column.IsNull(row)) return 0;
  const int64_t millis = column.Value(row) / 1000;
  return millis < 0 || millis > latest_ms ? 0 : millis;
}

Status JsonKafkaRowEncoder::Encode(const Rows& rows, EventTime now,
                                   std::vector<DeadLetter>* rejected,
                                   const std::function<Status(const OutboxRecord&)>& visit) {
  if (rows.size() == 0) return Status::OK();
  const arrow::RecordBatch& batch = *rows.batch;
  value_buffer_.clear();
  value_ends_.clear();
  ARROW_RETURN_NOT_OK(values_.Encode(batch, &value_buffer_, &value_ends_));
  stats_.non_finite_values = values_.non_finite_values();
  ARROW_RETURN_NOT_OK(EncodeKeys(batch));
  const int64_t latest_ms = Millis(now + kFutureMax);
  OutboxRecord record;
  record.topic = options_.topic;
  record.headers.assign(options_.headers.begin(), options_.headers.end());
  if (options_.tells_row_kind) record.headers.emplace_back(kRowKindHeader, RowKindName(rows.kind));
  size_t begin = 0;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    const size_t end = value_ends_[size_t(row)];
    record.value = std::string_view(value_buffer_).substr(begin, end - begin);
    begin = end;
    SetKey(batch, row, &record);
    record.timestamp_ms = TimestampMs(batch, row, latest_ms);
    if (KafkaBatchBytes(record) > options_.record_bytes_max) {
      if (rejected != nullptr) rejected->push_back(TooLarge(rows, row, record));
      continue;
    }
    ARROW_RETURN_NOT_OK(visit(record));
    ++stats_.rows_written;
    stats_.bytes_written += int64_t(record.value.size());
  }
  return Status::OK();
}

DeadLetter JsonKafkaRowEncoder::TooLarge(const Rows& rows, int64_t row,
                                         const OutboxRecord& record) const {
  DeadLetter letter;
  letter.value = record.value;
  letter.key = record.key;
  letter.reason = "too_large";
  letter.message = "the row has " + std::to_string(record.value.size()) + " bytes; topic " +
                   options_.topic + " takes " + std::to_string(options_.record_bytes_max);
  if (rows.origins != nullptr) {
    letter.source = rows.origins->source;
    letter.offset = rows.origins->offsets[size_t(row)];
    letter.index = rows.origins->IndexOf(row);
  }
  return letter;
}

}  // namespace

std::unique_ptr<KafkaRowEncoder> KafkaRowEncoder::Make(KafkaRowEncoderOptions options) {
  return std::make_unique<JsonKafkaRowEncoder>(std::move(options));
}

OutboxRecord DeadLetterRecord(const DeadLetter& letter, std::string_view topic,
                              const RecordHeaders& headers, int64_t record_bytes_max,
                              std::vector<std::string>* scratch) {
  // Made before any view of them: short strings move with their vector.
  *scratch = {std::to_string(letter.source.partition), std::to_string(letter.offset),
              std::to_string(letter.value.size()), std::to_string(letter.index)};
  OutboxRecord record;
  record.topic = topic;
  record.value = letter.value;
  record.key = letter.key;
  record.has_key = !letter.key.empty();
  record.headers.assign(headers.begin(), headers.end());
  record.headers.emplace_back("reason", letter.reason);
  const size_t message = record.headers.size();
  record.headers.emplace_back("message", letter.message);
  record.headers.emplace_back("stream", letter.stream);
  if (!letter.source.topic.empty()) {
    record.headers.emplace_back("topic", letter.source.topic);
    record.headers.emplace_back("partition", (*scratch)[0]);
    record.headers.emplace_back("offset", (*scratch)[1]);
    if (letter.index >= 0) record.headers.emplace_back("index", (*scratch)[3]);
  }
  if (KafkaBatchBytes(record) <= record_bytes_max) return record;
  record.value = {};
  record.headers.emplace_back("value_bytes", (*scratch)[2]);
  if (KafkaBatchBytes(record) <= record_bytes_max) return record;
  record.key = {};
  record.has_key = false;
  record.headers[message].second = record.headers[message].second.substr(0, kShortMessageBytes);
  return record;
}

}  // namespace millrace
