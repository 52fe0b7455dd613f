#include "engine/state/rocks_state_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>

#include "engine/state/rocks_testing.h"
#include "engine/state/state_key.h"

namespace millrace {
namespace {

constexpr int64_t kMiB = 1 << 20;

std::string PaneKey(int64_t pane, int32_t entry) {
  std::string key;
  AppendStateKey(1, pane, KeyGroup(entry % kKeyGroupCount), &key);
  return key += std::to_string(entry);
}

// Values that do not compress, each its own.
std::string Noise(int64_t pane, int32_t entry, size_t size) {
  uint64_t state = uint64_t(pane) * 1'000'003 + uint64_t(entry);
  std::string value(size, '\0');
  for (char& byte : value) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = char(state >> 56);
  }
  return value;
}

Status WritePane(StateStore* store, int64_t pane, int32_t entries, size_t value_bytes) {
  StateBatch batch;
  for (int32_t entry = 0; entry < entries; ++entry) {
    batch.Put(PaneKey(pane, entry), Noise(pane, entry, value_bytes));
  }
  return store->Write(std::move(batch));
}

Status DeletePane(StateStore* store, int64_t pane) {
  StateBatch batch;
  batch.DeleteRange(StateTimeBegin(1, pane), StateTimeEnd(1, pane));
  return store->Write(std::move(batch));
}

int CountTables(const CrashDisk& disk, const std::string& folder) {
  int tables = 0;
  for (const auto& [name, bytes] : disk.files->Contents(folder)) tables += name.ends_with(".sst");
  return tables;
}

TEST(RocksStateStore, KeepsNoLogsInItsFolderNorInACheckpoint) {
  CrashDisk disk;
  auto store = disk.Open("/data/job/store").ValueOrDie();
  ASSERT_TRUE(WritePane(store.get(), 1, 10, 10).ok());
  const StateCheckpoint checkpoint =
      TakeCheckpoint(store.get(), Epoch(1), "/data/job/checkpoints/1").ValueOrDie();
  std::vector<std::string> names;
  for (const StateFile& file : checkpoint.files) names.push_back(file.name.substr(0, 7));
  EXPECT_EQ(names.size(), 4u) << testing::PrintToString(names);
  for (const auto& [name, bytes] : disk.files->Contents("/data/job/store")) {
    EXPECT_FALSE(name.starts_with("LOG")) << name;
  }
}

TEST(RocksStateStore, AStoreOverLinksOfACheckpointChangesNoneOfItsFiles) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  for (int pane = 0; pane < 5; ++pane) {
    ASSERT_TRUE(WritePane(store.get(), pane, 100, 50).ok());
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(pane), "/c" + std::to_string(pane)).ok());
  }
  const auto before = disk.files->Contents("/c4");
  const StateEntries entries = ReadEntries(store.get());
  auto linked = disk.OpenLinked("/c4", "/linked").ValueOrDie();
  EXPECT_EQ(ReadEntries(linked.get()), entries);
  for (int pane = 0; pane < 40; ++pane) {  // enough for compactions of all files
    ASSERT_TRUE(WritePane(linked.get(), pane, 100, 60).ok());
    ASSERT_TRUE(DeletePane(linked.get(), pane - 3).ok());
    ASSERT_TRUE(TakeCheckpoint(linked.get(), Epoch(pane), "/l" + std::to_string(pane)).ok());
  }
  linked.reset();
  EXPECT_EQ(disk.files->Contents("/c4"), before);
  store.reset();
  EXPECT_EQ(disk.files->Contents("/c4"), before);
  EXPECT_EQ(ReadEntries(disk.OpenLinked("/c4", "/again").ValueOrDie().get()), entries);
}

TEST(RocksStateStore, TablesOfOneStoreHaveTheSameBytesInEveryCheckpoint) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  std::map<std::string, std::string> seen;
  for (int pane = 0; pane < 40; ++pane) {
    ASSERT_TRUE(WritePane(store.get(), pane, 20, 50).ok());
    const std::string folder = "/c" + std::to_string(pane);
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(pane), folder).ok());
    for (const auto& [name, bytes] : disk.files->Contents(folder)) {
      if (!name.ends_with(".sst")) continue;
      EXPECT_EQ(seen.try_emplace(name, bytes).first->second, bytes) << name;
    }
  }
}

TEST(RocksStateStore, ThousandsOfPanesLeaveTheDiskAsItWas) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  constexpr int64_t kOpen = 5;
  constexpr int64_t kPaneBytes = 100 * (200 + 20);
  int64_t most_bytes = 0, most_on_disk = 0;
  int most_tables = 0;
  for (int64_t pane = 0; pane < 2000; ++pane) {
    const std::string folder = "/c" + std::to_string(pane);
    ASSERT_TRUE(WritePane(store.get(), pane, 100, 200).ok());
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(pane), folder).ok());
    ASSERT_TRUE(DeletePane(store.get(), pane - kOpen).ok());
    disk.files->RemoveFolder(folder);
    if (pane < 100) continue;
    most_bytes = std::max(most_bytes, store->stats().disk_bytes);
    most_on_disk = std::max(most_on_disk, disk.files->used_bytes());
    most_tables = std::max(most_tables, CountTables(disk, "/store"));
  }
  // At rest twice the state and eight runs of a pane each; more while compactions are behind. What
  // was written is 400 times the state.
  EXPECT_LT(most_bytes, 20 * kOpen * kPaneBytes);
  EXPECT_LT(most_on_disk, most_bytes + 4 * kMiB);  // manifests of at most 1 MB each
  EXPECT_LT(most_tables, 200);
  EXPECT_EQ(ReadEntries(store.get()).size(), size_t(kOpen * 100));
}

// Panes on disk for long, in files that hold parts of several: what deletions hide comes back.
TEST(RocksStateStore, SpaceOfDeletedPanesComesBack) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  int64_t epoch = 0;
  const auto checkpoint = [&] {
    const std::string folder = "/c" + std::to_string(++epoch);
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(epoch), folder).ok());
    disk.files->RemoveFolder(folder);
  };
  for (int64_t part = 0; part < 10; ++part) {
    for (int64_t pane = 0; pane < 20; ++pane) {
      StateBatch batch;
      for (int32_t entry = 0; entry < 100; ++entry) {
        batch.Put(PaneKey(pane, int32_t(part * 100 + entry)), Noise(pane, entry, 1000));
      }
      ASSERT_TRUE(store->Write(std::move(batch)).ok());
    }
    checkpoint();
  }
  ASSERT_GT(store->stats().disk_bytes, 19 * kMiB);
  for (int64_t pane = 0; pane < 19; ++pane) ASSERT_TRUE(DeletePane(store.get(), pane).ok());
  for (int tries = 0; tries < 10'000 && store->stats().disk_bytes > 2 * kMiB; ++tries) {
    checkpoint();
  }
  EXPECT_LT(store->stats().disk_bytes, 2 * kMiB);
  EXPECT_EQ(ReadEntries(store.get()).size(), 1000u);
  EXPECT_LT(disk.files->used_bytes(), 4 * kMiB);
}

// An entry that is written right after its range was deleted must outlive the dropping of files.
TEST(RocksStateStore, WhatIsWrittenAfterADeletionStays) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  for (int round = 0; round < 60; ++round) {
    StateBatch batch;
    for (int64_t pane = 0; pane < 4; ++pane) {
      batch.DeleteRange(StateTimeBegin(1, pane), StateTimeEnd(1, pane));
      for (int32_t entry = 0; entry < 50; ++entry) {
        batch.Put(PaneKey(pane, entry), std::to_string(round));
      }
    }
    ASSERT_TRUE(store->Write(std::move(batch)).ok());
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(round), "/c" + std::to_string(round)).ok());
    const StateEntries entries = ReadEntries(store.get());
    ASSERT_EQ(entries.size(), 200u);
    for (const auto& [key, value] : entries) ASSERT_EQ(value, std::to_string(round));
  }
}

TEST(RocksStateStore, AnIteratorKeepsWhatADeletionGivesBack) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  for (int64_t pane = 0; pane < 20; ++pane) {
    ASSERT_TRUE(WritePane(store.get(), pane, 100, 100).ok());
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(pane), "/c" + std::to_string(pane)).ok());
  }
  auto iterator = store->Scan("", "").ValueOrDie();
  for (int64_t pane = 0; pane < 20; ++pane) ASSERT_TRUE(DeletePane(store.get(), pane).ok());
  ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(99), "/c99").ok());
  EXPECT_EQ(ReadRest(iterator.get()).size(), 2000u);
  EXPECT_EQ(ReadEntries(store.get()).size(), 0u);
}

TEST(RocksStateStore, StoresOfAProcessKeepToOneBudget) {
  constexpr int64_t kBudget = 16 * kMiB;
  CrashDisk disk(1, kBudget);
  std::vector<std::unique_ptr<StateStore>> stores;
  for (int i = 0; i < 4; ++i) {
    stores.push_back(disk.Open("/store" + std::to_string(i)).ValueOrDie());
  }
  int64_t most_used = 0, most_memtables = 0, most_queued = 0;
  for (int64_t pane = 0; pane < 100; ++pane) {
    for (auto& store : stores) {
      ASSERT_TRUE(WritePane(store.get(), pane, 300, 1000).ok());
      int64_t memtables = 0;
      for (auto& other : stores) {
        memtables += other->stats().memory_bytes;
        most_queued = std::max(most_queued, other->stats().queued_bytes);
      }
      most_memtables = std::max(most_memtables, memtables);
      most_used = std::max(most_used, disk.memory->used_bytes());
    }
  }
  for (auto& store : stores) {
    EXPECT_EQ(ReadEntries(store.get()).size(), 30'000u);
    most_used = std::max(most_used, disk.memory->used_bytes());
  }
  EXPECT_LE(most_used, kBudget);
  EXPECT_LE(most_memtables, kBudget);
  EXPECT_LE(most_queued, StateStore::kQueuedBytesMax + kMiB);
}

// Opens links of a checkpoint and reads everything, or says why not.
Result<StateEntries> ReadLinked(CrashDisk* disk, const std::string& checkpoint) {
  disk->memory = StateMemory::Make(8 * kMiB);  // whose cache would hide damage
  disk->files->RemoveFolder("/linked");
  ARROW_ASSIGN_OR_RAISE(const auto store, disk->OpenLinked(checkpoint, "/linked"));
  ARROW_ASSIGN_OR_RAISE(const auto iterator, store->Scan("", ""));
  StateEntries entries;
  for (; iterator->Valid(); iterator->Next()) {
    entries.emplace_back(iterator->key(), iterator->value());
  }
  ARROW_RETURN_NOT_OK(iterator->status());
  return entries;
}

// A checkpoint whose files are spoilt in many places. Of tables, damage is told or does not matter.
// In the manifest RocksDB takes much of it for the manifest's end, so a restore compares checksums
// before (rocks_state_store.h).
class RocksDamage : public testing::Test {
 protected:
  RocksDamage() {
    auto store = disk_.Open("/store").ValueOrDie();
    EXPECT_TRUE(WritePane(store.get(), 1, 300, 100).ok());
    EXPECT_TRUE(TakeCheckpoint(store.get(), Epoch(1), "/c").ok());
    entries_ = ReadEntries(store.get());
    good_ = disk_.files->Contents("/c");
  }

  // How often it was told; `spoil` gives the bytes of a file that is damaged at a place.
  int SpoilEverywhere(const std::string& name,
                      const std::function<std::string(const std::string&, size_t)>& spoil) {
    const std::string& bytes = good_[name];
    int told = 0;
    for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 200) {
      disk_.files->Overwrite("/c/" + name, spoil(bytes, at));
      const Result<StateEntries> read = ReadLinked(&disk_, "/c");
      told += !read.ok();
      const bool table = name.ends_with(".sst");
      if (!read.ok()) {
        EXPECT_TRUE(CodeOf(read.status()) == "state_damaged" ||
                    (!table && CodeOf(read.status()) == "state_open_failed"))
            << name << " at " << at << ": " << read.status();
      } else if (table) {
        EXPECT_EQ(*read, entries_) << name << " at " << at;
      }
    }
    disk_.files->Overwrite("/c/" + name, bytes);
    return told;
  }

  CrashDisk disk_;
  StateEntries entries_;
  std::map<std::string, std::string> good_;
};

TEST_F(RocksDamage, OfAByteIsTold) {
  for (const auto& [name, bytes] : good_) {
    const int told = SpoilEverywhere(name, [](std::string spoilt, size_t at) {
      spoilt[at] = char(spoilt[at] ^ 0x41);
      return spoilt;
    });
    if (!name.starts_with("OPTIONS")) {
      EXPECT_GT(told, 0) << name;
    }
    if (name.ends_with(".sst")) {
      EXPECT_GT(told, 180) << name;
    }
  }
}

TEST_F(RocksDamage, OfACutTableIsTold) {
  for (const auto& [name, bytes] : good_) {
    if (!name.ends_with(".sst")) continue;
    const auto cut = [](const std::string& whole, size_t at) { return whole.substr(0, at); };
    EXPECT_GT(SpoilEverywhere(name, cut), 190);
  }
}

TEST_F(RocksDamage, ThatACompactionMeetsFailsTheStore) {
  const auto table = std::find_if(good_.begin(), good_.end(),
                                  [](const auto& f) { return f.first.ends_with("sst"); });
  std::string bad = table->second;
  bad[bad.size() / 3] = char(bad[bad.size() / 3] ^ 0x41);
  disk_.files->Overwrite("/c/" + table->first, bad);
  disk_.memory = StateMemory::Make(8 * kMiB);
  auto store = disk_.OpenLinked("/c", "/linked").ValueOrDie();
  Status status;
  for (int64_t epoch = 0; epoch < 10'000 && status.ok(); ++epoch) {
    const std::string folder = "/l" + std::to_string(epoch);
    status = WritePane(store.get(), epoch, 300, 100);
    if (status.ok()) status = TakeCheckpoint(store.get(), Epoch(epoch), folder).status();
    if (status.ok()) disk_.files->RemoveFolder(folder);
  }
  EXPECT_EQ(CodeOf(status), "state_damaged") << status;
  EXPECT_EQ(CodeOf(store->Scan("", "").status()), "state_damaged");
}

TEST(RocksStateStore, FilesWithoutTheCurrentOneAreNotTakenForAnEmptyStore) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  ASSERT_TRUE(WritePane(store.get(), 1, 10, 10).ok());
  ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(1), "/c").ok());
  const auto before = disk.files->Contents("/c");
  ASSERT_TRUE(disk.env->DeleteFile("/c/CURRENT").ok());
  EXPECT_EQ(CodeOf(disk.Open("/c").status()), "state_damaged");
  EXPECT_EQ(disk.files->Contents("/c").size(), before.size() - 1);
}

TEST(RocksStateStore, AMissingTableIsDamage) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  ASSERT_TRUE(WritePane(store.get(), 1, 10, 10).ok());
  for (const StateFile& file : TakeCheckpoint(store.get(), Epoch(1), "/c").ValueOrDie().files) {
    if (!file.name.ends_with(".sst")) continue;
    ASSERT_TRUE(disk.env->DeleteFile("/c/" + file.name).ok());
  }
  EXPECT_EQ(CodeOf(disk.Open("/c").status()), "state_damaged");
}

TEST(RocksStateStore, AFullDiskFailsEveryLaterCall) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  disk.files->SetCapacity(2 * kMiB);
  Status status;
  for (int64_t pane = 0; pane < 100 && status.ok(); ++pane) {
    status = WritePane(store.get(), pane, 1000, 1000);
  }
  EXPECT_EQ(CodeOf(status), "disk_full");
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  EXPECT_EQ(detail->domain(), ErrorDomain::kExternal);
  EXPECT_EQ(detail->retry(), Retry::kNo);
  disk.files->SetCapacity(INT64_MAX);
  EXPECT_EQ(CodeOf(WritePane(store.get(), 1, 1, 1)), "disk_full");
  EXPECT_EQ(CodeOf(store->Scan("", "").status()), "disk_full");
  EXPECT_EQ(CodeOf(TakeCheckpoint(store.get(), Epoch(1), "/c").status()), "disk_full");
  EXPECT_FALSE(disk.env->FileExists("/c").ok());
}

TEST(RocksStateStore, ClosingAnswersEveryCheckpoint) {
  CrashDisk disk;
  auto store = disk.Open("/store").ValueOrDie();
  std::promise<void> begun, go_on;
  std::atomic<int> answers = 0;
  store->Checkpoint(Epoch(1), "/c1", [&](const Result<StateCheckpoint>& result) {
    EXPECT_TRUE(result.ok());
    ++answers;
    begun.set_value();
    go_on.get_future().wait();
  });
  store->Checkpoint(Epoch(2), "/c2", [&](const Result<StateCheckpoint>&) { ++answers; });
  begun.get_future().wait();
  go_on.set_value();
  store.reset();
  EXPECT_EQ(answers, 2);
}

}  // namespace
}  // namespace millrace
