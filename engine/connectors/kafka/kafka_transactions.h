// Kafka transactions of one sink shard, and the register that says what has been published.
// docs/exactly-once.md, "Publishing to Kafka". All calls block and belong to one thread.
//
// Every transaction holds records of the outbox and one record in the compacted register topic, so
// the register cannot differ from the topics, whatever is lost on the way.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/outbox/publisher_output.h"
#include "engine/outbox/segment.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

inline constexpr char kRegisterTopic[] = "millrace.progress";

struct KafkaTransactionsOptions {
  std::string job;
  int32_t shard = 0;
  std::vector<KafkaProperties> layers;  // the job's properties
  KafkaLog log;
  const std::atomic<bool>* stop = nullptr;  // ends waits with "stopped"
  // A reader of the output waits at most this long for a transaction of a process that died.
  Micros transaction_timeout = std::chrono::seconds(10);
};

class KafkaTransactions {
 public:
  // Properties are checked; nothing is connected. transactional.id: "millrace-<job>-<shard>".
  static Result<std::unique_ptr<KafkaTransactions>> Make(KafkaTransactionsOptions options);
  virtual ~KafkaTransactions() = default;

  // A new producer (an earlier one of this object is destroyed): fences every other one of this
  // shard and settles what it left. One that had no answer yet is not replaced but waited for
  // again. Creates `topics` that are missing (PrepareOutputTopics) and makes them and the register
  // topic known to the client, so that the first transaction does not wait for metadata.
  // "broker_unreachable" (retry), "stopped", "register_missing" (the register topic is not there),
  // "register_topic_unusable", "not_authorized", "bad_kafka_property" (user).
  virtual Status Initialise(const std::vector<std::string>& topics, Micros timeout) = 0;

  // The following give kCommitted with an OK status where they have done what they are to do.
  // After anything else no transaction is open any more: what failed is aborted here. After
  // kUnknown and kFenced they say the same again until Initialise has succeeded.
  //
  // Codes: "topic_missing", "broker_unreachable", "kafka_error", "stopped", "fenced" (retry);
  // "register_missing", "record_too_large", "not_authorized" (no retry).

  virtual TransactionResult Begin() = 0;
  // Queues a record; waits while the client's queue is full. The views need not outlive the call.
  virtual TransactionResult Produce(const OutboxRecord& record) = 0;
  // Adds the register (with its format) and commits. `stop` ends the wait for records to be
  // acknowledged, not the wait for the commit: that would leave its fate unknown. Takes three
  // seconds longer than `timeout` at most, to abort.
  virtual TransactionResult Commit(const proto::Register& state, Micros timeout) = 0;
};

struct RegisterPosition {
  int32_t partition = 0;
  int64_t offset = 0;
};

struct Registers {
  std::map<int32_t, proto::Register> shards;  // the last of each shard of the job
  // The end when it was read: a later read may begin here and misses nothing that was written
  // after; what stood before is in `shards`.
  RegisterPosition end;
  bool topic_missing = false;
};

// Reads the job's registers (key "<job>/<shard>", of every shard from 0 to shards - 1) up to the
// end of the topic as of the call, read_committed: waits for transactions of others that are still
// open before the end. `from`: where to begin; none: at the start. "broker_unreachable" (retry),
// "register_damaged", "format_too_new", "register_topic_unusable" (user), "register_missing" (the
// topic ends before `from`: it was made anew). A topic that is not there is told by
// `topic_missing`, not created.
Result<Registers> ReadRegisters(const std::string& job, const std::vector<KafkaProperties>& layers,
                                const KafkaLog& log, std::optional<RegisterPosition> from,
                                Micros timeout, const std::atomic<bool>* stop);

// Creates the register topic where it is missing (compacted, 8 partitions); true: it was.
// "register_topic_unusable" (user): it has fewer partitions, or is not compacted.
Result<bool> EnsureRegisterTopic(const std::vector<KafkaProperties>& layers, const KafkaLog& log,
                                 Micros timeout);

// The partition that a job's registers are in.
int32_t RegisterPartitionOf(const std::string& job);

// Where topics are missing they are created (4 partitions, retention.ms=-1) as KafkaProducer::Open
// does; the largest record that each takes (KafkaRowEncoderOptions), by topic.
struct OutputTopics {
  std::map<std::string, int64_t> record_bytes_max;
};
Result<OutputTopics> PrepareOutputTopics(const std::string& job,
                                         const std::vector<std::string>& topics,
                                         const std::vector<KafkaProperties>& layers,
                                         const KafkaLog& log, Micros timeout);

}  // namespace millrace
