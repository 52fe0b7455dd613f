// For tests: librdkafka's own mock cluster, with brokers on loopback inside this process.
#pragma once

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/source.h"

namespace millrace {

class MockCluster {
 public:
  MockCluster() {
    char text[256];
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));  // it misses brokers of its own
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cluster_ = rd_kafka_mock_cluster_new(handle_, 1);
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  KafkaProperties properties() const {
    return {{"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster_)}};
  }
  void CreateTopic(const std::string& topic, int partitions) {
    ASSERT_EQ(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  // The mock creates whatever is asked for; these it does not know.
  void ForgetTopic(const std::string& topic) {
    rd_kafka_mock_topic_set_error(cluster_, topic.c_str(), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  }
  // The next requests of a kind are answered with these errors, one after the other.
  enum class Request : int16_t {
    kProduce = 0,
    kInitProducerId = 22,
    kAddPartitions = 24,
    kEndTxn = 26
  };
  void Fail(Request request, const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, int16_t(request), errors.size(),
                                            errors.data());
  }
  void StopFailing(Request request) {
    rd_kafka_mock_clear_request_errors(cluster_, int16_t(request));
  }
  void TakeBrokerDown() { rd_kafka_mock_broker_set_down(cluster_, 1); }
  void BringBrokerUp() { rd_kafka_mock_broker_set_up(cluster_, 1); }

 private:
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

struct TestRecord {
  int32_t partition = 0;
  std::string key;
  std::string value;
  int64_t timestamp_ms = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // when read
  bool has_value = true;                                     // else it is a tombstone
};

// Writes records one after the other, with a plain producer.
inline void ProduceRecords(const KafkaProperties& properties, const std::string& topic,
                           const std::vector<TestRecord>& records) {
  char text[256];
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof(text));
  }
  rd_kafka_t* const producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
  ASSERT_NE(producer, nullptr) << text;
  for (const TestRecord& record : records) {
    const void* const key = record.key.empty() ? nullptr : record.key.data();
    void* const value = record.has_value ? const_cast<char*>(record.value.data()) : nullptr;
    ASSERT_EQ(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic.c_str()),
                                RD_KAFKA_V_PARTITION(record.partition),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_VALUE(value, record.has_value ? record.value.size() : 0),
                                RD_KAFKA_V_KEY(key, record.key.size()),
                                RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  ASSERT_EQ(rd_kafka_flush(producer, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_destroy(producer);
}

// Reads `count` records of one partition from its beginning, with a plain consumer.
inline std::vector<TestRecord> ConsumeRecords(KafkaProperties properties, const std::string& topic,
                                              int32_t partitions, size_t count) {
  char text[256];
  properties["group.id"] = "test";
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof(text));
  }
  rd_kafka_t* const consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
  rd_kafka_poll_set_consumer(consumer);
  std::vector<TopicPartition> all;
  for (int32_t i = 0; i < partitions; ++i) all.push_back({topic, i});
  const KafkaPartitions list = MakeKafkaPartitions(all);
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(consumer, list.get());
  std::vector<TestRecord> records;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (records.size() < count && std::chrono::steady_clock::now() < deadline) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      TestRecord record;
      record.partition = message->partition;
      record.key.assign(static_cast<const char*>(message->key), message->key_len);
      record.value.assign(static_cast<const char*>(message->payload), message->len);
      record.timestamp_ms = rd_kafka_message_timestamp(message, nullptr);
      rd_kafka_headers_t* headers = nullptr;
      if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name;
        const void* value;
        size_t size;
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                           RD_KAFKA_RESP_ERR_NO_ERROR;
             ++i) {
          record.headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
        }
      }
      records.push_back(std::move(record));
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_destroy_flags(consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  return records;
}

// Polls a reader whenever it wakes, and keeps what came.
class PollingReader {
 public:
  explicit PollingReader(std::unique_ptr<SourceReader> reader) : reader_(std::move(reader)) {
    reader_->SetWakeUp([this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_one();
    });
  }
  SourceReader* operator->() { return reader_.get(); }

  // Until `done` holds or a poll fails; false after 20 s.
  bool PollUntil(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      auto polled = reader_->Poll(1000);
      if (!polled.ok()) {
        status = polled.status();
        return done();
      }
      for (auto& batch : polled->batches) batches.push_back(std::move(batch));
      for (auto& event : polled->events) events.push_back(std::move(event));
      if (done()) return true;
      if (!polled->more) WaitForWakeUp();
    }
    return false;
  }
  int64_t rows() const {
    int64_t sum = 0;
    for (const auto& batch : batches) sum += batch.rows.size();
    return sum;
  }
  int64_t rejected() const {
    int64_t sum = 0;
    for (const auto& batch : batches) sum += int64_t(batch.rejected.size());
    return sum;
  }
  int CountEvents(SourceEvent::Kind kind) const {
    int count = 0;
    for (const auto& event : events) count += event.kind == kind;
    return count;
  }

  std::vector<SourceBatch> batches;
  std::vector<SourceEvent> events;
  Status status;

 private:
  void WaitForWakeUp() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(2), [this] { return woken_; });
    woken_ = false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  std::unique_ptr<SourceReader> reader_;
};

inline std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

}  // namespace millrace
