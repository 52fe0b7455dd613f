#include "engine/state/part_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/state/memory_state_store.h"
#include "engine/state/state_key.h"
#include "engine/state/state_store_testing.h"

namespace millrace {
namespace {

TEST(KeyGroupSet, OfATaskAreThoseThatTaskOfPlacesThere) {
  KeyGroupSet all;
  for (int32_t task = 0; task < 7; ++task) {
    const KeyGroupSet some = KeyGroupSet::OfTask(task, 7);
    EXPECT_TRUE((all & some).empty());
    all |= some;
    for (int32_t group = 0; group < kKeyGroupCount; ++group) {
      EXPECT_EQ(some.Contains(KeyGroup(group)), TaskOf(KeyGroup(group), 7) == TaskIndex(task));
    }
  }
  EXPECT_EQ(all, KeyGroupSet::Range(0, kKeyGroupCount));
  EXPECT_EQ(KeyGroupSet::OfTask(1, 2), KeyGroupSet::Range(360, 720));
}

TEST(KeyGroupSet, FindsTheNextOne) {
  KeyGroupSet set = KeyGroupSet::Range(5, 7);
  set |= KeyGroupSet::Range(719, 720);
  EXPECT_EQ(set.FirstFrom(KeyGroup(0)), KeyGroup(5));
  EXPECT_EQ(set.FirstFrom(KeyGroup(6)), KeyGroup(6));
  EXPECT_EQ(set.FirstFrom(KeyGroup(7)), KeyGroup(719));
  EXPECT_EQ(KeyGroupSet::Range(5, 7).FirstFrom(KeyGroup(7)), KeyGroup(kKeyGroupCount));
  EXPECT_EQ(set.FirstFrom(KeyGroup(0xffff)), KeyGroup(kKeyGroupCount));
  EXPECT_FALSE(set.Contains(KeyGroup(0xffff)));
}

TEST(KeyGroupSet, IsWrittenAsRanges) {
  KeyGroupSet set = KeyGroupSet::Range(0, 180);
  set |= KeyGroupSet::Range(240, 241);
  EXPECT_EQ(set.ToString(), "0-179,240-240");
  EXPECT_EQ(KeyGroupSet::Parse("0-179,240-240").ValueOrDie(), set);
  EXPECT_EQ(KeyGroupSet::Parse("0-719").ValueOrDie(), KeyGroupSet::Range(0, kKeyGroupCount));
  for (const char* text : {"1", "1-", "-1-2", "2-1", "0-720", "1-2,", "1-2;3-4", "1-2 "}) {
    EXPECT_EQ(CodeOf(KeyGroupSet::Parse(text).status()), "state_damaged") << text;
  }
}

TEST(PartGroups, ComeBackFromTheirFile) {
  const PartGroups part{KeyGroupSet::Range(180, 360), 360};
  EXPECT_EQ(part.Encode(), "format 1\nown 180-359\nheld 360\n");
  EXPECT_EQ(PartGroups::Decode(part.Encode()).ValueOrDie(), part);
}

TEST(PartGroups, AFileThatIsNotWholeIsDamage) {
  for (const char* text :
       {"", "format 1\n", "format 1\nown 0-1\nheld 2", "format 1\nown 0-1\nheld 1\n",
        "format 1\nown 0-1\nheld 721\n", "format 1\nown 0-1\nheld 2x\n", "format 1\nown \nheld 2\n",
        "format 1\nown 0-1\nheld 2\n\n", "own 0-1\nheld 2\n"}) {
    EXPECT_EQ(CodeOf(PartGroups::Decode(text).status()), "state_damaged") << text;
  }
  EXPECT_EQ(CodeOf(PartGroups::Decode("format 2\nown 0-1\nheld 2\n").status()), "state_version");
}

std::string KeyOf(uint16_t operator_number, int64_t time, int32_t group, const std::string& rest) {
  std::string key;
  AppendStateKey(operator_number, time, KeyGroup(group), &key);
  return key + rest;
}

// Any sets of groups, of few and of many entries a time, from any place on.
TEST(OnlyGroups, AreTheEntriesOfThoseGroups) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const int groups = 1 + int(random() % 40);
    MemoryStateStore store;
    StateEntries all;
    for (const uint16_t number : {uint16_t(1), uint16_t(2), uint16_t(0xffff)}) {
      all.emplace_back(StateOperatorKey(number), "own");
      for (const int64_t time : {INT64_MIN, int64_t(-1), int64_t(0), int64_t(7), INT64_MAX}) {
        for (int i = int(random() % 60); i > 0; --i) {
          all.emplace_back(
              KeyOf(number, time, int32_t(random() % uint32_t(groups)), std::to_string(i)),
              std::to_string(time));
        }
      }
    }
    ASSERT_TRUE(PutEntries(&store, all).ok());
    KeyGroupSet own;
    for (int i = int(random() % 4); i > 0; --i) {
      const int32_t first = int32_t(random() % uint32_t(groups));
      own |= KeyGroupSet::Range(first, std::min(groups, first + 1 + int32_t(random() % 10)));
    }
    StateEntries expected;
    for (const auto& entry : ReadEntries(&store)) {
      if (IsOfGroups(entry.first, own)) expected.push_back(entry);
    }
    const auto iterator = OnlyGroups(store.Scan("", "").ValueOrDie(), own);
    EXPECT_EQ(ReadRest(iterator.get()), expected);
    for (int i = 0; i < 20; ++i) {
      const std::string& from = all[random() % all.size()].first;
      iterator->Seek(from);
      const auto at = std::ranges::lower_bound(expected, from, {},
                                               [](const auto& entry) { return entry.first; });
      EXPECT_EQ(ReadRest(iterator.get()), StateEntries(at, expected.end()));
    }
  }
}

}  // namespace
}  // namespace millrace
