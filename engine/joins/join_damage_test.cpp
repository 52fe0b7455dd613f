// Damaged state of joins: told, or computed on; never a crash.
#include <gtest/gtest.h>

#include "engine/joins/join_testing.h"
#include "engine/windows/state_entry.h"

namespace millrace {
namespace {

JoinNode Kept() {
  JoinNode node = JoinOf({In::kName}, -20, 15);
  node.keeps_left = node.keeps_right = true;
  return node;
}

std::vector<JoinRow> SomeRows(int64_t count) {
  std::vector<JoinRow> rows(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    JoinRow& row = rows[size_t(i)];
    row.is_right = i % 3 == 0;
    row.time = i * 4;
    if (i % 7 != 0) row.name = i % 2 == 0 ? "a" : "b";
    row.text = "text";
    row.number = i;
  }
  return rows;
}

StateEntries SavedEntries(const JoinNode& node) {
  MemoryStateStore store;
  const auto join = OpenJoin(&store, node);
  AddTo(join.get(), node, SomeRows(24));
  join->AdvanceTo(At(60));
  DrainOf(join.get());
  SealAndWriteAll(join.get());
  return EntriesOf(&store);
}

// As long as it works. Not forever: a due time that is wrong may come again and again.
Status LiveOn(KeyedOperator* join, EventTime watermark) {
  join->AdvanceTo(watermark);
  for (int i = 0; i < 200 && join->HasOutput(); ++i) {
    ARROW_RETURN_NOT_OK(join->NextOutput(7).status());
  }
  return Status::OK();
}

TEST(JoinState, DamageIsToldAndNotRead) {
  const JoinNode node = Kept();
  const StateEntries entries = SavedEntries(node);
  ASSERT_GE(entries.size(), 11u);
  for (size_t entry = 0; entry < entries.size(); ++entry) {
    for (size_t byte = 0; byte < entries[entry].second.size(); ++byte) {
      StateEntries damaged = entries;
      damaged[entry].second[byte] ^= 0x10;
      const std::string code = CodeOf(MakeJoin(node)->Open(StoreOf(damaged).get(), kTestOperator));
      ASSERT_TRUE(code == "state_damaged" || (byte == 0 && code == "state_version")) << code;
    }
    StateEntries missing = entries;
    missing.erase(missing.begin() + int64_t(entry));
    const auto store = StoreOf(missing);
    const auto join = MakeJoin(node);
    Status status = join->Open(store.get(), kTestOperator);
    if (status.ok()) status = LiveOn(join.get(), kEventTimeMax);
    // A block of rows that wait is not missed: nobody counts them.
    if (!status.ok()) {
      EXPECT_EQ(CodeOf(status), "state_damaged") << entry;
    }
  }
}

// Though its check is right.
TEST(JoinState, DamageBehindTheCheckIsTakenOverOrTold) {
  std::mt19937_64 random(1);
  int taken = 0, told = 0;
  for (int round = 0; round < 6000; ++round) {
    JoinNode node = Kept();
    if (round % 3 == 1) node.keeps_left = node.keeps_right = false;
    if (round % 3 == 2) {
      node.latest_only = true;
      node.keeps_right = false;
      node.upper = Micros(0);
    }
    static std::map<int, StateEntries> saved;
    StateEntries& entries = saved[round % 3];
    if (entries.empty()) entries = SavedEntries(node);
    StateEntries damaged = entries;
    auto& [key, value] = damaged[1 + random() % (damaged.size() - 1)];
    const std::string inside = Damaged(value.substr(1, value.size() - 5), &random);
    // Another side, or another key.
    if (random() % 8 == 0) key[12 + random() % (key.size() - 12)] = char(random() % 3);
    BeginValue(&value);
    value += inside;
    EndValue(key, &value);
    const auto store = StoreOf(damaged);
    const auto join = MakeJoin(node);
    Status status = join->Open(store.get(), kTestOperator);
    if (status.ok()) {
      static const std::vector<JoinRow> kRows = SomeRows(30);
      AddTo(join.get(), node, std::span(kRows).subspan(15));
      status = LiveOn(join.get(), At(90));
      if (status.ok()) status = join->Seal();
      if (status.ok()) status = LiveOn(join.get(), kEventTimeMax);
    }
    (status.ok() ? taken : told) += 1;
    if (!status.ok() && CodeOf(status) != "sealed_early") {
      ASSERT_EQ(CodeOf(status), "state_damaged") << status;
    }
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(told, 1000);
}

TEST(JoinState, StateOfAnotherQueryIsRefused) {
  const JoinNode node = Kept();
  const auto store = StoreOf(SavedEntries(node));
  JoinNode other = node;
  other.upper = Micros(16);
  EXPECT_EQ(CodeOf(MakeJoin(other)->Open(store.get(), kTestOperator)), "state_of_another_query");
  other = node;
  other.keeps_right = false;
  EXPECT_EQ(CodeOf(MakeJoin(other)->Open(store.get(), kTestOperator)), "state_of_another_query");
  other = node;
  other.right.pop_back();
  Schema output;
  for (const auto* columns : {&other.left, &other.right}) {
    for (const int column : *columns) output.fields.push_back(JoinInput().fields[size_t(column)]);
  }
  EXPECT_EQ(CodeOf(MakeJoin(other)->Open(store.get(), kTestOperator)), "state_of_another_query");
  EXPECT_TRUE(MakeJoin(node)->Open(store.get(), kTestOperator).ok());
}

}  // namespace
}  // namespace millrace
