#include "engine/connectors/kafka/kafka_topics.h"
#include "engine/connectors/kafka/kafka_transactions.h"
#include "engine/connectors/kafka/register_topic.h"

namespace millrace {
namespace {

constexpr int kPollMs = 100;
constexpr int kQueryTimeoutMs = 5000;

struct Range {
  int64_t low = 0;
  int64_t high = 0;
};

KafkaClientOptions ReaderOptions(const std::string& job, const std::vector<KafkaProperties>& layers,
                                 const KafkaLog& log) {
  KafkaClientOptions options;
  options.type = RD_KAFKA_CONSUMER;
  options.defaults = KafkaConnectionDefaults("millrace-" + job);
  options.defaults["group.id"] = "millrace-" + job;  // asked for, though nothing joins it
  options.defaults["fetch.wait.max.ms"] = "50";
  options.defaults["fetch.error.backoff.ms"] = "50";
  options.layers = layers;
  // Whatever the job wants of its sources.
  options.layers.push_back({{"isolation.level", "read_committed"},
                            {"enable.partition.eof", "true"},
                            {"auto.offset.reset", "error"},
                            {"enable.auto.commit", "false"},
                            {"enable.auto.offset.store", "false"},
                            {"statistics.interval.ms", "0"}});
  options.fixed = {{"allow.auto.create.topics", "false"}};
  options.log = log;
  return options;
}

// Reads one job's registers off one partition.
class RegisterReader {
 public:
  RegisterReader(const std::string& job, KafkaDeadline deadline, const std::atomic<bool>* stop)
      : job_(job), partition_(RegisterPartitionOf(job)), deadline_(deadline), stop_(stop) {}

  Result<Registers> Read(const std::vector<KafkaProperties>& layers, const KafkaLog& log,
                         std::optional<RegisterPosition> from);

 private:
  Result<Range> RangeNow(KafkaTopics* topics);
  Status Assign(int64_t offset);
  Status ReadTo(int64_t end, KafkaTopics* topics);
  Status Take(const rd_kafka_message_t& message, KafkaTopics* topics);
  Status TakeRecord(const rd_kafka_message_t& message);
  Status Late(int64_t end) const;
  bool stopping() const { return stop_ != nullptr && stop_->load(); }

  const std::string& job_;
  const int32_t partition_;
  const KafkaDeadline deadline_;
  const std::atomic<bool>* const stop_;
  std::shared_ptr<KafkaClient> client_;
  int64_t position_ = 0;
  bool heard_ = false;  // a broker has answered
  Registers registers_;
};

Result<Registers> RegisterReader::Read(const std::vector<KafkaProperties>& layers,
                                       const KafkaLog& log, std::optional<RegisterPosition> from) {
  // Asked uncommitted: read_committed, brokers give as the end what lies before open transactions.
  std::vector<KafkaProperties> asking = layers;
  asking.push_back({{"isolation.level", "read_uncommitted"}});
  ARROW_ASSIGN_OR_RAISE(const auto topics,
                        KafkaTopics::Make("millrace-" + job_, asking, log, stop_));
  ARROW_ASSIGN_OR_RAISE(const bool there, CheckRegisterTopic(topics.get(), deadline_));
  if (!there) {
    registers_.topic_missing = true;
    return std::move(registers_);
  }
  ARROW_ASSIGN_OR_RAISE(const Range range, RangeNow(topics.get()));
  registers_.end = {partition_, range.high};
  position_ = range.low;
  if (from.has_value() && from->partition == partition_) {
    if (from->offset > range.high) {
      return RegisterMissing("was deleted and made anew: it ends at " + std::to_string(range.high) +
                             " and had been read to " + std::to_string(from->offset));
    }
    position_ = std::max(position_, from->offset);
  }
  if (position_ < range.high) {
    ARROW_ASSIGN_OR_RAISE(client_, KafkaClient::Make(ReaderOptions(job_, layers, log)));
    rd_kafka_poll_set_consumer(client_->handle());
    ARROW_RETURN_NOT_OK(Assign(position_));
    ARROW_RETURN_NOT_OK(ReadTo(range.high, topics.get()));
  }
  return std::move(registers_);
}

Result<Range> RegisterReader::RangeNow(KafkaTopics* topics) {
  Range range;
  const auto error = rd_kafka_query_watermark_offsets(topics->client().handle(), kRegisterTopic,
                                                      partition_, &range.low, &range.high,
                                                      deadline_.RemainingMs(1, kQueryTimeoutMs));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return range;
  const Status status = KafkaError(error, "the end of the registers");
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail->code() == "broker_unreachable" ? topics->client().Unreachable() : status;
}

Status RegisterReader::Assign(int64_t offset) {
  const KafkaPartitions list = MakeKafkaPartitions({{kRegisterTopic, partition_}});
  list->elems[0].offset = offset;
  const auto error = rd_kafka_assign(client_->handle(), list.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Status::OK();
  return KafkaError(error, "reading the registers");
}

Status RegisterReader::ReadTo(int64_t end, KafkaTopics* topics) {
  while (position_ < end) {
    if (stopping()) return ExternalError("stopped", "reading the registers", Retry::kYes);
    if (deadline_.passed()) return Late(end);
    const std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
        rd_kafka_consumer_poll(client_->handle(), deadline_.RemainingMs(1, kPollMs)),
        rd_kafka_message_destroy);
    if (message != nullptr) ARROW_RETURN_NOT_OK(Take(*message, topics));
  }
  return Status::OK();
}

Status RegisterReader::Take(const rd_kafka_message_t& message, KafkaTopics* topics) {
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      heard_ = true;
      position_ = message.offset + 1;
      return TakeRecord(message);
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      // Its offset counts what is no record: markers of transactions, and what was compacted away.
      heard_ = true;
      position_ = std::max(position_, message.offset);
      return Status::OK();
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: {
      // The beginning was deleted meanwhile.
      ARROW_ASSIGN_OR_RAISE(const Range range, RangeNow(topics));
      if (range.high < position_) return RegisterMissing("was made anew while it was read");
      position_ = std::max(position_, range.low);
      return Assign(position_);
    }
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return RegisterMissing("was deleted while it was read");
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return KafkaError(message.err, "reading the registers");
    default:
      return Status::OK();  // passing trouble; librdkafka goes on trying
  }
}

Status RegisterReader::TakeRecord(const rd_kafka_message_t& message) {
  const std::string_view key(static_cast<const char*>(message.key), message.key_len);
  const auto shard = ShardOfRegisterKey(job_, key);
  if (!shard.has_value()) return Status::OK();
  if (message.payload == nullptr) {  // somebody deleted it
    registers_.shards.erase(*shard);
    return Status::OK();
  }
  std::string place(key);
  place += " at offset " + std::to_string(message.offset) + " of partition " +
           std::to_string(partition_) + " of ";
  place += kRegisterTopic;
  proto::Register state;
  if (!state.ParseFromArray(message.payload, int(message.len)) || state.format() < 1 ||
      state.epoch() < 0 || state.next_row() < 0) {
    return ExternalError("register_damaged", "the register " + place + " cannot be read",
                         Retry::kNo);
  }
  if (state.format() > kRegisterFormat) {
    return UserError("format_too_new",
                     "the register " + place + " has format " + std::to_string(state.format()) +
                         "; this build reads up to " + std::to_string(kRegisterFormat));
  }
  registers_.shards[*shard] = std::move(state);
  return Status::OK();
}

Status RegisterReader::Late(int64_t end) const {
  if (!heard_) return client_->Unreachable();
  return ExternalError("broker_unreachable",
                       "reading the registers: at " + std::to_string(position_) + " of " +
                           std::to_string(end) +
                           ", where the transaction of another producer is still open",
                       Retry::kYes);
}

}  // namespace

Result<Registers> ReadRegisters(const std::string& job, const std::vector<KafkaProperties>& layers,
                                const KafkaLog& log, std::optional<RegisterPosition> from,
                                Micros timeout, const std::atomic<bool>* stop) {
  return RegisterReader(job, KafkaDeadline(timeout), stop).Read(layers, log, from);
}

}  // namespace millrace
