// What librdkafka 2.0.2 does, on which the mapping to outcomes rests (src/rdkafka_txnmgr.c):
//   - An error that "requires abort" leaves the transaction open here; an abort that then succeeds
//     was confirmed by the coordinator, which refuses it where the commit had already been decided.
//   - A commit waits by itself while the coordinator is away, for as long as it is told. Calling it
//     again after it has sent EndTxn never sends it again, and answers of calls that timed out can
//     be taken for those of later ones. So it is called once, with all the time there is, and
//     whatever is neither success nor "requires abort" is an unknown fate.
//   - init_transactions may be called again after it timed out, and goes on where it was. A client
//     whose request is still on its way must not be replaced by a new one: the late request would
//     fence it.
#include "engine/connectors/kafka/kafka_transactions.h"

#include "engine/connectors/kafka/kafka_records.h"
#include "engine/connectors/kafka/kafka_topics.h"
#include "engine/connectors/kafka/register_topic.h"
#include "engine/env/crash_point.h"

namespace millrace {
namespace {

constexpr int kWaitMs = 100;
constexpr int kCommitMsMin = 1000;  // a call that is too short ends before its answer can come
constexpr auto kAbortTimeout = std::chrono::seconds(3);
constexpr auto kTopicsTimeout = std::chrono::seconds(1);

// An error of the transactional interface; `code` NO_ERROR: none.
struct TransactionError {
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  bool requires_abort = false;
  bool retriable = false;
  bool fatal = false;
  std::string text;

  explicit operator bool() const { return code != RD_KAFKA_RESP_ERR_NO_ERROR; }
};

TransactionError Take(rd_kafka_error_t* error) {
  TransactionError taken;
  if (error == nullptr) return taken;
  taken.code = rd_kafka_error_code(error);
  taken.requires_abort = rd_kafka_error_txn_requires_abort(error) != 0;
  taken.retriable = rd_kafka_error_is_retriable(error) != 0;
  taken.fatal = rd_kafka_error_is_fatal(error) != 0;
  taken.text = rd_kafka_error_string(error);
  rd_kafka_error_destroy(error);
  return taken;
}

bool IsFenced(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
         code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

bool IsTopicMissing(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

// Why a transaction was given up. Whoever is told may try again, unless retrying cannot help.
Status Reason(rd_kafka_resp_err_t code, const std::string& text) {
  if (IsTopicMissing(code)) return ExternalError("topic_missing", text, Retry::kYes);
  switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return ExternalError("record_too_large", text, Retry::kNo);
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return ExternalError("broker_unreachable", text, Retry::kYes);
    default: {
      const Status usual = KafkaError(code, "");
      const ErrorDetail* const detail = ErrorDetail::Of(usual);
      return detail->domain() == ErrorDomain::kUser
                 ? UserError(detail->code(), text)
                 : ExternalError(detail->code(), text, detail->retry());
    }
  }
}

TransactionResult Done() { return {TransactionOutcome::kCommitted, Status::OK()}; }

struct TopicHandleDestroyer {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
using TopicHandle = std::unique_ptr<rd_kafka_topic_t, TopicHandleDestroyer>;

class RdKafkaTransactions final : public KafkaTransactions {
 public:
  explicit RdKafkaTransactions(KafkaTransactionsOptions options)
      : options_(std::move(options)),
        name_("millrace-" + options_.job + "-" + std::to_string(options_.shard)) {}
  ~RdKafkaTransactions() override { Drop(); }

  // The largest record of any topic; the largest batch that every topic takes.
  KafkaClientOptions ClientOptions(int64_t record_bytes_max, int64_t batch_bytes_max) const;

  Status Initialise(const std::vector<std::string>& topics, Micros timeout) override;
  TransactionResult Begin() override;
  TransactionResult Produce(const OutboxRecord& record) override;
  TransactionResult Commit(const proto::Register& state, Micros timeout) override;

 private:
  enum class Phase {
    kNone,          // no client, or one that is of no use any more: `lost_` says why
    kInitialising,  // its init_transactions is under way
    kReady,
    kOpen,  // in a transaction
  };

  void Drop();
  Status MakeClient(const OutputTopics& outputs);
  Status MakeTopicsKnown(const std::vector<std::string>& topics, const KafkaDeadline& deadline);
  Status InitTransactions(const KafkaDeadline& deadline);
  Result<rd_kafka_topic_t*> TopicOf(std::string_view topic);
  TransactionResult Enqueue(const OutboxRecord& record, int32_t partition);
  TransactionResult AwaitDelivery(const KafkaDeadline& deadline);
  TransactionResult AbortBecause(Status reason, Micros timeout);
  TransactionResult Lose(const TransactionError& error, const Status& reason);
  TransactionResult NotOpen() const;
  Status Explain(Status reason) const;
  void OnDelivery(const rd_kafka_message_t& message);
  Status Stopped(const std::string& what) const;
  bool stopping() const { return options_.stop != nullptr && options_.stop->load(); }
  rd_kafka_t* handle() const { return client_->handle(); }

  const KafkaTransactionsOptions options_;
  const std::string name_;  // client.id and transactional.id
  Phase phase_ = Phase::kNone;
  TransactionResult lost_ = {
      TransactionOutcome::kUnknown,
      InternalError("not_initialised", "transactions were used before Initialise")};
  std::shared_ptr<KafkaClient> client_;
  std::map<std::string, TopicHandle, std::less<>> topics_;
  Status delivery_error_;  // the first of the open transaction
};

KafkaClientOptions RdKafkaTransactions::ClientOptions(int64_t record_bytes_max,
                                                      int64_t batch_bytes_max) const {
  const std::string timeout = std::to_string(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.transaction_timeout).count());
  KafkaClientOptions client;
  client.type = RD_KAFKA_PRODUCER;
  client.defaults = KafkaProducerDefaults(name_);
  client.defaults["linger.ms"] = "2";
  client.defaults["message.max.bytes"] = std::to_string(record_bytes_max);
  client.defaults["batch.size"] = std::to_string(batch_bytes_max);
  client.layers = options_.layers;
  client.fixed = {{"enable.idempotence", "true"},
                  {"acks", "all"},
                  {"transactional.id", name_},
                  {"transaction.timeout.ms", timeout},
                  // Not more, or librdkafka refuses it: what is not delivered by then aborts.
                  {"message.timeout.ms", timeout},
                  // A topic that was deleted must be missed, not come back with other settings.
                  {"allow.auto.create.topics", "false"}};
  client.log = options_.log;
  return client;
}

// A client that has requests under way may take its time to end, or (librdkafka 2.0) never does:
// what is queued is dropped first, and ~KafkaClient waits for two seconds at most while a thread
// aside goes on ending it. Whatever that client still sends is fenced by the next Initialise.
void RdKafkaTransactions::Drop() {
  topics_.clear();
  if (client_ != nullptr) {
    rd_kafka_purge(handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                 RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_poll(handle(), 0);
  }
  client_.reset();
  phase_ = Phase::kNone;
}

Status RdKafkaTransactions::MakeClient(const OutputTopics& outputs) {
  int64_t smallest = 1'000'000;  // librdkafka's own batch.size
  int64_t largest = smallest;
  for (const auto& [topic, bytes] : outputs.record_bytes_max) {
    smallest = std::min(smallest, bytes);
    largest = std::max(largest, bytes);
  }
  KafkaClientOptions client = ClientOptions(largest, smallest);
  client.on_delivery = [this](const rd_kafka_message_t& message) { OnDelivery(message); };
  ARROW_ASSIGN_OR_RAISE(client_, KafkaClient::Make(std::move(client)));
  phase_ = Phase::kInitialising;
  return Status::OK();
}

Status RdKafkaTransactions::Initialise(const std::vector<std::string>& topics, Micros timeout) {
  const KafkaDeadline deadline(timeout);
  if (phase_ != Phase::kInitialising) Drop();
  ARROW_ASSIGN_OR_RAISE(const auto asking,
                        KafkaTopics::Make(name_, options_.layers, options_.log, options_.stop));
  OutputTopics outputs;
  for (const std::string& topic : topics) {
    ARROW_ASSIGN_OR_RAISE(outputs.record_bytes_max[topic], asking->PrepareOutput(topic, deadline));
  }
  ARROW_ASSIGN_OR_RAISE(const bool there, CheckRegisterTopic(asking.get(), deadline));
  if (!there) return RegisterMissing("does not exist");
  if (client_ == nullptr) ARROW_RETURN_NOT_OK(MakeClient(outputs));
  ARROW_RETURN_NOT_OK(MakeTopicsKnown(topics, deadline));
  ARROW_RETURN_NOT_OK(InitTransactions(deadline));
  delivery_error_ = Status::OK();
  phase_ = Phase::kReady;
  return Status::OK();
}

// Else the first transaction waits a second or two for metadata.
Status RdKafkaTransactions::MakeTopicsKnown(const std::vector<std::string>& topics,
                                            const KafkaDeadline& deadline) {
  std::vector<std::string> all = topics;
  all.push_back(kRegisterTopic);
  for (const std::string& topic : all) {
    ARROW_RETURN_NOT_OK(TopicOf(topic).status());
    ARROW_RETURN_NOT_OK(AwaitKafkaMetadata(*client_, topic, deadline, options_.stop).status());
  }
  return Status::OK();
}

Status RdKafkaTransactions::InitTransactions(const KafkaDeadline& deadline) {
  for (;;) {
    const TransactionError error =
        Take(rd_kafka_init_transactions(handle(), deadline.RemainingMs(kWaitMs, kWaitMs)));
    if (!error) return Status::OK();
    const std::string text = name_ + ": " + error.text;
    if (!error.retriable) {
      Drop();
      if (IsFenced(error.code)) return ExternalError("fenced", text, Retry::kYes);
      if (error.code == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT) {
        return UserError("bad_kafka_property", text + " (transaction.max.timeout.ms)");
      }
      return Reason(error.code, text);
    }
    // It goes on where it was when it is called again.
    if (stopping()) return Stopped("starting transactions");
    if (!deadline.passed()) continue;
    if (error.code == RD_KAFKA_RESP_ERR__TIMED_OUT) return client_->Unreachable();
    return ExternalError("broker_unreachable", text, Retry::kYes);
  }
}

Result<rd_kafka_topic_t*> RdKafkaTransactions::TopicOf(std::string_view topic) {
  const auto known = topics_.find(topic);
  if (known != topics_.end()) return known->second.get();
  const std::string name(topic);
  TopicHandle made(rd_kafka_topic_new(handle(), name.c_str(), nullptr));
  if (made == nullptr) return KafkaError(rd_kafka_last_error(), "topic " + name);
  return topics_.emplace(name, std::move(made)).first->second.get();
}

TransactionResult RdKafkaTransactions::Begin() {
  if (phase_ != Phase::kReady) return lost_;
  delivery_error_ = Status::OK();
  const TransactionError error = Take(rd_kafka_begin_transaction(handle()));
  if (error) return Lose(error, Reason(error.code, "beginning a transaction: " + error.text));
  phase_ = Phase::kOpen;
  return Done();
}

TransactionResult RdKafkaTransactions::Produce(const OutboxRecord& record) {
  return Enqueue(record, RD_KAFKA_PARTITION_UA);
}

TransactionResult RdKafkaTransactions::Enqueue(const OutboxRecord& record, int32_t partition) {
  if (phase_ != Phase::kOpen) return NotOpen();
  const auto topic = TopicOf(record.topic);
  if (!topic.ok()) return AbortBecause(topic.status(), kAbortTimeout);
  for (;;) {
    const auto error = EnqueueKafkaRecord(handle(), *topic, partition, record);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Done();
    const bool full = error == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    rd_kafka_poll(handle(), full ? kWaitMs : 0);
    if (!delivery_error_.ok()) return AbortBecause(delivery_error_, kAbortTimeout);
    if (!full) {
      const std::string text =
          "writing to topic " + std::string(record.topic) + ": " + rd_kafka_err2str(error);
      return AbortBecause(Reason(error, text), kAbortTimeout);
    }
    if (stopping()) return AbortBecause(Stopped("writing a transaction"), kAbortTimeout);
  }
}

TransactionResult RdKafkaTransactions::AwaitDelivery(const KafkaDeadline& deadline) {
  for (;;) {
    rd_kafka_flush(handle(), kWaitMs);
    if (!delivery_error_.ok()) return AbortBecause(delivery_error_, deadline.Remaining());
    const int waiting = rd_kafka_outq_len(handle());
    if (waiting == 0) return Done();
    if (stopping()) return AbortBecause(Stopped("ending a transaction"), kAbortTimeout);
    if (deadline.passed()) {
      const Status reason =
          WithContext(client_->Unreachable(), std::to_string(waiting) + " records wait");
      return AbortBecause(reason, kAbortTimeout);
    }
  }
}

TransactionResult RdKafkaTransactions::Commit(const proto::Register& state, Micros timeout) {
  const KafkaDeadline deadline(timeout);
  proto::Register written = state;
  written.set_format(kRegisterFormat);
  const std::string key = RegisterKey(options_.job, options_.shard);
  const std::string value = written.SerializeAsString();
  OutboxRecord record;
  record.topic = kRegisterTopic;
  record.has_key = true;
  record.key = key;
  record.value = value;
  TransactionResult result = Enqueue(record, RegisterPartitionOf(options_.job));
  if (result.outcome != TransactionOutcome::kCommitted) return result;
  result = AwaitDelivery(deadline);
  if (result.outcome != TransactionOutcome::kCommitted) return result;
  CrashPoint("transaction_delivered");
  const TransactionError error =
      Take(rd_kafka_commit_transaction(handle(), deadline.RemainingMs(kCommitMsMin)));
  if (!error) {
    phase_ = Phase::kReady;
    return Done();
  }
  const Status reason = Reason(error.code, "committing a transaction: " + error.text);
  if (error.requires_abort) return AbortBecause(reason, deadline.Remaining());
  return Lose(error, reason);
}

TransactionResult RdKafkaTransactions::NotOpen() const {
  if (phase_ != Phase::kReady) return lost_;
  return {TransactionOutcome::kAborted,
          InternalError("no_transaction", "no transaction is open in " + name_)};
}

TransactionResult RdKafkaTransactions::AbortBecause(Status reason, Micros timeout) {
  const int timeout_ms = KafkaDeadline(timeout).RemainingMs(kCommitMsMin);
  const TransactionError error = Take(rd_kafka_abort_transaction(handle(), timeout_ms));
  if (error) {
    const Status status = Reason(error.code, "aborting a transaction: " + error.text);
    return Lose(error, reason.ok() ? status : WithContext(reason, status.message()));
  }
  phase_ = Phase::kReady;
  return {TransactionOutcome::kAborted, Explain(std::move(reason))};
}

// The client is of no use any more.
TransactionResult RdKafkaTransactions::Lose(const TransactionError& error, const Status& reason) {
  char text[512] = "";
  const auto fatal = rd_kafka_fatal_error(handle(), text, sizeof(text));
  phase_ = Phase::kNone;
  if (IsFenced(error.code) || IsFenced(fatal)) {
    lost_ = {TransactionOutcome::kFenced,
             ExternalError("fenced", name_ + " was taken over: " + reason.message(), Retry::kYes)};
  } else {
    lost_ = {TransactionOutcome::kUnknown, Explain(reason)};
  }
  return lost_;
}

// Where a topic is missing, or nothing came of waiting for it: it may be the one that must not be.
Status RdKafkaTransactions::Explain(Status reason) const {
  const ErrorDetail* const detail = ErrorDetail::Of(reason);
  if (detail == nullptr ||
      (detail->code() != "topic_missing" && detail->code() != "broker_unreachable")) {
    return reason;
  }
  const auto metadata = client_->AllMetadata(kTopicsTimeout);
  if (!metadata.ok()) return reason;
  for (int i = 0; i < (*metadata)->topic_cnt; ++i) {
    if (std::string_view((*metadata)->topics[i].topic) == kRegisterTopic) return reason;
  }
  return RegisterMissing("was deleted");
}

void RdKafkaTransactions::OnDelivery(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR || !delivery_error_.ok()) return;
  // What the purge before an abort takes back says nothing of why.
  if (message.err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
      message.err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
    return;
  }
  delivery_error_ = Reason(message.err, std::string("topic ") + rd_kafka_topic_name(message.rkt) +
                                            ": " + rd_kafka_err2str(message.err));
}

Status RdKafkaTransactions::Stopped(const std::string& what) const {
  return ExternalError("stopped", name_ + ": " + what, Retry::kYes);
}

}  // namespace

Result<std::unique_ptr<KafkaTransactions>> KafkaTransactions::Make(
    KafkaTransactionsOptions options) {
  auto transactions = std::make_unique<RdKafkaTransactions>(std::move(options));
  // Made and dropped, so that a wrong property is told before anything runs.
  ARROW_RETURN_NOT_OK(
      KafkaClient::Make(transactions->ClientOptions(1'000'000, 1'000'000)).status());
  return std::unique_ptr<KafkaTransactions>(std::move(transactions));
}

Result<OutputTopics> PrepareOutputTopics(const std::string& job,
                                         const std::vector<std::string>& topics,
                                         const std::vector<KafkaProperties>& layers,
                                         const KafkaLog& log, Micros timeout) {
  const KafkaDeadline deadline(timeout);
  ARROW_ASSIGN_OR_RAISE(const auto asking,
                        KafkaTopics::Make("millrace-" + job, layers, log, nullptr));
  OutputTopics outputs;
  for (const std::string& topic : topics) {
    ARROW_ASSIGN_OR_RAISE(outputs.record_bytes_max[topic], asking->PrepareOutput(topic, deadline));
  }
  return outputs;
}

}  // namespace millrace
