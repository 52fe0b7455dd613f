#include "engine/checkpoint/register_decision.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

proto::Register Found(const std::string& generation, int64_t epoch, int64_t next_row) {
  proto::Register state;
  state.set_generation(generation);
  state.set_epoch(epoch);
  state.set_next_row(next_row);
  return state;
}

// Of generation "b", which grew from "a"; rows below 10 and epochs up to 2 are confirmed, and the
// checkpoint of epoch 4 ends at row 30.
class DecideRegisterTest : public testing::Test {
 protected:
  std::string Decide(const std::optional<proto::Register>& found) const {
    const auto row = DecideRegister(lineage, known, found);
    if (row.ok()) return std::to_string(*row);
    const ErrorDetail* const detail = ErrorDetail::Of(row.status());
    return detail == nullptr ? row.status().ToString() : detail->code();
  }
  Lineage lineage{"job", "b", {"a"}, false};
  ShardKnowledge known{0, Epoch(2), 10, Epoch(4), 30};
};

TEST_F(DecideRegisterTest, OfThisGenerationSaysFromWhichRowToPublish) {
  EXPECT_EQ(Decide(Found("b", 3, 20)), "20");
  EXPECT_EQ(Decide(Found("b", 2, 10)), "10");
  EXPECT_EQ(Decide(Found("b", 4, 30)), "30");
}

TEST_F(DecideRegisterTest, LessThanWasConfirmedIsALossAndMoreThanTheCheckpointHoldsAnOlderOne) {
  EXPECT_EQ(Decide(Found("b", 2, 9)), "register_went_back");
  EXPECT_EQ(Decide(Found("b", 4, 31)), "published_beyond");
  EXPECT_EQ(Decide(Found("b", 5, 30)), "published_beyond");
}

TEST_F(DecideRegisterTest, AMissingOneIsALossOnlyWhereRowsWereConfirmed) {
  EXPECT_EQ(Decide(std::nullopt), "register_missing");
  known.confirmed_row = 0;  // epochs without rows leave no register
  EXPECT_EQ(Decide(std::nullopt), "0");
}

TEST_F(DecideRegisterTest, AnAncestorsSaysThatNothingOfThisGenerationIsPublished) {
  known.confirmed_row = 0;
  EXPECT_EQ(Decide(Found("a", 9, 900)), "0");
  known.confirmed_row = 10;
  EXPECT_EQ(Decide(Found("a", 9, 900)), "register_went_back");
}

TEST_F(DecideRegisterTest, AForeignOneStopsUnlessToldOtherwiseAtTheStartOfAGeneration) {
  known.confirmed_row = 0;
  EXPECT_EQ(Decide(Found("x", 1, 5)), "generation_is_foreign");
  lineage.accept_foreign = true;
  EXPECT_EQ(Decide(Found("x", 1, 5)), "0");
  known.confirmed_row = 10;
  EXPECT_EQ(Decide(Found("x", 1, 5)), "register_went_back");
  lineage.accept_foreign = false;
  EXPECT_EQ(Decide(Found("x", 1, 5)), "generation_is_foreign");
}

}  // namespace
}  // namespace millrace
