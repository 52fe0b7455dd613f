// Reads some partitions of a source's topics with a client of its own; see kafka_source.h for what
// it promises. All methods are the reader's thread's; librdkafka's thread only calls the wake-up.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/kafka/partition_health.h"
#include "engine/connectors/kafka/record_batch_maker.h"
#include "engine/connectors/kafka/topic_watch.h"
#include "engine/connectors/source.h"
#include "engine/plan/plan.h"

namespace millrace {

class KafkaReader final : public SourceReader {
 public:
  struct Options {
    SourceNode node;
    bool read_committed = true;
    // Whether this reader announces partitions other than these.
    bool announces = false;
    std::vector<TopicPartition> known_partitions;
    bool tells_tombstones = false;
  };

  static Result<std::unique_ptr<SourceReader>> Make(KafkaClientOptions client, Options options);
  ~KafkaReader() override;

  Status Start(const std::vector<StartPosition>& positions) override;
  Status AddPartition(const StartPosition& position) override;
  Result<Polled> Poll(int64_t rows_max) override;
  void SetWakeUp(std::function<void()> wake_up) override;
  Status Commit(const std::vector<CommittedPosition>& positions) override;
  int64_t LagRecords() const override;
  void Stop() override;

 private:
  struct Partition {
    TopicPartition name;
    RecordBatchMaker maker;
    PartitionHealth health;
    int64_t position = -1;  // next offset to be polled; -1: not known yet
    bool at_end = false;
    bool range_asked = false;  // its position was out of range
    bool read = false;         // in the poll under way
    bool end_told = false;     // likewise
    rd_kafka_resp_err_t last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
  };

  explicit KafkaReader(Options options) : options_(std::move(options)) {}

  const KafkaSourceSpec& spec() const {
    return std::get<KafkaSourceSpec>(options_.node.spec.input);
  }
  Status Read(const StartPosition& position);
  Result<int64_t> ResolveStart(const StartPosition& position) const;
  Result<int64_t> OffsetForTime(const TopicPartition& partition, EventTime time) const;
  Result<int64_t> EndOffset(const TopicPartition& partition) const;
  Status Assign(const TopicPartition& partition, int64_t offset);

  Partition* Find(const rd_kafka_message_t& message);
  Partition* Find(const TopicPartition& name);
  void Read(int64_t rows_max, Polled* polled);
  void Take(int64_t rows_max, Polled* polled);
  bool HasWaiting() const { return taken_ < messages_.size(); }
  void ReadError(const rd_kafka_message_t& message, Partition* partition, Polled* polled);
  void KeepFetching(const Partition* partition);
  Status TakeFindings(Polled* polled);
  Status ResumeLost(const TopicWatch::Range& range, Polled* polled);
  void TakeStatistics(std::string_view json);
  void TakeCommitResults(int timeout_ms);
  void SendCommit();

  const Options options_;
  std::function<void()> wake_up_;
  std::shared_ptr<KafkaClient> client_;
  rd_kafka_queue_t* queue_ = nullptr;
  rd_kafka_queue_t* commit_queue_ = nullptr;
  std::unique_ptr<TopicWatch> watch_;
  bool stopped_ = false;

  std::map<TopicPartition, std::unique_ptr<Partition>> partitions_;
  // librdkafka hands out one pointer a topic: found without comparing names.
  std::map<std::pair<const void*, int32_t>, Partition*> by_handle_;
  std::vector<rd_kafka_message_t*> messages_;
  size_t taken_ = 0;                 // of messages_: the others wait for the next poll
  size_t queued_most_ = 0;           // since fetching was last kept going
  bool caught_up_ = false;           // nothing that was fetched waited, since the last statistics
  std::vector<SourceEvent> events_;  // for the next Poll
  Status failed_;                    // stays

  std::optional<std::vector<CommittedPosition>> commit_next_;
  bool commit_under_way_ = false;
  bool commit_failing_ = false;
};

}  // namespace millrace
