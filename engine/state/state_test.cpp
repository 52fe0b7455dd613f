#include <gtest/gtest.h>

#include "engine/state/state_store.h"

namespace millrace {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries ScanAll(StateReader* reader, std::string_view first, std::string_view last) {
  Entries found;
  const auto take = [&](std::string_view key, std::string_view value) {
    found.emplace_back(key, value);
    return Status::OK();
  };
  const Status status = reader->Scan(first, last, take);
  EXPECT_TRUE(status.ok()) << status;
  return found;
}

TEST(MemoryStateStore, ScansARangeInTheOrderOfBytes) {
  MemoryStateStore store;
  const std::string high("\xff\x01", 2);
  const std::string zero("a\0b", 3);
  ASSERT_TRUE(store.Put(high, "4").ok());
  ASSERT_TRUE(store.Put("b", "3").ok());
  ASSERT_TRUE(store.Put(zero, "2").ok());
  ASSERT_TRUE(store.Put("a", "1").ok());
  EXPECT_EQ(ScanAll(&store, "", ""), (Entries{{"a", "1"}, {zero, "2"}, {"b", "3"}, {high, "4"}}));
  EXPECT_EQ(ScanAll(&store, "a", "b"), (Entries{{"a", "1"}, {zero, "2"}}));
  EXPECT_EQ(ScanAll(&store, "b", ""), (Entries{{"b", "3"}, {high, "4"}}));
  EXPECT_EQ(ScanAll(&store, "c", "d"), Entries{});
}

TEST(MemoryStateStore, PutReplacesAndDeleteForgets) {
  MemoryStateStore store;
  ASSERT_TRUE(store.Put("a", "1").ok());
  ASSERT_TRUE(store.Put("a", "2").ok());
  ASSERT_TRUE(store.Put("b", "").ok());
  EXPECT_EQ(store.size(), 2u);
  ASSERT_TRUE(store.Delete("a").ok());
  ASSERT_TRUE(store.Delete("missing").ok());
  EXPECT_EQ(ScanAll(&store, "", ""), (Entries{{"b", ""}}));
}

TEST(MemoryStateStore, AFailingVisitorEndsTheScanWithItsStatus) {
  MemoryStateStore store;
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(store.Put(key, "").ok());
  int visits = 0;
  const Status status = store.Scan("", "", [&](std::string_view key, std::string_view) {
    ++visits;
    return key == "b" ? ExternalError("disk_full", "no space", Retry::kYes) : Status::OK();
  });
  EXPECT_EQ(visits, 2);
  ASSERT_NE(ErrorDetail::Of(status), nullptr);
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
}

TEST(MemoryStateStore, EpochsOnlyGoForward) {
  MemoryStateStore store;
  ASSERT_TRUE(store.Commit(Epoch(1)).ok());
  ASSERT_TRUE(store.Commit(Epoch(3)).ok());
  EXPECT_EQ(store.committed(), Epoch(3));
  EXPECT_FALSE(store.Commit(Epoch(3)).ok());
  EXPECT_FALSE(store.Commit(Epoch(2)).ok());
  EXPECT_EQ(store.committed(), Epoch(3));
}

}  // namespace
}  // namespace millrace
