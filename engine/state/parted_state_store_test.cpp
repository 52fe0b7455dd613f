#include "engine/state/parted_state_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>

#include "engine/state/memory_state_store.h"
#include "engine/state/rocks_testing.h"
#include "engine/state/state_key.h"

namespace millrace {
namespace {

std::string KeyOf(int64_t time, int32_t group, const std::string& rest = "") {
  std::string key;
  AppendStateKey(1, time, KeyGroup(group), &key);
  return key + rest;
}

// Groups 0 to 99, 100 to 199 and 250 to 299, and 200 to 249.
const std::vector<KeyGroupSet>& ThreeParts() {
  static const std::vector<KeyGroupSet> parts = [] {
    std::vector<KeyGroupSet> sets = {KeyGroupSet::Range(0, 100), KeyGroupSet::Range(100, 200),
                                     KeyGroupSet::Range(200, 250)};
    sets[1] |= KeyGroupSet::Range(250, 300);
    return sets;
  }();
  return parts;
}

struct InMemory {
  InMemory() {
    std::vector<StorePart> made;
    for (const KeyGroupSet& groups : ThreeParts()) {
      auto store = std::make_unique<MemoryStateStore>();
      parts.push_back(store.get());
      made.push_back({groups, std::move(store)});
    }
    whole = MakePartedStateStore(std::move(made));
  }
  std::vector<MemoryStateStore*> parts;
  std::unique_ptr<StateStore> whole;
};

TEST(PartedStateStore, AnEntryIsInThePartOfItsGroupAlone) {
  InMemory of;
  ASSERT_TRUE(PutEntries(of.whole.get(), {{KeyOf(1, 0), "a"},
                                          {KeyOf(1, 99), "b"},
                                          {KeyOf(1, 100), "c"},
                                          {KeyOf(1, 249), "d"},
                                          {KeyOf(1, 250), "e"}})
                  .ok());
  EXPECT_EQ(ReadEntries(of.parts[0]), (StateEntries{{KeyOf(1, 0), "a"}, {KeyOf(1, 99), "b"}}));
  EXPECT_EQ(ReadEntries(of.parts[1]), (StateEntries{{KeyOf(1, 100), "c"}, {KeyOf(1, 250), "e"}}));
  EXPECT_EQ(ReadEntries(of.parts[2]), (StateEntries{{KeyOf(1, 249), "d"}}));
  StateBatch batch;
  batch.Delete(KeyOf(1, 250));
  ASSERT_TRUE(of.whole->Write(std::move(batch)).ok());
  EXPECT_EQ(of.parts[1]->size(), 1u);
}

TEST(PartedStateStore, AnOperatorsOwnEntryIsInEveryPartAndGivenOutOnce) {
  InMemory of;
  ASSERT_TRUE(PutEntries(of.whole.get(), {{StateOperatorKey(1), "own"}, {KeyOf(1, 5), "a"}}).ok());
  for (MemoryStateStore* part : of.parts) EXPECT_EQ(ReadEntries(part)[0].second, "own");
  EXPECT_EQ(ReadEntries(of.whole.get()),
            (StateEntries{{StateOperatorKey(1), "own"}, {KeyOf(1, 5), "a"}}));
}

TEST(PartedStateStore, RefusesWhatIsOfAnotherTask) {
  InMemory of;
  for (const int32_t group : {300, 719, 0xffff}) {
    EXPECT_EQ(CodeOf(PutEntries(of.whole.get(), {{KeyOf(1, group), "a"}})),
              "state_of_another_task");
  }
  EXPECT_TRUE(ReadEntries(of.whole.get()).empty());
}

TEST(PartedStateStore, IsAsOneStore) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    InMemory of;
    MemoryStateStore one;
    const auto some_key = [&] {
      if (random() % 10 == 0) return StateOperatorKey(1);
      return KeyOf(int64_t(random() % 4), int32_t(random() % 300), std::to_string(random() % 3));
    };
    for (int step = 0; step < 40; ++step) {
      StateBatch batch;
      for (int i = 0; i < 20; ++i) {
        switch (random() % 8) {
          case 0:
            batch.Delete(some_key());
            break;
          case 1:
            batch.DeleteRange(some_key(), some_key());
            break;
          default:
            batch.Put(some_key(), std::to_string(step));
        }
      }
      StateBatch same = batch;
      ASSERT_TRUE(of.whole->Write(std::move(batch)).ok());
      ASSERT_TRUE(one.Write(std::move(same)).ok());
      const std::string first = some_key(), last = random() % 3 == 0 ? "" : some_key();
      if (!last.empty() && last < first) continue;
      const auto left = of.whole->Scan(first, last).ValueOrDie();
      const auto right = one.Scan(first, last).ValueOrDie();
      ASSERT_EQ(ReadRest(left.get()), ReadRest(right.get()));
      const std::string at = some_key();
      left->Seek(at);
      right->Seek(at);
      ASSERT_EQ(ReadRest(left.get()), ReadRest(right.get()));
    }
  }
}

TEST(PartedStateStore, WhatFailsInAPartFailsTheWhole) {
  InMemory of;
  of.parts[1]->FailWith(ExternalError("disk_full", "no space", Retry::kNo));
  EXPECT_EQ(CodeOf(PutEntries(of.whole.get(), {{KeyOf(1, 100), "a"}})), "disk_full");
  for (MemoryStateStore* part : of.parts) {
    part->FailWith(ExternalError("disk_full", "no space", Retry::kNo));
  }
  EXPECT_EQ(CodeOf(TakeCheckpoint(of.whole.get(), Epoch(1), "").status()), "disk_full");
}

// ---- On disk -----------------------------------------------------------------------------------

std::unique_ptr<StateStore> OpenPart(CrashDisk* disk, const std::string& folder, PartGroups groups,
                                     int32_t sharers = 1) {
  return OpenRocksStateStore({folder, disk->memory, groups, sharers}, disk->env.get()).ValueOrDie();
}

Result<std::unique_ptr<StateStore>> OpenParts(CrashDisk* disk, const std::string& folder) {
  std::vector<StorePart> parts;
  for (const KeyGroupSet& groups : ThreeParts()) {
    RocksStateOptions options{folder + "/" + PartName(parts.size()), disk->memory,
                              PartGroups{groups, groups.count()}, 3};
    ARROW_ASSIGN_OR_RAISE(auto store, OpenRocksStateStore(std::move(options), disk->env.get()));
    parts.push_back({groups, std::move(store)});
  }
  return MakePartedStateStore(std::move(parts), disk->env.get());
}

void LinkFolder(CrashDisk* disk, const std::string& from, const std::string& to) {
  EXPECT_TRUE(disk->env->CreateDirIfMissing(to).ok());
  for (const auto& [name, bytes] : disk->files->Contents(from)) {
    if (name != PartGroups::kFileName) {
      EXPECT_TRUE(disk->env->LinkFile(from + "/" + name, to + "/" + name).ok());
    }
  }
}

// From a checkpoint.
std::unique_ptr<StateStore> OpenLinkedParts(CrashDisk* disk, const std::string& checkpoint,
                                            const std::string& folder) {
  EXPECT_TRUE(disk->env->CreateDirIfMissing(folder).ok());
  for (size_t part = 0; part < ThreeParts().size(); ++part) {
    LinkFolder(disk, checkpoint + "/" + PartName(part), folder + "/" + PartName(part));
  }
  return OpenParts(disk, folder).ValueOrDie();
}

TEST(PartedStateStore, ACheckpointHasAFolderForEachPart) {
  CrashDisk disk;
  auto store = OpenParts(&disk, "/store").ValueOrDie();
  const StateEntries entries = {{KeyOf(1, 5), "a"}, {KeyOf(1, 150), "b"}, {KeyOf(1, 220), "c"}};
  ASSERT_TRUE(PutEntries(store.get(), entries).ok());
  const StateCheckpoint checkpoint =
      TakeCheckpoint(store.get(), Epoch(1), "/checkpoints/1").ValueOrDie();
  EXPECT_EQ(disk.files->Contents("/checkpoints/1/p1").at("GROUPS"),
            "format 1\nown 100-199,250-299\nheld 150\n");
  int tables = 0;
  for (const StateFile& file : checkpoint.files) {
    tables += file.name.ends_with(".sst");
    EXPECT_EQ(file.name.substr(2, 1), "/") << file.name;
    EXPECT_TRUE(disk.env->FileExists("/checkpoints/1/" + file.name).ok()) << file.name;
  }
  EXPECT_EQ(tables, 3);
  EXPECT_EQ(CodeOf(TakeCheckpoint(store.get(), Epoch(1), "/checkpoints/1").status()),
            "checkpoint_folder_exists");
  store.reset();
  EXPECT_EQ(ReadEntries(OpenLinkedParts(&disk, "/checkpoints/1", "/again").get()), entries);
}

TEST(PartedStateStore, AStoreThatClosesAnswersCheckpointsOnce) {
  CrashDisk disk;
  auto store = OpenParts(&disk, "/store").ValueOrDie();
  std::atomic<int> answered = 0;
  for (int epoch = 0; epoch < 20; ++epoch) {
    store->Checkpoint(Epoch(epoch), "/checkpoints/" + std::to_string(epoch),
                      [&](const Result<StateCheckpoint>&) { ++answered; });
  }
  store.reset();
  EXPECT_EQ(answered, 20);
}

// What is done at each operation of the disk is whole after a crash there, or not there.
TEST(PartedStateStore, ACheckpointThatIsDoneSurvivesACrashAtEveryOperation) {
  const auto entries = [](int epoch) {
    StateEntries some = {{StateOperatorKey(1), std::to_string(epoch)}};
    for (int32_t group = 0; group < 300; group += 7) {
      some.emplace_back(KeyOf(1, group), std::to_string(epoch));
    }
    return some;
  };
  const auto run = [&](CrashDisk* disk) {
    int done = 0;
    auto store = OpenParts(disk, "/store");
    for (int epoch = 1; store.ok() && epoch <= 2; ++epoch) {
      if (!PutEntries(store->get(), entries(epoch)).ok()) break;
      if (!TakeCheckpoint(store->get(), Epoch(epoch), "/c" + std::to_string(epoch)).ok()) break;
      done = epoch;
    }
    return done;
  };
  int64_t operations = 0;
  {
    CrashDisk disk;
    ASSERT_EQ(run(&disk), 2);
    operations = disk.files->operations();
  }
  for (int64_t last = 1; last <= operations; last += 3) {
    SCOPED_TRACE("crash at operation " + std::to_string(last));
    CrashDisk disk{uint64_t(last)};
    disk.files->CrashAt(last);
    const int done = run(&disk);
    disk.files->Recover();
    for (int epoch = 1; epoch <= 2; ++epoch) {
      const std::string folder = "/c" + std::to_string(epoch);
      const bool exists = disk.env->FileExists(folder).ok();
      ASSERT_TRUE(exists || epoch > done);
      if (!exists) continue;
      for (size_t part = 0; part < 3; ++part) {
        const auto bytes = disk.files->Contents(folder + "/" + PartName(part)).at("GROUPS");
        EXPECT_EQ(PartGroups::Decode(bytes).ValueOrDie().own, ThreeParts()[part]);
      }
      const auto again = OpenLinkedParts(&disk, folder, "/again" + std::to_string(epoch));
      EXPECT_EQ(ReadEntries(again.get()), entries(epoch));
    }
  }
}

// ---- A store that holds other key groups -------------------------------------------------------

std::string Value(int32_t group) { return std::string(200, char('a' + group % 26)); }

// A store of groups 0 to 359, ten entries each, in a checkpoint.
void MakeOld(CrashDisk* disk, const std::string& checkpoint) {
  auto store = disk->Open("/old").ValueOrDie();
  StateEntries entries = {{StateOperatorKey(1), "old"}};
  for (int64_t time = 0; time < 10; ++time) {
    for (int32_t group = 0; group < 360; ++group)
      entries.emplace_back(KeyOf(time, group), Value(group));
  }
  ASSERT_TRUE(PutEntries(store.get(), entries).ok());
  ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(1), checkpoint).ok());
}

StateEntries EntriesOf(const KeyGroupSet& groups) {
  StateEntries entries = {{StateOperatorKey(1), "old"}};
  for (int64_t time = 0; time < 10; ++time) {
    for (int32_t group = 0; group < 360; ++group) {
      if (groups.Contains(KeyGroup(group))) entries.emplace_back(KeyOf(time, group), Value(group));
    }
  }
  return entries;
}

TEST(StoreOfSomeGroups, ReadsAndTakesItsOwnOnly) {
  CrashDisk disk;
  MakeOld(&disk, "/c");
  LinkFolder(&disk, "/c", "/new");
  const KeyGroupSet own = KeyGroupSet::Range(100, 250);
  auto store = OpenPart(&disk, "/new", {own, 360});
  EXPECT_EQ(ReadEntries(store.get()), EntriesOf(own));
  ASSERT_TRUE(PutEntries(store.get(), {{KeyOf(20, 249), "new"}}).ok());
  EXPECT_EQ(ReadEntries(store.get(), KeyOf(20, 0)), (StateEntries{{KeyOf(20, 249), "new"}}));
  ASSERT_TRUE(PutEntries(store.get(), {{KeyOf(20, 250), "not mine"}}).ok());
  EXPECT_EQ(CodeOf(store->Scan("", "").status()), "state_write_failed");
}

// Every entry of the folder's tables, whatever a part says.
StateEntries Held(CrashDisk* disk, const std::string& checkpoint, const std::string& aside) {
  LinkFolder(disk, checkpoint, aside);
  return ReadEntries(disk->Open(aside).ValueOrDie().get());
}

TEST(StoreOfSomeGroups, ACompactionDropsTheOthers) {
  CrashDisk disk;
  MakeOld(&disk, "/c");
  LinkFolder(&disk, "/c", "/new");
  const KeyGroupSet own = KeyGroupSet::Range(0, 180);
  auto store = OpenPart(&disk, "/new", {own, 360});
  // A half is nothing to be compacted for.
  ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(1), "/c1").ok());
  EXPECT_EQ(Held(&disk, "/c1", "/aside1").size(), 1u + 3600);
  // All of it is merged once what is new holds twice as much.
  std::mt19937 random(1);
  const auto is_other = [&](const auto& entry) { return !IsOfGroups(entry.first, own); };
  StateEntries expected = EntriesOf(own);
  for (int epoch = 2;; ++epoch) {
    ASSERT_LT(epoch, 400);
    std::string noise(100'000, '\0');
    for (char& byte : noise) byte = char(random());
    expected.emplace_back(KeyOf(epoch + 100, 0), noise);
    ASSERT_TRUE(PutEntries(store.get(), {expected.back()}).ok());
    const std::string folder = "/c" + std::to_string(epoch);
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(epoch), folder).ok());
    if (std::ranges::none_of(Held(&disk, folder, "/aside" + std::to_string(epoch)), is_other))
      break;
  }
  EXPECT_EQ(ReadEntries(store.get()), expected);
}

TEST(StoreOfSomeGroups, SaysWhatItHoldsOnceAllIsCompacted) {
  CrashDisk disk;
  {
    auto old = disk.Open("/old").ValueOrDie();
    std::mt19937 random(1);
    for (int32_t i = 0; i < 3600; ++i) {
      std::string noise(4000, '\0');
      for (char& byte : noise) byte = char(random());
      ASSERT_TRUE(PutEntries(old.get(), {{KeyOf(i % 10, i / 10), noise}}).ok());
    }
    ASSERT_TRUE(TakeCheckpoint(old.get(), Epoch(1), "/c").ok());
  }
  LinkFolder(&disk, "/c", "/new");
  const KeyGroupSet own = KeyGroupSet::Range(10, 100);
  auto store = OpenPart(&disk, "/new", {own, 360});
  const StateEntries left = ReadEntries(store.get(), StateTimeBegin(1, 8));
  EXPECT_EQ(left.size(), 2u * 90);
  StateBatch batch;
  batch.DeleteRange(StateTimeBegin(1, 0), StateTimeBegin(1, 8));
  ASSERT_TRUE(store->Write(std::move(batch)).ok());
  for (int epoch = 1;; ++epoch) {
    ASSERT_LT(epoch, 2000);
    const std::string folder = "/c" + std::to_string(epoch);
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(epoch), folder).ok());
    const auto groups = PartGroups::Decode(disk.files->Contents(folder).at("GROUPS")).ValueOrDie();
    EXPECT_EQ(groups.own, own);
    if (groups.held == 360) continue;
    EXPECT_EQ(groups.held, 90);
    EXPECT_GT(epoch, 1);
    EXPECT_EQ(Held(&disk, folder, "/aside"), left);
    break;
  }
}

}  // namespace
}  // namespace millrace
