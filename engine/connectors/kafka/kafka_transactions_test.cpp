#include "engine/connectors/kafka/kafka_transactions.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/connectors/kafka/mock_cluster_testing.h"
#include "engine/connectors/kafka/register_topic.h"

namespace millrace {
namespace {

using Outcome = TransactionOutcome;
using Request = MockCluster::Request;
constexpr auto kTimeout = std::chrono::seconds(10);
const std::string kJob = "smoke";
const std::vector<std::string> kOutputs = {"windows", "alerts"};

class KafkaTransactionsTest : public testing::Test {
 protected:
  KafkaTransactionsTest() {
    for (const std::string& topic : kOutputs) cluster_.CreateTopic(topic, 4);
    cluster_.CreateTopic(kRegisterTopic, kRegisterPartitions);
    options_.job = kJob;
    options_.shard = 2;
    options_.layers = {cluster_.properties()};
    options_.stop = &stop_;
    options_.transaction_timeout = std::chrono::seconds(5);
  }

  void Start() {
    transactions_ = KafkaTransactions::Make(options_).ValueOrDie();
    const Status started = transactions_->Initialise(kOutputs, kTimeout);
    ASSERT_TRUE(started.ok()) << started.ToString();
  }
  TransactionResult Write(const std::string& topic, const std::string& value) {
    OutboxRecord record;
    record.topic = topic;
    record.has_key = true;
    record.key = "dev-1";
    record.value = value;
    record.timestamp_ms = 1'655'129'700'000;
    record.headers = {{"millrace-job", kJob}};
    return transactions_->Produce(record);
  }
  // One transaction of one record.
  TransactionResult Publish(const std::string& value, Micros timeout = kTimeout) {
    TransactionResult result = transactions_->Begin();
    if (result.outcome == Outcome::kCommitted) result = Write("windows", value);
    if (result.outcome == Outcome::kCommitted) {
      result = transactions_->Commit(State(3, 30), timeout);
    }
    return result;
  }
  void ExpectCommitted(const TransactionResult& result) {
    EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.status.ToString();
    EXPECT_TRUE(result.status.ok()) << result.status.ToString();
  }
  void Expect(const TransactionResult& result, Outcome outcome, const std::string& code,
              Retry retry) {
    EXPECT_EQ(result.outcome, outcome) << result.status.ToString();
    EXPECT_EQ(CodeOf(result.status), code) << result.status.ToString();
    const ErrorDetail* const detail = ErrorDetail::Of(result.status);
    ASSERT_NE(detail, nullptr);
    EXPECT_EQ(detail->retry(), retry) << result.status.ToString();
  }
  // After a fate is unknown, or another producer has taken over.
  void ExpectRecovers() {
    const Status again = transactions_->Initialise(kOutputs, kTimeout);
    ASSERT_TRUE(again.ok()) << again.ToString();
    ExpectCommitted(Publish("recovered"));
  }
  static proto::Register State(int64_t epoch, int64_t next_row) {
    proto::Register state;
    state.set_generation("abc");
    state.set_epoch(epoch);
    state.set_next_row(next_row);
    return state;
  }

  MockCluster cluster_;
  std::atomic<bool> stop_ = false;
  KafkaTransactionsOptions options_;
  std::unique_ptr<KafkaTransactions> transactions_;
};

TEST_F(KafkaTransactionsTest, RecordsAndTheRegisterAreWritten) {
  Start();
  ExpectCommitted(transactions_->Begin());
  ExpectCommitted(Write("windows", "one"));
  ExpectCommitted(Write("alerts", "two"));
  ExpectCommitted(transactions_->Commit(State(3, 30), kTimeout));
  const auto windows = ConsumeRecords(cluster_.properties(), "windows", 4, 1);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].value, "one");
  EXPECT_EQ(windows[0].key, "dev-1");
  EXPECT_EQ(windows[0].partition, 1);  // as Java's client spreads keys
  EXPECT_EQ(windows[0].timestamp_ms, 1'655'129'700'000);
  ASSERT_EQ(windows[0].headers.size(), 1u);
  EXPECT_EQ(windows[0].headers[0].second, kJob);
  EXPECT_EQ(ConsumeRecords(cluster_.properties(), "alerts", 4, 1).at(0).value, "two");
  const Registers registers =
      ReadRegisters(kJob, options_.layers, nullptr, std::nullopt, kTimeout, nullptr).ValueOrDie();
  ASSERT_EQ(registers.shards.size(), 1u);
  EXPECT_EQ(registers.shards.at(2).epoch(), 3);
  EXPECT_EQ(registers.shards.at(2).next_row(), 30);
  EXPECT_EQ(registers.shards.at(2).format(), kRegisterFormat);
}

TEST_F(KafkaTransactionsTest, OneFollowsTheOther) {
  Start();
  for (int i = 0; i < 20; ++i) ExpectCommitted(Publish(std::to_string(i)));
  EXPECT_EQ(ConsumeRecords(cluster_.properties(), "windows", 4, 20).size(), 20u);
}

TEST_F(KafkaTransactionsTest, NothingWorksBeforeInitialise) {
  transactions_ = KafkaTransactions::Make(options_).ValueOrDie();
  Expect(transactions_->Begin(), Outcome::kUnknown, "not_initialised", Retry::kNo);
}

// ---- ending a transaction

TEST_F(KafkaTransactionsTest, ACoordinatorThatMovesIsFoundAgain) {
  Start();
  cluster_.Fail(Request::kEndTxn, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                   RD_KAFKA_RESP_ERR_NOT_COORDINATOR});
  ExpectCommitted(Publish("one"));
}

TEST_F(KafkaTransactionsTest, ACommitThatIsNotAnsweredHasAnUnknownFate) {
  Start();
  cluster_.Fail(Request::kEndTxn,
                std::vector<rd_kafka_resp_err_t>(50, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE));
  Expect(Publish("one", std::chrono::seconds(2)), Outcome::kUnknown, "broker_unreachable",
         Retry::kYes);
  // And stays so.
  Expect(transactions_->Begin(), Outcome::kUnknown, "broker_unreachable", Retry::kYes);
  cluster_.StopFailing(Request::kEndTxn);
  ExpectRecovers();
}

TEST_F(KafkaTransactionsTest, ACommitWhoseConnectionIsLostHasAnUnknownFate) {
  Start();
  cluster_.Fail(Request::kEndTxn,
                std::vector<rd_kafka_resp_err_t>(50, RD_KAFKA_RESP_ERR__TRANSPORT));
  Expect(Publish("one", std::chrono::seconds(2)), Outcome::kUnknown, "broker_unreachable",
         Retry::kYes);
  cluster_.StopFailing(Request::kEndTxn);
  ExpectRecovers();
}

TEST_F(KafkaTransactionsTest, ACommitThatLosesItsConnectionOnceGoesOn) {
  Start();
  cluster_.Fail(Request::kEndTxn, {RD_KAFKA_RESP_ERR__TRANSPORT});
  ExpectCommitted(Publish("one"));
}

TEST_F(KafkaTransactionsTest, AnotherProducerIsToldWhenATransactionEnds) {
  for (const auto error :
       {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_PRODUCER_FENCED}) {
    Start();
    cluster_.Fail(Request::kEndTxn, {error});
    Expect(Publish("one"), Outcome::kFenced, "fenced", Retry::kYes);
    Expect(transactions_->Begin(), Outcome::kFenced, "fenced", Retry::kYes);
    ExpectRecovers();
  }
}

TEST_F(KafkaTransactionsTest, AFatalErrorOfACommitIsAnUnknownFate) {
  Start();
  cluster_.Fail(Request::kEndTxn, {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE});
  Expect(Publish("one"), Outcome::kUnknown, "kafka_error", Retry::kYes);
  ExpectRecovers();
}

TEST_F(KafkaTransactionsTest, ACommitThatIsRefusedIsAborted) {
  Start();
  cluster_.Fail(Request::kEndTxn, {RD_KAFKA_RESP_ERR_UNKNOWN});
  Expect(Publish("one"), Outcome::kAborted, "kafka_error", Retry::kYes);
  ExpectCommitted(Publish("two"));
}

TEST_F(KafkaTransactionsTest, AnAbortThatCannotBeConfirmedIsAnUnknownFate) {
  Start();
  cluster_.Fail(Request::kEndTxn, {RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE});
  Expect(Publish("one"), Outcome::kUnknown, "kafka_error", Retry::kYes);
  ExpectRecovers();
}

// ---- writing

TEST_F(KafkaTransactionsTest, ARecordThatIsRefusedAbortsItsTransaction) {
  Start();
  cluster_.Fail(Request::kProduce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  Expect(Publish("one"), Outcome::kAborted, "record_too_large", Retry::kNo);
  // The first that follows may be aborted too: the record's sequence number is missed only then.
  TransactionResult next = Publish("two");
  if (next.outcome == Outcome::kAborted) next = Publish("two");
  ExpectCommitted(next);
  cluster_.Fail(Request::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  Expect(Publish("three"), Outcome::kAborted, "not_authorized", Retry::kNo);
  ExpectRecovers();  // the client remembers that the topic was refused
}

TEST_F(KafkaTransactionsTest, APassingErrorOfAWriteIsRetried) {
  Start();
  cluster_.Fail(Request::kProduce,
                {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT});
  ExpectCommitted(Publish("one"));
}

TEST_F(KafkaTransactionsTest, AnotherProducerIsToldWhenPartitionsAreAdded) {
  Start();
  cluster_.Fail(Request::kAddPartitions, {RD_KAFKA_RESP_ERR_PRODUCER_FENCED});
  Expect(Publish("one"), Outcome::kFenced, "fenced", Retry::kYes);
  ExpectRecovers();
}

TEST_F(KafkaTransactionsTest, ATopicThatMayNotBeWrittenAborts) {
  Start();
  cluster_.Fail(Request::kAddPartitions, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  Expect(Publish("one"), Outcome::kAborted, "not_authorized", Retry::kNo);
  ExpectCommitted(Publish("two"));
}

TEST_F(KafkaTransactionsTest, AnOutputTopicThatIsDeletedAborts) {
  options_.transaction_timeout = std::chrono::seconds(2);
  Start();
  ExpectCommitted(Publish("one"));
  cluster_.ForgetTopic("windows");
  const TransactionResult result = Publish("two");
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.status.ToString();
  EXPECT_EQ(ErrorDetail::Of(result.status)->retry(), Retry::kYes) << result.status.ToString();
}

TEST_F(KafkaTransactionsTest, AFullQueueWaitsUntilItIsToldToStop) {
  options_.layers.push_back({{"queue.buffering.max.messages", "2"}});
  Start();
  cluster_.TakeBrokerDown();
  ExpectCommitted(transactions_->Begin());
  ExpectCommitted(Write("windows", "one"));
  ExpectCommitted(Write("windows", "two"));
  TransactionResult result;
  std::thread writer([&] { result = Write("windows", "three"); });
  stop_ = true;
  writer.join();
  EXPECT_EQ(CodeOf(result.status), "stopped");
  EXPECT_NE(result.outcome, Outcome::kCommitted);
}

TEST_F(KafkaTransactionsTest, ABrokerThatIsAwayEndsTheWaitForACommit) {
  Start();
  ExpectCommitted(Publish("one"));
  cluster_.TakeBrokerDown();
  const auto before = std::chrono::steady_clock::now();
  const TransactionResult result = Publish("two", std::chrono::milliseconds(500));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
  // Aborted where the coordinator had not heard of the transaction yet.
  EXPECT_NE(result.outcome, Outcome::kCommitted);
  EXPECT_NE(result.outcome, Outcome::kFenced);
  EXPECT_EQ(CodeOf(result.status), "broker_unreachable") << result.status.ToString();
  EXPECT_EQ(CodeOf(transactions_->Initialise(kOutputs, std::chrono::milliseconds(300))),
            "broker_unreachable");
  cluster_.BringBrokerUp();
  ExpectRecovers();
}

// ---- starting

TEST_F(KafkaTransactionsTest, AStartGoesOnWhereItTimedOut) {
  transactions_ = KafkaTransactions::Make(options_).ValueOrDie();
  cluster_.Fail(Request::kInitProducerId, std::vector<rd_kafka_resp_err_t>(
                                              200, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS));
  EXPECT_EQ(CodeOf(transactions_->Initialise(kOutputs, std::chrono::milliseconds(700))),
            "broker_unreachable");
  Expect(transactions_->Begin(), Outcome::kUnknown, "not_initialised", Retry::kNo);
  cluster_.StopFailing(Request::kInitProducerId);
  ExpectRecovers();
}

TEST_F(KafkaTransactionsTest, AStartTellsWhatCannotBeHelped) {
  transactions_ = KafkaTransactions::Make(options_).ValueOrDie();
  cluster_.Fail(Request::kInitProducerId,
                {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED});
  EXPECT_EQ(CodeOf(transactions_->Initialise(kOutputs, kTimeout)), "not_authorized");
  cluster_.Fail(Request::kInitProducerId, {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT});
  EXPECT_EQ(CodeOf(transactions_->Initialise(kOutputs, kTimeout)), "bad_kafka_property");
  ExpectRecovers();
  cluster_.ForgetTopic(kRegisterTopic);
  const Status missing = transactions_->Initialise(kOutputs, kTimeout);
  EXPECT_EQ(CodeOf(missing), "register_missing");
  EXPECT_EQ(ErrorDetail::Of(missing)->retry(), Retry::kNo);
}

TEST_F(KafkaTransactionsTest, APropertyThatMustNotBeSetIsRefused) {
  for (const char* const name : {"transactional.id", "message.timeout.ms", "acks"}) {
    options_.layers = {cluster_.properties(), {{name, "1"}}};
    EXPECT_EQ(CodeOf(KafkaTransactions::Make(options_).status()), "bad_kafka_property") << name;
  }
}

}  // namespace
}  // namespace millrace
