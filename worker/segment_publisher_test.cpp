// Publishing a shard's segments to a topic in memory, which may fail as Kafka does.
#include "worker/segment_publisher.h"

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>

#include <deque>

#include "engine/env/clock.h"
#include "engine/storage/storage_testing.h"

namespace millrace {
namespace {

using Lines = std::vector<std::string>;

const std::string kGeneration(32, 'a');

// What a test sets and sees of the topic.
class FakeOutput final : public PublisherOutput {
 public:
  // How the next calls end; none: well. `lost_answers`: commits that count, but end as unknown.
  std::deque<Status> initialise;
  std::deque<Status> register_reads;
  std::deque<TransactionResult> begins, produces, commits;
  int lost_answers = 0;
  std::function<void()> on_produce = [] {};

  Lines committed;                   // values
  std::vector<size_t> sizes;         // records, by transaction
  std::vector<std::string> headers;  // of each committed record, "name=value name=value"
  std::optional<proto::Register> progress;
  int initialised = 0;
  int begun = 0;

  Status Initialise() override {
    ++initialised;
    open_.clear();
    return TakeFrom(&initialise, Status::OK());
  }
  Result<std::optional<proto::Register>> ReadRegister() override {
    ARROW_RETURN_NOT_OK(TakeFrom(&register_reads, Status::OK()));
    return progress;
  }
  TransactionResult Begin() override {
    ++begun;
    open_.clear();
    open_headers_.clear();
    return TakeFrom(&begins, kOk);
  }
  TransactionResult Produce(const OutboxRecord& record) override {
    on_produce();
    open_.emplace_back(record.value);
    std::string text;
    for (const auto& [name, value] : record.headers) {
      text += (text.empty() ? "" : " ") + std::string(name) + "=" + std::string(value);
    }
    open_headers_.push_back(text);
    return TakeFrom(&produces, kOk);
  }
  TransactionResult Commit(const proto::Register& state) override {
    const TransactionResult result = TakeFrom(&commits, kOk);
    if (result.outcome != TransactionOutcome::kCommitted) return result;
    sizes.push_back(open_.size());
    committed.insert(committed.end(), open_.begin(), open_.end());
    headers.insert(headers.end(), open_headers_.begin(), open_headers_.end());
    progress = state;
    if (lost_answers == 0) return result;
    --lost_answers;
    return {TransactionOutcome::kUnknown, ExternalError("timed_out", "no answer", Retry::kYes)};
  }

 private:
  inline static const TransactionResult kOk{TransactionOutcome::kCommitted, Status::OK()};
  template <typename T>
  static T TakeFrom(std::deque<T>* script, T otherwise) {
    if (script->empty()) return otherwise;
    T next = script->front();
    script->pop_front();
    return next;
  }

  Lines open_;
  Lines open_headers_;
};

TransactionResult Ends(TransactionOutcome outcome, Retry retry = Retry::kYes) {
  return {outcome, ExternalError("trouble", "trouble", retry)};
}

class SegmentPublisherTest : public testing::Test, public SegmentPublisherHost {
 protected:
  // SegmentPublisherHost
  void AskPermission() override { lines_.push_back("ask"); }
  void Published(Epoch epoch, int64_t next_row) override {
    lines_.push_back("published " + std::to_string(epoch.value()) + " " + std::to_string(next_row));
  }
  void Warn(const std::string& message) override { lines_.push_back("warn " + message); }

  void Begin(ShardKnowledge known = {}) {
    Lineage lineage;
    lineage.job = "fleet";
    lineage.generation = kGeneration;
    publisher_ =
        std::make_unique<SegmentPublisher>(lineage, known, storage_.get(), &output_, &clock_);
  }
  proto::Segment Segment(int64_t epoch, int64_t first_row, const Lines& values) {
    auto file = storage_->Create("outbox/" + std::to_string(epoch) + ".records").ValueOrDie();
    RecordSegmentWriter writer(std::move(file));
    for (const std::string& value : values) {
      OutboxRecord record;
      record.topic = "hot";
      record.value = value;
      record.headers = {{"millrace-job", "fleet"}};
      EXPECT_TRUE(writer.Append(record).ok());
    }
    proto::Segment segment = writer.Finish().ValueOrDie();
    segment.set_epoch(epoch);
    segment.set_first_row(first_row);
    return segment;
  }
  void Release(int64_t epoch, const std::vector<proto::Segment>& segments) {
    publisher_->OnReleased({0, Epoch(epoch), segments});
  }
  // Works until nothing is to be done without a message; gives permission where it is asked for.
  // Time passes where the publisher waits.
  Result<Lines> Work() {
    for (int turn = 0; turn < 1000; ++turn) {
      ARROW_ASSIGN_OR_RAISE(const bool more, publisher_->Step(this));
      if (more) continue;
      if (!lines_.empty() && lines_.back() == "ask") {
        lines_.push_back("permitted");
        publisher_->OnPermitted();
        continue;
      }
      const MonotonicTime wait = publisher_->wait_until() - clock_.Monotonic();
      if (wait <= MonotonicTime(0)) return std::exchange(lines_, {});
      clock_.Advance(std::chrono::duration_cast<Micros>(wait));
    }
    return InternalError("hangs", "it never ends");
  }
  Lines Worked() { return Work().ValueOrDie(); }

  StorageTestFolder folder_;
  std::unique_ptr<CheckpointStorage> storage_ =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder_.path())
          .ValueOrDie();
  ManualClock clock_;
  FakeOutput output_;
  std::unique_ptr<SegmentPublisher> publisher_;
  Lines lines_;
};

TEST_F(SegmentPublisherTest, MakesNoProducerBeforeItIsPermittedTo) {
  Begin();
  Release(1, {Segment(1, 0, {"a"})});
  EXPECT_FALSE(publisher_->Step(this).ValueOrDie());
  EXPECT_EQ(lines_, Lines{"ask"});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(publisher_->Step(this).ValueOrDie());
  EXPECT_EQ(lines_, Lines{"ask"});
  EXPECT_EQ(output_.initialised, 0);
}

TEST_F(SegmentPublisherTest, PublishesSegmentsInOrderAndTellsEachEpoch) {
  Begin();
  EXPECT_EQ(Worked(), (Lines{"ask", "permitted", "published 0 0"}));
  Release(1, {Segment(1, 0, {"a", "b"})});
  Release(2, {});
  Release(3, {Segment(3, 2, {"c"})});
  EXPECT_EQ(Worked(), (Lines{"published 2 2", "published 3 3"}));
  EXPECT_EQ(output_.committed, (Lines{"a", "b", "c"}));
  EXPECT_EQ(output_.sizes, (std::vector<size_t>{2, 1}));
  EXPECT_EQ(output_.progress->next_row(), 3);
  EXPECT_EQ(output_.progress->epoch(), 3);
  EXPECT_EQ(output_.progress->generation(), kGeneration);
  EXPECT_EQ(output_.headers[2],
            "millrace-job=fleet millrace-generation=" + kGeneration + " millrace-epoch=3");
}

TEST_F(SegmentPublisherTest, ATransactionHoldsAtMostSixteenMebibytes) {
  Begin();
  Lines values;
  for (int i = 0; i < 40; ++i) values.push_back(std::string(1 << 20, char('0' + i)));
  Release(1, {Segment(1, 0, values)});
  EXPECT_EQ(Worked().back(), "published 1 40");
  EXPECT_EQ(output_.sizes, (std::vector<size_t>{16, 16, 8}));
  EXPECT_TRUE(output_.committed == values);
}

TEST_F(SegmentPublisherTest, ATransactionIsNotLeftOpenForLong) {
  Begin();
  output_.on_produce = [this] { clock_.Advance(std::chrono::seconds(1)); };
  Release(1, {Segment(1, 0, {"a", "b", "c", "d", "e"})});
  EXPECT_EQ(Worked().back(), "published 1 5");
  EXPECT_EQ(output_.sizes, (std::vector<size_t>{2, 2, 1}));
}

TEST_F(SegmentPublisherTest, GoesOnInTheMiddleOfASegmentWhereTheRegisterStands) {
  proto::Register progress;
  progress.set_format(1);
  progress.set_generation(kGeneration);
  progress.set_epoch(5);
  progress.set_next_row(12);
  output_.progress = progress;
  ShardKnowledge known;
  known.confirmed_epoch = Epoch(4);
  known.confirmed_row = 10;
  known.sealed_epoch = Epoch(6);
  known.sealed_row = 15;
  Begin(known);
  Release(6, {Segment(5, 10, {"a", "b", "c"}), Segment(6, 13, {"d", "e"})});
  EXPECT_EQ(Worked(),
            (Lines{"ask", "permitted", "published 4 12", "published 5 13", "published 6 15"}));
  EXPECT_EQ(output_.committed, (Lines{"c", "d", "e"}));
}

TEST_F(SegmentPublisherTest, WhatWasAbortedIsPublishedAgain) {
  Begin();
  Release(1, {Segment(1, 0, {"a", "b"})});
  output_.begins = {Ends(TransactionOutcome::kAborted)};
  output_.produces = {{TransactionOutcome::kCommitted, Status::OK()},
                      Ends(TransactionOutcome::kAborted)};
  output_.commits = {Ends(TransactionOutcome::kAborted)};
  EXPECT_EQ(Worked(), (Lines{"ask", "permitted", "published 0 0",
                             "warn a transaction did not commit, trouble",
                             "warn a transaction did not commit, trouble",
                             "warn a transaction did not commit, trouble", "published 1 2"}));
  EXPECT_EQ(output_.committed, (Lines{"a", "b"}));
  EXPECT_EQ(output_.begun, 4);
  EXPECT_EQ(output_.initialised, 1);
  EXPECT_GE(clock_.Monotonic(), MonotonicTime(std::chrono::milliseconds(700)));
}

// The commit counted, but nobody said so: the register does.
TEST_F(SegmentPublisherTest, AnUnknownFateIsSettledByTheRegister) {
  Begin();
  Release(1, {Segment(1, 0, {"a", "b"})});
  output_.lost_answers = 1;
  EXPECT_EQ(Worked(), (Lines{"ask", "permitted", "published 0 0",
                             "warn a transaction did not commit, no answer", "ask", "permitted",
                             "published 1 2"}));
  EXPECT_EQ(output_.committed, (Lines{"a", "b"}));
  EXPECT_EQ(output_.initialised, 2);
}

TEST_F(SegmentPublisherTest, AnUnknownFateThatWasAnAbortIsPublishedAgain) {
  Begin();
  Release(1, {Segment(1, 0, {"a", "b"})});
  output_.commits = {Ends(TransactionOutcome::kUnknown)};
  EXPECT_EQ(Worked().back(), "published 1 2");
  EXPECT_EQ(output_.committed, (Lines{"a", "b"}));
}

// In the midst of a large segment, after some of its transactions.
TEST_F(SegmentPublisherTest, TroubleInTheMiddleOfASegmentLeavesNothingOutAndRepeatsNothing) {
  for (const auto outcome :
       {TransactionOutcome::kAborted, TransactionOutcome::kUnknown, TransactionOutcome::kFenced}) {
    output_ = FakeOutput();
    Begin();
    output_.on_produce = [this] { clock_.Advance(std::chrono::seconds(1)); };
    Lines values;
    for (int i = 0; i < 11; ++i) values.push_back(std::to_string(i));
    Release(1, {Segment(int64_t(outcome) + 1, 0, values)});
    Release(10, {});
    output_.commits = {{TransactionOutcome::kCommitted, Status::OK()}, Ends(outcome)};
    output_.lost_answers = outcome == TransactionOutcome::kUnknown ? 1 : 0;
    EXPECT_EQ(Worked().back(), "published 10 11");
    EXPECT_EQ(output_.committed, values);
  }
}

// Another producer has the shard: only the coordinator knows whether this process still leads.
TEST_F(SegmentPublisherTest, WhoWasFencedAsksAgainAndWaits) {
  Begin();
  Worked();
  output_.commits = {Ends(TransactionOutcome::kFenced)};
  Release(1, {Segment(1, 0, {"a"})});
  while (publisher_->Step(this).ValueOrDie()) continue;
  EXPECT_EQ(lines_, Lines{"warn a transaction did not commit, trouble"});
  clock_.Advance(std::chrono::seconds(10));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(publisher_->Step(this).ValueOrDie());
  EXPECT_EQ(lines_.back(), "ask");
  EXPECT_EQ(output_.initialised, 1);
  EXPECT_EQ(output_.committed, Lines{});
}

TEST_F(SegmentPublisherTest, WaitsForABrokerThatIsNotThere) {
  Begin();
  const Status away = ExternalError("broker_unreachable", "away", Retry::kYes);
  output_.initialise = {away, away};
  output_.register_reads = {away};
  EXPECT_EQ(
      Worked(),
      (Lines{"ask", "permitted", "warn making a producer failed, trying again: away", "ask",
             "permitted", "warn making a producer failed, trying again: away", "ask", "permitted",
             "warn reading the register failed, trying again: away", "published 0 0"}));
  EXPECT_GT(clock_.Monotonic(), MonotonicTime(0));
}

TEST_F(SegmentPublisherTest, TroubleThatNoRetryEndsFailsIt) {
  const Status refused = ExternalError("not_authorised", "refused", Retry::kNo);
  Begin();
  output_.initialise = {refused};
  EXPECT_EQ(Work().status(), refused);
  Begin();
  output_.register_reads = {refused};
  EXPECT_EQ(Work().status(), refused);
  Begin();
  Release(1, {Segment(1, 0, {"a"})});
  output_.produces = {{TransactionOutcome::kAborted, refused}};
  EXPECT_EQ(Work().status(), refused);
}

TEST_F(SegmentPublisherTest, ARegisterOfAnotherGenerationStopsIt) {
  proto::Register progress;
  progress.set_format(1);
  progress.set_generation(std::string(32, 'b'));
  output_.progress = progress;
  Begin();
  Release(1, {Segment(1, 0, {"a"})});
  EXPECT_EQ(CodeOf(Work().status()), "generation_is_foreign");
  EXPECT_EQ(output_.committed, Lines{});
}

TEST_F(SegmentPublisherTest, ADamagedSegmentIsNotPublished) {
  proto::Segment segment = Segment(1, 0, {"a", "b"});
  std::string bytes = folder_.Get(segment.file().path());
  bytes[bytes.size() - 20] = char(bytes[bytes.size() - 20] ^ 1);
  folder_.Put(segment.file().path(), bytes);
  Begin();
  Release(1, {segment});
  EXPECT_EQ(CodeOf(Work().status()), "segment_damaged");
  EXPECT_EQ(output_.committed, Lines{});
}

TEST_F(SegmentPublisherTest, ASegmentWithFewerRowsThanItsCheckpointSaysStopsIt) {
  proto::Segment segment = Segment(1, 0, {"a", "b"});
  segment.set_rows(3);
  Begin();
  Release(1, {segment});
  EXPECT_EQ(CodeOf(Work().status()), "segment_damaged");
}

}  // namespace
}  // namespace millrace
