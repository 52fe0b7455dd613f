#include "tools/simulator/topic_producer.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace millrace {
namespace {

constexpr int kTimeoutMs = 5000;
constexpr int kFullQueueWaitMs = 10;

struct ConfDeleter {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, ConfDeleter>;

Status SetProperty(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char reason[512];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason, sizeof(reason)) ==
      RD_KAFKA_CONF_OK) {
    return Status::OK();
  }
  return UserError("bad_property", reason);
}

Result<Conf> MakeConf(const TopicTarget& target) {
  Conf conf(rd_kafka_conf_new());
  std::map<std::string, std::string> properties = {
      {"bootstrap.servers", target.brokers},
      {"client.id", "millrace-simulator"},
      {"enable.idempotence", "true"},
      {"compression.codec", "lz4"},
      {"linger.ms", std::to_string(target.linger / std::chrono::milliseconds(1))},
      {"batch.size", "1000000"},
      {"batch.num.messages", "10000"},
      {"queue.buffering.max.messages", "200000"},
      {"queue.buffering.max.kbytes", "65536"},
  };
  for (const auto& [name, value] : target.properties) properties[name] = value;
  for (const auto& [name, value] : properties) {
    ARROW_RETURN_NOT_OK(SetProperty(conf.get(), name, value));
  }
  return conf;
}

}  // namespace

Result<std::unique_ptr<TopicProducer>> TopicProducer::Open(const TopicTarget& target) {
  std::unique_ptr<TopicProducer> producer(new TopicProducer());
  ARROW_RETURN_NOT_OK(producer->Connect(target));
  ARROW_ASSIGN_OR_RAISE(producer->partition_counts_, producer->FindPartitions(target.topics));
  for (size_t i = 0; i < target.topics.size(); ++i) {
    const std::string& topic = target.topics[i];
    if (producer->partition_counts_[i] < 0) {
      if (!target.create) {
        return UserError("topic_missing",
                         "topic '" + topic + "' does not exist; --create-topic makes it");
      }
      ARROW_RETURN_NOT_OK(producer->CreateTopic(target, topic));
      producer->partition_counts_[i] = target.partitions;
    }
    producer->topics_.emplace_back(
        rd_kafka_topic_new(producer->client_.get(), topic.c_str(), nullptr));
  }
  return producer;
}

TopicProducer::~TopicProducer() {
  // What was not flushed is given up.
  if (client_ != nullptr) {
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(client_.get(), 0);
  }
}

Status TopicProducer::Connect(const TopicTarget& target) {
  ARROW_ASSIGN_OR_RAISE(Conf conf, MakeConf(target));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), &TopicProducer::OnDelivery);
  rd_kafka_conf_set_error_cb(conf.get(), &TopicProducer::OnError);
  // Its own log lines would stand between ours; what matters comes as errors.
  rd_kafka_conf_set_log_cb(conf.get(), nullptr);
  char reason[512];
  client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), reason, sizeof(reason)));
  if (client_ == nullptr) return UserError("bad_property", reason);
  conf.release();  // the client's now
  return Status::OK();
}

Result<std::vector<int32_t>> TopicProducer::FindPartitions(const std::vector<std::string>& topics) {
  // All topics: asking for one by name would make a broker create it.
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(client_.get(), 1, nullptr, &metadata, kTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return ExternalError(
        "broker_unreachable",
        std::string("no answer from the broker within 5 s: ") + rd_kafka_err2str(error),
        Retry::kYes);
  }
  std::vector<int32_t> partitions(topics.size(), -1);
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const auto found = std::ranges::find(topics, std::string_view(metadata->topics[i].topic));
    if (found != topics.end()) {
      partitions[size_t(found - topics.begin())] = metadata->topics[i].partition_cnt;
    }
  }
  rd_kafka_metadata_destroy(metadata);
  return partitions;
}

namespace {

struct NewTopicDeleter {
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
};
struct QueueDeleter {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct EventDeleter {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
struct OptionsDeleter {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};

// The error of the one topic, with its text.
struct CreateOutcome {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string reason;
};

CreateOutcome TryCreate(rd_kafka_t* client, const std::string& name, int32_t partitions,
                        bool any_timestamp) {
  char reason[512] = "";
  std::unique_ptr<rd_kafka_NewTopic_t, NewTopicDeleter> topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, -1, reason, sizeof(reason)));
  if (topic == nullptr) return {RD_KAFKA_RESP_ERR__INVALID_ARG, reason};
  rd_kafka_NewTopic_set_config(topic.get(), "retention.ms", "-1");
  if (any_timestamp) {
    rd_kafka_NewTopic_set_config(topic.get(), "message.timestamp.after.max.ms",
                                 "9223372036854775807");
  }
  std::unique_ptr<rd_kafka_AdminOptions_t, OptionsDeleter> options(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS));
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), kTimeoutMs, reason, sizeof(reason));
  std::unique_ptr<rd_kafka_queue_t, QueueDeleter> queue(rd_kafka_queue_new(client));
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client, topics, 1, options.get(), queue.get());
  std::unique_ptr<rd_kafka_event_t, EventDeleter> event(
      rd_kafka_queue_poll(queue.get(), 2 * kTimeoutMs));
  if (event == nullptr) return {RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer within 10 s"};
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {rd_kafka_event_error(event.get()), rd_kafka_event_error_string(event.get())};
  }
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  if (count != 1) return {RD_KAFKA_RESP_ERR__FAIL, "no result"};
  const char* text = rd_kafka_topic_result_error_string(results[0]);
  return {rd_kafka_topic_result_error(results[0]), text == nullptr ? "" : text};
}

}  // namespace

Status TopicProducer::CreateTopic(const TopicTarget& target, const std::string& topic) {
  CreateOutcome outcome = TryCreate(client_.get(), topic, target.partitions, true);
  // Brokers before 3.6 do not know the limit, and have none.
  if (outcome.error == RD_KAFKA_RESP_ERR_INVALID_CONFIG) {
    outcome = TryCreate(client_.get(), topic, target.partitions, false);
  }
  if (outcome.error == RD_KAFKA_RESP_ERR_NO_ERROR ||
      outcome.error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return Status::OK();
  }
  return ExternalError("topic_not_created",
                       "topic '" + topic + "' could not be created: " +
                           rd_kafka_err2str(outcome.error) + ": " + outcome.reason,
                       Retry::kNo);
}

Status TopicProducer::Produce(int32_t topic, int32_t partition, std::string_view key,
                              std::string_view value, EventTime record_time) {
  const int64_t millis = record_time.time_since_epoch() / std::chrono::milliseconds(1);
  while (true) {
    const auto error =
        rd_kafka_producev(client_.get(), RD_KAFKA_V_RKT(topics_[size_t(topic)].get()),
                          RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(key.data(), key.size()),
                          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                          RD_KAFKA_V_TIMESTAMP(millis), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return failure();
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      return ExternalError("delivery_failed", rd_kafka_err2str(error), Retry::kNo);
    }
    rd_kafka_poll(client_.get(), kFullQueueWaitMs);
    ARROW_RETURN_NOT_OK(failure());
  }
}

Status TopicProducer::Poll() {
  rd_kafka_poll(client_.get(), 0);
  return failure();
}

Status TopicProducer::Flush(Micros timeout) {
  rd_kafka_flush(client_.get(), int(timeout / std::chrono::milliseconds(1)));
  ARROW_RETURN_NOT_OK(failure());
  const int left = rd_kafka_outq_len(client_.get());
  if (left == 0) return Status::OK();
  return ExternalError("delivery_failed",
                       std::to_string(left) + " records were not acknowledged in time",
                       Retry::kYes);
}

Status TopicProducer::failure() const {
  if (refused_ == 0) return Status::OK();
  return ExternalError(
      "delivery_failed",
      std::to_string(refused_) + " records were refused, the first with: " + first_refusal_,
      Retry::kNo);
}

void TopicProducer::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  TopicProducer* producer = static_cast<TopicProducer*>(self);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++producer->acknowledged_;
  } else if (++producer->refused_ == 1) {
    producer->first_refusal_ = rd_kafka_err2str(message->err);
  }
}

void TopicProducer::OnError(rd_kafka_t* client, int error, const char* reason, void* self) {
  // Passing trouble is retried by the client; what is fatal fails the run.
  if (error != RD_KAFKA_RESP_ERR__FATAL) return;
  TopicProducer* producer = static_cast<TopicProducer*>(self);
  if (++producer->refused_ == 1) producer->first_refusal_ = reason;
}

}  // namespace millrace
