#include "engine/checkpoint/shard_publisher.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using Kind = PublisherAction::Kind;
using Outcome = ShardPublisher::Outcome;

constexpr MonotonicTime At(int ms) { return std::chrono::milliseconds(ms); }

proto::Segment SegmentOf(int64_t epoch, int64_t first_row, int64_t rows) {
  proto::Segment segment;
  segment.mutable_file()->set_path("outbox/" + std::to_string(first_row));
  segment.set_epoch(epoch);
  segment.set_first_row(first_row);
  segment.set_rows(rows);
  return segment;
}

std::optional<proto::Register> Register(const std::string& generation, int64_t epoch,
                                        int64_t next_row) {
  proto::Register state;
  state.set_generation(generation);
  state.set_epoch(epoch);
  state.set_next_row(next_row);
  return state;
}

class ShardPublisherTest : public testing::Test {
 protected:
  void Begin(ShardKnowledge known) { publisher_.emplace(lineage_, known); }
  // What is to be done, as text.
  std::string Next(int ms = 0) {
    const PublisherAction action = publisher_->Next(At(ms));
    switch (action.kind) {
      case Kind::kNone:
        return "none";
      case Kind::kAskPermission:
        return "ask";
      case Kind::kInitialise:
        return "initialise";
      case Kind::kReadRegister:
        return "register";
      case Kind::kPublish:
        return "publish " + action.segment.file().path() + " from " +
               std::to_string(action.first_row);
      case Kind::kTell:
        return "tell epoch " + std::to_string(action.epoch.value()) + " row " +
               std::to_string(action.first_row);
    }
    return "";
  }
  // From unsettled to settled.
  void Settle(const std::optional<proto::Register>& found, int ms = 0) {
    ASSERT_EQ(Next(ms), "ask");
    publisher_->OnPermitted();
    ASSERT_EQ(Next(ms), "initialise");
    publisher_->OnInitialised(Status::OK(), At(ms));
    ASSERT_EQ(Next(ms), "register");
    ASSERT_TRUE(publisher_->OnRegister(found, At(ms)).ok());
  }

  const Lineage lineage_{"job", "g", {"parent"}, false};
  std::optional<ShardPublisher> publisher_;
};

TEST_F(ShardPublisherTest, AsksOnceAndMakesNoProducerWithoutPermission) {
  Begin({});
  EXPECT_EQ(Next(), "ask");
  EXPECT_EQ(Next(), "none");
  publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
  EXPECT_EQ(Next(1000), "none");
  publisher_->OnPermitted();
  EXPECT_EQ(Next(1000), "initialise");
  EXPECT_EQ(Next(1000), "initialise");  // no fact in between
}

TEST_F(ShardPublisherTest, PublishesInOrderWithTheRegisterOfTheLastRowAndTells) {
  Begin({});
  publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
  Settle(std::nullopt);
  EXPECT_EQ(Next(), "tell epoch 0 row 0");
  EXPECT_EQ(Next(), "publish outbox/0 from 0");
  EXPECT_EQ(publisher_->RegisterFor(3).epoch(), 1);
  EXPECT_EQ(publisher_->RegisterFor(3).next_row(), 3);
  EXPECT_EQ(publisher_->RegisterFor(3).generation(), "g");
  publisher_->OnTransaction(Outcome::kCommitted, 3, At(0));
  EXPECT_EQ(Next(), "tell epoch 0 row 3");  // of epoch 1 something is left
  EXPECT_EQ(Next(), "publish outbox/0 from 3");
  publisher_->OnTransaction(Outcome::kCommitted, 5, At(0));
  EXPECT_EQ(Next(), "tell epoch 1 row 5");
  EXPECT_EQ(Next(), "none");
}

TEST_F(ShardPublisherTest, AnEpochWithoutRowsIsToldToo) {
  Begin({});
  Settle(std::nullopt);
  EXPECT_EQ(Next(), "tell epoch 0 row 0");
  publisher_->OnReleased({0, Epoch(4), {}});
  EXPECT_EQ(Next(), "tell epoch 4 row 0");
  EXPECT_EQ(Next(), "none");
}

TEST_F(ShardPublisherTest, WhatTheRegisterSaysIsNotPublishedAgain) {
  Begin({0, Epoch(1), 5, Epoch(3), 20});
  publisher_->OnReleased({0, Epoch(3), {SegmentOf(2, 5, 5), SegmentOf(3, 10, 10)}});
  Settle(Register("g", 3, 12));
  EXPECT_EQ(Next(), "tell epoch 2 row 12");
  EXPECT_EQ(Next(), "publish outbox/10 from 12");
}

TEST_F(ShardPublisherTest, AnAbortedTransactionIsTriedAgainAfterAWhileThatGrows) {
  Begin({});
  publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
  Settle(std::nullopt);
  Next();
  publisher_->OnTransaction(Outcome::kAborted, 0, At(1000));
  EXPECT_EQ(Next(1099), "none");
  EXPECT_EQ(Next(1100), "publish outbox/0 from 0");
  publisher_->OnTransaction(Outcome::kAborted, 0, At(2000));
  EXPECT_EQ(Next(2199), "none");
  EXPECT_EQ(Next(2200), "publish outbox/0 from 0");
}

TEST_F(ShardPublisherTest, AnUnknownFateAsksBeforeAProducerIsMadeAndReadsTheRegister) {
  for (const Outcome outcome : {Outcome::kUnknown, Outcome::kFenced}) {
    Begin({});
    publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
    Settle(std::nullopt);
    Next();
    publisher_->OnTransaction(outcome, 5, At(0));
    EXPECT_FALSE(publisher_->settled());
    EXPECT_EQ(Next(99), "none");
    Settle(Register("g", 1, 5), 100);  // it was committed after all
    EXPECT_EQ(Next(100), "tell epoch 1 row 5");
    EXPECT_EQ(Next(100), "none");
  }
}

TEST_F(ShardPublisherTest, APermissionThatNobodyAskedForCountsForNothing) {
  Begin({});
  publisher_->OnPermitted();
  EXPECT_EQ(Next(), "ask");
  publisher_->OnPermitted();
  publisher_->OnInitialised(Status::IOError("away"), At(0));
  publisher_->OnPermitted();
  EXPECT_EQ(Next(100), "ask");
}

TEST_F(ShardPublisherTest, TroubleWithTheRegisterIsTriedAgainAndALossIsFinal) {
  Begin({0, Epoch(1), 5, Epoch(1), 5});
  ASSERT_EQ(Next(), "ask");
  publisher_->OnPermitted();
  publisher_->OnInitialised(Status::OK(), At(0));
  EXPECT_TRUE(publisher_->OnRegister(ExternalError("away", "", Retry::kYes), At(0)).ok());
  EXPECT_EQ(Next(99), "none");
  EXPECT_EQ(Next(100), "register");
  const Status lost = publisher_->OnRegister(std::optional<proto::Register>(), At(100));
  EXPECT_EQ(ErrorDetail::Of(lost)->code(), "register_missing");
}

TEST_F(ShardPublisherTest, WhatIsReleasedAgainAfterItWasPublishedIsLeftOut) {
  Begin({});
  publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
  Settle(std::nullopt);
  Next();
  publisher_->OnTransaction(Outcome::kCommitted, 5, At(0));
  publisher_->OnReleased({0, Epoch(1), {SegmentOf(1, 0, 5)}});
  EXPECT_EQ(Next(), "tell epoch 1 row 5");
  EXPECT_EQ(Next(), "none");
}

}  // namespace
}  // namespace millrace
