#include "engine/connectors/kafka/kafka_sink.h"

#include <chrono>

#include "engine/connectors/kafka/kafka_producer.h"
#include "engine/connectors/kafka/kafka_row_encoder.h"

namespace millrace {
namespace {

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
  KafkaSink(std::unique_ptr<KafkaProducer> producer, KafkaRowEncoderOptions encoder)
      : producer_(std::move(producer)), options_(std::move(encoder)) {}

  Status Open() override;
  Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) override;
  Status Flush() override { return producer_->Flush(); }
  SinkStats stats() const override { return encoder_ == nullptr ? SinkStats() : encoder_->stats(); }
  std::string description() const override { return "kafka topic " + producer_->topic(); }

 private:
  const std::unique_ptr<KafkaProducer> producer_;
  KafkaRowEncoderOptions options_;
  std::unique_ptr<KafkaRowEncoder> encoder_;  // once it is open
};

Status KafkaSink::Open() {
  ARROW_RETURN_NOT_OK(producer_->Open());
  options_.record_bytes_max = producer_->record_bytes_max();
  encoder_ = KafkaRowEncoder::Make(options_);
  return Status::OK();
}

Status KafkaSink::Write(const Rows& rows, std::vector<DeadLetter>* rejected) {
  const auto now = std::chrono::floor<Micros>(std::chrono::system_clock::now());
  return encoder_->Encode(rows, now, rejected, [this](const OutboxRecord& record) {
    return producer_->Produce(record);
  });
}

}  // namespace

Result<std::unique_ptr<SinkWriter>> MakeKafkaSink(const KafkaSinkSpec& spec, const Schema& schema,
                                                  std::vector<int> keys, int time_column,
                                                  KafkaSinkOptions options) {
  KafkaRowEncoderOptions encoder;
  encoder.topic = spec.topic;
  encoder.schema = schema;
  encoder.keys = std::move(keys);
  encoder.time_column = time_column;
  encoder.headers = {{"millrace-job", options.job}};
  ARROW_ASSIGN_OR_RAISE(auto producer,
                        KafkaProducer::Make(ProducerOptions(spec, std::move(options))));
  return std::make_unique<KafkaSink>(std::move(producer), std::move(encoder));
}

}  // namespace millrace
