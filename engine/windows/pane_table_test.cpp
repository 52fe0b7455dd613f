#include "engine/windows/pane_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/windows/accumulator_slab.h"

namespace millrace {
namespace {

// Random inserts and deletions against std::map: what deletion shifts back must stay findable.
TEST(PaneTable, BehavesAsAMapThroughInsertsAndDeletions) {
  std::mt19937_64 random(17);
  PaneTable table;
  std::map<std::pair<uint32_t, int64_t>, uint32_t> expected;
  for (uint32_t step = 0; step < 60'000; ++step) {
    const auto key = uint32_t(random() % 150);
    const auto pane = int64_t(random() % 40) - 20;
    const auto known = expected.find({key, pane});
    if (known != expected.end() && random() % 2 == 0) {
      table.Erase(key, pane);
      expected.erase(known);
    } else {
      uint32_t* slot = table.FindOrInsert(key, pane);
      if (known == expected.end()) {
        ASSERT_EQ(*slot, PaneTable::kNoSlot);
        *slot = step;
        expected[{key, pane}] = step;
      } else {
        ASSERT_EQ(*slot, known->second);
      }
    }
    ASSERT_EQ(table.size(), expected.size());
  }
  for (const auto& [entry, slot] : expected) {
    EXPECT_EQ(*table.FindOrInsert(entry.first, entry.second), slot);
  }
  EXPECT_EQ(table.size(), expected.size());
  const size_t bytes = table.MemoryBytes();
  for (const auto& [entry, slot] : expected) table.Erase(entry.first, entry.second);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.MemoryBytes(), bytes);
}

TEST(AccumulatorSlab, RowsNeverMoveAndAreGivenAgain) {
  AccumulatorSlab slab(100);
  char* first = slab.Row(slab.Take());
  for (uint32_t i = 1; i < 2 * AccumulatorSlab::kRowsPerChunk; ++i) slab.Take();
  EXPECT_EQ(slab.Row(0), first);
  EXPECT_EQ(slab.MemoryBytes(), size_t(2 * AccumulatorSlab::kRowsPerChunk * 128));
  slab.Free(77);
  EXPECT_EQ(slab.Take(), 77u);
  for (uint32_t i = 0; i < 2 * AccumulatorSlab::kRowsPerChunk; ++i) slab.Free(i);
  EXPECT_EQ(slab.used(), 0u);
  EXPECT_EQ(slab.MemoryBytes(), size_t(AccumulatorSlab::kRowsPerChunk * 128));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(&AccumulatorSlab::HeaderOf(slab.Row(slab.Take()))) % 64,
            0u);
}

}  // namespace
}  // namespace millrace
