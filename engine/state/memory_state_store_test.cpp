#include "engine/state/memory_state_store.h"

#include <gtest/gtest.h>

#include "engine/state/state_store_testing.h"

namespace millrace {
namespace {

const StateEntries kSome = {{"a", "1"}, {std::string("b\0", 2), ""}, {"c", "333"}};

TEST(MemoryStateStore, ItsBytesHoldItWhole) {
  MemoryStateStore store;
  ASSERT_TRUE(PutEntries(&store, kSome).ok());
  const std::string bytes = store.Serialise();
  MemoryStateStore other;
  ASSERT_TRUE(PutEntries(&other, {{"z", "goes"}}).ok());
  ASSERT_TRUE(other.Restore(bytes).ok());
  EXPECT_EQ(ReadEntries(&other), kSome);
  EXPECT_EQ(other.Serialise(), bytes);
  EXPECT_EQ(other.size(), 3u);
}

TEST(MemoryStateStore, BytesDoNotDependOnTheOrderOfWrites) {
  MemoryStateStore forwards, backwards;
  ASSERT_TRUE(PutEntries(&forwards, kSome).ok());
  ASSERT_TRUE(PutEntries(&backwards, StateEntries(kSome.rbegin(), kSome.rend())).ok());
  EXPECT_EQ(forwards.Serialise(), backwards.Serialise());
}

TEST(MemoryStateStore, BytesThatAreCutOrLongerAreRefusedAndChangeNothing) {
  MemoryStateStore store;
  ASSERT_TRUE(PutEntries(&store, kSome).ok());
  const std::string bytes = store.Serialise();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(CodeOf(store.Restore(bytes.substr(0, size))), "state_damaged") << size;
  }
  EXPECT_EQ(CodeOf(store.Restore(bytes + "x")), "state_damaged");
  EXPECT_EQ(ReadEntries(&store), kSome);
}

TEST(MemoryStateStore, ACheckpointWithoutAFolderTouchesNoDisk) {
  MemoryStateStore store;
  ASSERT_TRUE(PutEntries(&store, kSome).ok());
  std::string kept;
  store.Checkpoint(Epoch(7), "", [&](Result<StateCheckpoint> result) {
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->epoch, Epoch(7));
    EXPECT_TRUE(result->files.empty());
    kept = store.Serialise();
  });
  ASSERT_TRUE(PutEntries(&store, {{"later", "1"}}).ok());
  ASSERT_TRUE(store.Restore(kept).ok());
  EXPECT_EQ(ReadEntries(&store), kSome);
}

TEST(MemoryStateStore, FailsWhenToldTo) {
  MemoryStateStore store;
  store.FailWith(ExternalError("disk_full", "no space", Retry::kNo));
  EXPECT_EQ(CodeOf(PutEntries(&store, kSome)), "disk_full");
  EXPECT_EQ(CodeOf(TakeCheckpoint(&store, Epoch(1), "").status()), "disk_full");
  store.FailWith(Status::OK());
  ASSERT_TRUE(PutEntries(&store, kSome).ok());
  EXPECT_EQ(ReadEntries(&store), kSome);
}

TEST(MemoryStateStore, AFolderWithoutItsFileIsNotOpened) {
  EXPECT_EQ(CodeOf(MemoryStateStore::Open("/nonexistent").status()), "state_open_failed");
}

}  // namespace
}  // namespace millrace
