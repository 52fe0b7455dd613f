#include "engine/state/state_key.h"

#include <gtest/gtest.h>

#include "engine/state/memory_state_store.h"
#include "engine/state/state_store_testing.h"

namespace millrace {
namespace {

std::string Key(uint16_t operator_number, int64_t time, int32_t group, std::string_view rest = "") {
  std::string key;
  AppendStateKey(operator_number, time, KeyGroup(group), &key);
  return key += rest;
}

TEST(StateKey, HasTheBytesOfItsDocument) {
  EXPECT_EQ(Key(0x0102, 3, 0x0204, "x"),
            std::string("\x01\x02\x80\x00\x00\x00\x00\x00\x00\x03\x02\x04x", 13));
  EXPECT_EQ(Key(1, -1, 0), std::string("\x00\x01\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00", 12));
  EXPECT_EQ(StateOperatorKey(0x0102), "\x01\x02");
}

TEST(StateKey, SortsByOperatorThenTimeThenGroup) {
  const std::vector<std::string> sorted = {
      StateOperatorKey(1),   Key(1, INT64_MIN, 0),
      Key(1, -5, 719, "zz"), Key(1, -1, 0),
      Key(1, 0, 0),          Key(1, 0, 0, "a"),
      Key(1, 0, 1),          Key(1, 0, 256),
      Key(1, 1, 0),          Key(1, INT64_MAX, 719, "\xff\xff"),
      StateOperatorKey(2),   Key(2, INT64_MIN, 0),
      Key(256, 0, 0),        Key(UINT16_MAX, INT64_MAX, 719, "\xff"),
  };
  EXPECT_TRUE(std::is_sorted(sorted.begin(), sorted.end()));
}

TEST(StateKey, EndsAreJustAfterTheirRange) {
  for (const int64_t time : {INT64_MIN, int64_t(-1), int64_t(0), INT64_MAX}) {
    for (const uint16_t number : {uint16_t(0), uint16_t(255), uint16_t(UINT16_MAX)}) {
      EXPECT_LE(StateTimeBegin(number, time), Key(number, time, 0));
      EXPECT_LT(Key(number, time, 719, "\xff\xff\xff"), StateTimeEnd(number, time));
      EXPECT_LT(StateOperatorKey(number), StateTimeBegin(number, time));
      EXPECT_LE(StateTimeEnd(number, time), StateOperatorEnd(number));
      EXPECT_EQ(StateTimeEnd(number, time),
                time == INT64_MAX ? StateOperatorEnd(number) : StateTimeBegin(number, time + 1));
    }
  }
  EXPECT_EQ(StateOperatorEnd(4), StateOperatorKey(5));
}

TEST(StateKey, IsReadBack) {
  const std::string key = Key(513, -42, 719, "rest");
  const Result<StateKeyParts> parts = ParseStateKey(key);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->operator_number, 513);
  EXPECT_EQ(parts->time, -42);
  EXPECT_EQ(parts->group, KeyGroup(719));
  EXPECT_EQ(parts->rest, "rest");
  EXPECT_EQ(CodeOf(ParseStateKey(key.substr(0, 11)).status()), "state_damaged");
}

// Counts the calls, so that a copy that reads everything is found.
class CountingIterator final : public StateIterator {
 public:
  CountingIterator(std::unique_ptr<StateIterator> below, int* steps)
      : below_(std::move(below)), steps_(steps) {}
  bool Valid() const override { return below_->Valid(); }
  std::string_view key() const override { return below_->key(); }
  std::string_view value() const override { return below_->value(); }
  void Next() override {
    ++*steps_;
    below_->Next();
  }
  void Seek(std::string_view key) override {
    ++*steps_;
    below_->Seek(key);
  }
  Status status() const override { return below_->status(); }

 private:
  std::unique_ptr<StateIterator> below_;
  int* steps_;
};

class WatchedStore final : public StateStore {
 public:
  Status Write(StateBatch batch) override {
    largest_batch = std::max(largest_batch, batch.bytes());
    ++batches;
    return below.Write(std::move(batch));
  }
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override {
    ARROW_ASSIGN_OR_RAISE(auto iterator, below.Scan(first, last));
    return std::make_unique<CountingIterator>(std::move(iterator), &steps);
  }
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override {
    below.Checkpoint(epoch, folder, std::move(done));
  }
  StateStoreStats stats() const override { return below.stats(); }

  MemoryStateStore below;
  size_t largest_batch = 0;
  int batches = 0;
  int steps = 0;
};

TEST(CopyKeyGroups, TakesItsGroupsOfEveryTimeAndNothingElse) {
  WatchedStore from;
  StateEntries all, expected;
  for (const uint16_t number : {uint16_t(1), uint16_t(2), uint16_t(3)}) {
    all.emplace_back(StateOperatorKey(number), "header");
    for (const int64_t time : {INT64_MIN, int64_t(-7), int64_t(0), int64_t(60), INT64_MAX}) {
      for (int32_t group = 0; group < kKeyGroupCount; group += 3) {
        const std::string key = Key(number, time, group, "k");
        all.emplace_back(key, std::to_string(group));
        if (number == 2 && group >= 300 && group < 306) expected.emplace_back(all.back());
      }
    }
  }
  ASSERT_TRUE(PutEntries(&from, all).ok());
  MemoryStateStore to;
  ASSERT_TRUE(CopyKeyGroups(&from, &to, 2, KeyGroup(300), KeyGroup(306)).ok());
  EXPECT_EQ(ReadEntries(&to), expected);
  EXPECT_EQ(expected.size(), 10u);
  // A time costs a seek to its first group and one to the next time, a few steps before each, and a
  // step an entry.
  EXPECT_LE(from.steps, 5 * (2 + 2 * 7 + 2));
}

TEST(CopyKeyGroups, PartsMakeTheWhole) {
  MemoryStateStore from, to;
  StateEntries all;
  for (int64_t time = -3; time < 3; ++time) {
    for (int32_t group = 0; group < kKeyGroupCount; group += 7) {
      all.emplace_back(Key(9, time, group, "a"), "1");
      all.emplace_back(Key(9, time, group, "b"), "2");
    }
  }
  ASSERT_TRUE(PutEntries(&from, all).ok());
  for (int32_t first = 0; first < kKeyGroupCount; first += 240) {
    ASSERT_TRUE(CopyKeyGroups(&from, &to, 9, KeyGroup(first), KeyGroup(first + 240)).ok());
  }
  EXPECT_EQ(ReadEntries(&to), all);
}

TEST(CopyKeyGroups, OfAnOperatorWithoutEntriesCopiesNothing) {
  MemoryStateStore from;
  WatchedStore to;
  ASSERT_TRUE(PutEntries(&from, {{StateOperatorKey(1), "header"}, {Key(2, 0, 0), "1"}}).ok());
  ASSERT_TRUE(CopyKeyGroups(&from, &to, 1, KeyGroup(0), KeyGroup(kKeyGroupCount)).ok());
  EXPECT_EQ(to.below.size(), 0u);
  EXPECT_EQ(to.batches, 0);
}

TEST(CopyKeyGroups, WritesInBatchesOfAMegabyte) {
  MemoryStateStore from;
  WatchedStore to;
  StateBatch batch;
  for (int i = 0; i < 3000; ++i) batch.Put(Key(1, i, i % 720, "k"), std::string(1000, 'v'));
  ASSERT_TRUE(from.Write(std::move(batch)).ok());
  ASSERT_TRUE(CopyKeyGroups(&from, &to, 1, KeyGroup(0), KeyGroup(kKeyGroupCount)).ok());
  EXPECT_EQ(to.below.size(), 3000u);
  EXPECT_EQ(to.batches, 3);
  EXPECT_LT(to.largest_batch, size_t(1 << 20) + 2000);
}

TEST(CopyKeyGroups, AKeyThatIsTooShortIsDamage) {
  MemoryStateStore from, to;
  ASSERT_TRUE(PutEntries(&from, {{StateTimeBegin(1, 5), "cut"}}).ok());
  EXPECT_EQ(CodeOf(CopyKeyGroups(&from, &to, 1, KeyGroup(0), KeyGroup(1))), "state_damaged");
}

}  // namespace
}  // namespace millrace
