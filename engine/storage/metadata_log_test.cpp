#include "engine/storage/metadata_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "engine/storage/storage_testing.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string NameOf(int64_t index) {
  const std::string digits = std::to_string(index);
  return std::string(20 - digits.size(), '0') + digits;
}

proto::LogEntry Claim(int64_t term, const std::string& owner) {
  proto::LogEntry entry;
  entry.set_term(term);
  entry.mutable_claim()->set_owner(owner);
  return entry;
}

std::unique_ptr<MetadataLog> Opened(const std::string& folder) {
  auto log = OpenLocalMetadataLog(folder);
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  return std::move(*log);
}

class MetadataLogTest : public testing::Test {
 protected:
  AppendResult Append(MetadataLog* log, int64_t index, int64_t term = 1) {
    const auto result = log->Append(index, Claim(term, "owner"));
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ValueOr(AppendResult::kTaken);
  }
  std::vector<int64_t> Indexes(MetadataLog* log) {
    const auto entries = log->Read();
    EXPECT_TRUE(entries.ok()) << entries.status().ToString();
    std::vector<int64_t> indexes;
    if (entries.ok()) {
      for (const IndexedEntry& entry : *entries) indexes.push_back(entry.index);
    }
    return indexes;
  }

  StorageTestFolder folder_;
  std::string path_ = folder_.Path("a/log");
};

TEST_F(MetadataLogTest, KeepsEntriesInOrder) {
  auto log = Opened(path_);
  EXPECT_THAT(Indexes(log.get()), IsEmpty());
  for (int64_t i = 1; i <= 12; ++i) {
    ASSERT_EQ(Append(log.get(), i, /*term=*/i * 10), AppendResult::kAppended);
  }
  const auto entries = *Opened(path_)->Read();
  ASSERT_EQ(entries.size(), 12u);
  EXPECT_EQ(entries[11].index, 12);
  EXPECT_EQ(entries[11].entry.term(), 120);
  EXPECT_EQ(entries[11].entry.claim().owner(), "owner");
  EXPECT_EQ(folder_.Files().size(), 12u);
}

TEST_F(MetadataLogTest, AnIndexIsGivenOnce) {
  auto first = Opened(path_);
  auto second = Opened(path_);
  EXPECT_EQ(Append(first.get(), 1, 1), AppendResult::kAppended);
  EXPECT_EQ(Append(second.get(), 1, 2), AppendResult::kTaken);
  EXPECT_EQ(Append(second.get(), 2, 2), AppendResult::kAppended);
  EXPECT_EQ(Append(first.get(), 2, 1), AppendResult::kTaken);
  EXPECT_EQ((*first->Read())[1].entry.term(), 2);
}

TEST_F(MetadataLogTest, AProcessThatSleptFindsItsRemovedIndexTaken) {
  auto zombie = Opened(path_);
  auto leader = Opened(path_);
  for (int64_t i = 1; i <= 10; ++i) ASSERT_EQ(Append(leader.get(), i), AppendResult::kAppended);
  ASSERT_TRUE(leader->RemoveBefore(8).ok());
  EXPECT_THAT(Indexes(leader.get()), ElementsAre(8, 9, 10));
  const auto before = folder_.Files();
  // In the middle of what was removed, and right before what is left.
  for (const int64_t index : {3, 7, 8, 10}) {
    EXPECT_EQ(Append(zombie.get(), index), AppendResult::kTaken) << index;
    EXPECT_EQ(folder_.Files(), before) << index;
  }
  EXPECT_EQ(Append(leader.get(), 11), AppendResult::kAppended);
}

TEST_F(MetadataLogTest, WhatADeadZombieLeftBelowTheFloorIsNotRead) {
  auto log = Opened(path_);
  for (int64_t i = 1; i <= 6; ++i) ASSERT_EQ(Append(log.get(), i), AppendResult::kAppended);
  const std::string entry = folder_.Get("a/log/" + NameOf(4));
  ASSERT_TRUE(log->RemoveBefore(5).ok());
  folder_.Put("a/log/" + NameOf(4), entry);
  EXPECT_THAT(Indexes(log.get()), ElementsAre(5, 6));
  ASSERT_TRUE(log->RemoveBefore(6).ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/" + NameOf(4)));
}

TEST_F(MetadataLogTest, AnEntryBeyondAGapIsTakenBack) {
  auto log = Opened(path_);
  for (int64_t i = 1; i <= 3; ++i) ASSERT_EQ(Append(log.get(), i), AppendResult::kAppended);
  EXPECT_EQ(Append(log.get(), 5), AppendResult::kTaken);
  EXPECT_THAT(Indexes(log.get()), ElementsAre(1, 2, 3));
}

TEST_F(MetadataLogTest, AnEntryThatOthersFollowStays) {
  auto log = Opened(path_);
  for (int64_t i = 1; i <= 3; ++i) ASSERT_EQ(Append(log.get(), i), AppendResult::kAppended);
  const std::string entry = folder_.Get("a/log/" + NameOf(3));
  // As if a successor had read entry 4 and followed it before its writer looked.
  folder_.Put("a/log/" + NameOf(5), entry);
  EXPECT_EQ(Append(log.get(), 4), AppendResult::kTaken);
  EXPECT_THAT(Indexes(log.get()), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(MetadataLogTest, TheLastRunCounts) {
  auto log = Opened(path_);
  for (int64_t i = 1; i <= 6; ++i) ASSERT_EQ(Append(log.get(), i), AppendResult::kAppended);
  std::filesystem::remove(path_ + "/" + NameOf(3));
  EXPECT_THAT(Indexes(log.get()), ElementsAre(4, 5, 6));
}

TEST_F(MetadataLogTest, TheNewestIsNeverRemoved) {
  auto log = Opened(path_);
  ASSERT_TRUE(log->RemoveBefore(100).ok());
  for (int64_t i = 0; i <= 2; ++i) ASSERT_EQ(Append(log.get(), i), AppendResult::kAppended);
  ASSERT_TRUE(log->RemoveBefore(100).ok());
  EXPECT_THAT(Indexes(log.get()), ElementsAre(2));
  ASSERT_TRUE(log->RemoveBefore(1).ok());
  EXPECT_EQ(Append(log.get(), 3), AppendResult::kAppended);
  EXPECT_THAT(Indexes(log.get()), ElementsAre(2, 3));
}

TEST_F(MetadataLogTest, EveryDamageIsFound) {
  auto log = Opened(path_);
  ASSERT_EQ(Append(log.get(), 1), AppendResult::kAppended);
  ASSERT_EQ(Append(log.get(), 2), AppendResult::kAppended);
  ASSERT_TRUE(log->RemoveBefore(1).ok());
  for (const std::string& name : {"a/log/" + NameOf(1), std::string("a/log/floor")}) {
    const std::string bytes = folder_.Get(name);
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string flipped = bytes;
      flipped[i] = char(flipped[i] ^ (1 << (i % 8)));
      for (const std::string& damaged : {bytes.substr(0, i), flipped}) {
        folder_.Put(name, damaged);
        const Status status = log->Read().status();
        ASSERT_EQ(CodeOf(status), "log_damaged") << name << " " << i;
        ASSERT_THAT(status.message(), HasSubstr(folder_.Path(name)));
      }
    }
    folder_.Put(name, bytes);
  }
  std::filesystem::remove(path_ + "/" + NameOf(1));
  std::filesystem::remove(path_ + "/" + NameOf(2));
  EXPECT_EQ(CodeOf(log->Read().status()), "log_damaged");
}

TEST_F(MetadataLogTest, LeftoversAreRemovedOnOpen) {
  folder_.Put("a/log/.aside-x", "half");
  folder_.Put("a/log/lock.1", "of the lease");
  auto log = Opened(path_);
  EXPECT_EQ(folder_.Files().size(), 1u);
  EXPECT_EQ(Append(log.get(), 1), AppendResult::kAppended);
}

TEST_F(MetadataLogTest, AFolderThatCannotBeIsNamed) {
  folder_.Put("a", "a file");
  const Status status = OpenLocalMetadataLog(path_).status();
  EXPECT_EQ(CodeOf(status), "unwritable_path");
  EXPECT_THAT(status.message(), HasSubstr(path_));
}

// Appends until the log has `last`, each writer after what it knows; opens and trims now and then.
// Gives the indexes that it was told it appended.
std::vector<int64_t> Race(const std::string& folder, int64_t writer, int64_t last, bool trim) {
  std::vector<int64_t> appended;
  auto log = Opened(folder);
  int64_t known = 0;
  for (int round = 0; known < last; ++round) {
    const auto result = log->Append(known + 1, Claim(writer, ""));
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    if (!result.ok()) break;
    if (*result == AppendResult::kAppended) {
      appended.push_back(++known);
    } else if (round % 3 != 0) {  // else it tries a stale index again
      const auto entries = log->Read();
      EXPECT_TRUE(entries.ok()) << entries.status().ToString();
      if (!entries.ok() || entries->empty()) break;
      known = std::max(known, entries->back().index);
    }
    if (round % 50 == int(writer)) log = Opened(folder);
    if (trim && known % 20 == writer) {
      const Status removed = log->RemoveBefore(known - 5);
      EXPECT_TRUE(removed.ok()) << removed.ToString();
    }
  }
  return appended;
}

TEST_F(MetadataLogTest, ThreadsThatRaceAndTrimAppendNoIndexTwice) {
  constexpr int64_t kLast = 1000;
  std::vector<std::vector<int64_t>> told(6);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < told.size(); ++i) {
    threads.emplace_back([&, i] { told[i] = Race(path_, int64_t(i), kLast, /*trim=*/true); });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<int64_t> all;
  for (const auto& part : told) {
    for (const int64_t index : part) ASSERT_TRUE(all.insert(index).second) << index;
  }
  EXPECT_GT(all.size(), size_t(kLast / 2));
  const auto left = *Opened(path_)->Read();
  EXPECT_EQ(left.back().index, *all.rbegin());
  EXPECT_LE(left.size(), 50u);
}

TEST_F(MetadataLogTest, ProcessesThatRaceAppendEachIndexOnce) {
  constexpr int64_t kLast = 1500;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  auto report = [&](int64_t writer) {
    std::string text;
    for (const int64_t index : Race(path_, writer, kLast, /*trim=*/false)) {
      text += std::to_string(index) + "\n";
    }
    folder_.Put("told-" + std::to_string(writer), text);
  };
  if (child == 0) {
    report(1);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  report(2);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const auto entries = *Opened(path_)->Read();
  ASSERT_GE(int64_t(entries.size()), kLast);
  for (size_t i = 0; i < entries.size(); ++i) ASSERT_EQ(entries[i].index, int64_t(i) + 1);
  std::set<int64_t> all;
  for (const int64_t writer : {1, 2}) {
    std::istringstream text(folder_.Get("told-" + std::to_string(writer)));
    for (int64_t index; text >> index;) {
      ASSERT_TRUE(all.insert(index).second) << index;
      ASSERT_EQ(entries[size_t(index - 1)].entry.term(), writer) << index;
    }
  }
  EXPECT_GT(all.size(), size_t(kLast / 2));
}

}  // namespace
}  // namespace millrace
