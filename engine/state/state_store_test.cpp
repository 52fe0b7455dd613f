// The contract of state_store.h, held to every implementation.
#include "engine/state/state_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <random>

#include "engine/state/memory_state_store.h"
#include "engine/state/rocks_state_store.h"
#include "engine/state/state_key.h"
#include "engine/state/state_store_testing.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

// Makes stores of one kind, empty or from a checkpoint's folder, which it must leave alone.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<StateStore> New(const std::string& folder) = 0;
  virtual std::unique_ptr<StateStore> Reopen(const std::string& checkpoint,
                                             const std::string& folder) = 0;
};

class MemoryBackend final : public Backend {
 public:
  std::unique_ptr<StateStore> New(const std::string&) override {
    return std::make_unique<MemoryStateStore>();
  }
  std::unique_ptr<StateStore> Reopen(const std::string& checkpoint, const std::string&) override {
    return MemoryStateStore::Open(checkpoint).ValueOrDie();
  }
};

class RocksBackend final : public Backend {
 public:
  std::unique_ptr<StateStore> New(const std::string& folder) override {
    return OpenRocksStateStore({folder, memory_}).ValueOrDie();
  }
  std::unique_ptr<StateStore> Reopen(const std::string& checkpoint,
                                     const std::string& folder) override {
    fs::create_directories(folder);
    for (const auto& file : fs::directory_iterator(checkpoint)) {
      fs::create_hard_link(file, fs::path(folder) / file.path().filename());
    }
    return New(folder);
  }

 private:
  std::shared_ptr<StateMemory> memory_ = StateMemory::Make(16 << 20);
};

class StateStoreContract : public testing::TestWithParam<bool> {
 protected:
  StateStoreContract() {
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->name()) + "." + std::to_string(getpid());
    std::replace(name.begin(), name.end(), '/', '.');
    root_ = fs::path(testing::TempDir()) / name;
    fs::remove_all(root_);
    if (GetParam()) {
      backend_ = std::make_unique<RocksBackend>();
    } else {
      backend_ = std::make_unique<MemoryBackend>();
    }
    store_ = backend_->New(Folder("store"));
  }
  ~StateStoreContract() override {
    store_.reset();
    fs::remove_all(root_);
  }

  std::string Folder(const std::string& name) const { return root_ / name; }
  Result<StateCheckpoint> Take(int64_t epoch) {
    return TakeCheckpoint(store_.get(), Epoch(epoch), Folder("c" + std::to_string(epoch)));
  }
  std::unique_ptr<StateStore> Reopen(int64_t epoch) {
    const std::string number = std::to_string(epoch);
    return backend_->Reopen(Folder("c" + number), Folder("reopened" + number));
  }
  Status Put(const StateEntries& entries) { return PutEntries(store_.get(), entries); }

  fs::path root_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StateStoreContract, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Rocks" : "Memory"; });

TEST_P(StateStoreContract, ScansARangeInTheOrderOfBytes) {
  const std::string high("\xff\x01", 2);
  const std::string zero("a\0b", 3);
  ASSERT_TRUE(Put({{high, "4"}, {"b", "3"}, {zero, "2"}, {"a", "1"}}).ok());
  EXPECT_EQ(ReadEntries(store_.get()),
            (StateEntries{{"a", "1"}, {zero, "2"}, {"b", "3"}, {high, "4"}}));
  EXPECT_EQ(ReadEntries(store_.get(), "a", "b"), (StateEntries{{"a", "1"}, {zero, "2"}}));
  EXPECT_EQ(ReadEntries(store_.get(), "b"), (StateEntries{{"b", "3"}, {high, "4"}}));
  EXPECT_EQ(ReadEntries(store_.get(), "c", "d"), StateEntries{});
}

TEST_P(StateStoreContract, SeekStaysWithinTheRange) {
  ASSERT_TRUE(Put({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}).ok());
  const auto iterator = store_->Scan("b", "d").ValueOrDie();
  iterator->Seek("c");
  EXPECT_EQ(iterator->key(), "c");
  iterator->Seek("a");
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "b");
  iterator->Seek("bb");
  EXPECT_EQ(iterator->key(), "c");
  iterator->Seek("d");
  EXPECT_FALSE(iterator->Valid());
  EXPECT_TRUE(iterator->status().ok());
}

TEST_P(StateStoreContract, PutReplacesAndDeleteForgets) {
  ASSERT_TRUE(Put({{"a", "1"}, {"b", ""}}).ok());
  ASSERT_TRUE(Put({{"a", "2"}}).ok());
  EXPECT_EQ(ReadEntries(store_.get()), (StateEntries{{"a", "2"}, {"b", ""}}));
  StateBatch batch;
  batch.Delete("a");
  batch.Delete("missing");
  ASSERT_TRUE(store_->Write(std::move(batch)).ok());
  EXPECT_EQ(ReadEntries(store_.get()), (StateEntries{{"b", ""}}));
}

TEST_P(StateStoreContract, ABatchIsAppliedInOrder) {
  ASSERT_TRUE(Put({{"a", "old"}, {"b", "old"}, {"c", "old"}, {"d", "old"}}).ok());
  StateBatch batch;
  batch.Put("bb", "gone");
  batch.DeleteRange("b", "d");
  batch.Put("c", "new");
  batch.Put("e", "gone");
  batch.Delete("e");
  batch.Delete("f");
  batch.Put("f", "new");
  batch.DeleteRange("z", "y");  // empty
  batch.DeleteRange("a", "a");
  EXPECT_EQ(batch.entries(), 7);
  ASSERT_TRUE(store_->Write(std::move(batch)).ok());
  EXPECT_EQ(ReadEntries(store_.get()),
            (StateEntries{{"a", "old"}, {"c", "new"}, {"d", "old"}, {"f", "new"}}));
}

TEST_P(StateStoreContract, IteratorsSeeTheStoreAsItWas) {
  ASSERT_TRUE(Put({{"a", "1"}, {"b", "1"}, {"c", "1"}}).ok());
  const auto before = store_->Scan("", "").ValueOrDie();
  StateBatch batch;
  batch.DeleteRange("b", "c");
  batch.Put("a", "2");
  batch.Put("d", "2");
  ASSERT_TRUE(store_->Write(std::move(batch)).ok());
  ASSERT_TRUE(Take(1).ok());
  const auto after = store_->Scan("", "").ValueOrDie();
  EXPECT_EQ(ReadRest(before.get()), (StateEntries{{"a", "1"}, {"b", "1"}, {"c", "1"}}));
  EXPECT_EQ(ReadRest(after.get()), (StateEntries{{"a", "2"}, {"c", "1"}, {"d", "2"}}));
}

TEST_P(StateStoreContract, ACheckpointSaysWhatItHolds) {
  ASSERT_TRUE(Put({{"a", "1"}}).ok());
  const StateCheckpoint checkpoint = Take(5).ValueOrDie();
  EXPECT_EQ(checkpoint.epoch, Epoch(5));
  EXPECT_EQ(checkpoint.folder, Folder("c5"));
  size_t found = 0;
  for ([[maybe_unused]] const auto& file : fs::directory_iterator(checkpoint.folder)) ++found;
  EXPECT_EQ(checkpoint.files.size(), found);
  for (const StateFile& file : checkpoint.files) {
    EXPECT_EQ(int64_t(fs::file_size(fs::path(checkpoint.folder) / file.name)), file.bytes);
    EXPECT_FALSE(file.name.starts_with("LOG")) << file.name;
  }
}

TEST_P(StateStoreContract, ACheckpointIsReopened) {
  ASSERT_TRUE(Put({{"a", "1"}, {"b", "1"}}).ok());
  ASSERT_TRUE(Take(1).ok());
  StateBatch batch;
  batch.DeleteRange("a", "b");
  batch.Put("c", "2");
  ASSERT_TRUE(store_->Write(std::move(batch)).ok());
  ASSERT_TRUE(Take(2).ok());
  EXPECT_EQ(ReadEntries(Reopen(1).get()), (StateEntries{{"a", "1"}, {"b", "1"}}));
  const auto second = Reopen(2);
  ASSERT_TRUE(PutEntries(second.get(), {{"d", "3"}}).ok());
  EXPECT_EQ(ReadEntries(second.get()), (StateEntries{{"b", "1"}, {"c", "2"}, {"d", "3"}}));
  EXPECT_EQ(ReadEntries(store_.get()), (StateEntries{{"b", "1"}, {"c", "2"}}));
}

TEST_P(StateStoreContract, ACheckpointOfNothingIsReopened) {
  ASSERT_TRUE(Take(1).ok());
  EXPECT_EQ(ReadEntries(Reopen(1).get()), StateEntries{});
}

TEST_P(StateStoreContract, AFolderThatIsThereIsRefusedAndTheStoreGoesOn) {
  ASSERT_TRUE(Put({{"a", "1"}}).ok());
  ASSERT_TRUE(Take(1).ok());
  EXPECT_EQ(CodeOf(Take(1).status()), "checkpoint_folder_exists");
  ASSERT_TRUE(Put({{"b", "1"}}).ok());
  ASSERT_TRUE(Take(2).ok());
  EXPECT_EQ(ReadEntries(Reopen(2).get()), (StateEntries{{"a", "1"}, {"b", "1"}}));
}

// Epochs follow one another without waiting, with writes before, between and after them.
TEST_P(StateStoreContract, CheckpointsHoldExactlyWhatWasWrittenBeforeThem) {
  constexpr int kEpochs = 12;
  std::mt19937 random(7);
  std::map<std::string, std::string> model;
  std::vector<std::map<std::string, std::string>> expected;
  std::atomic<int> done = 0;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    for (int i = 0; i < 20; ++i) {
      StateBatch batch;
      for (int j = 0; j < 50; ++j) {
        const std::string key = "key" + std::to_string(random() % 2000);
        const std::string value = std::to_string(epoch) + "/" + std::to_string(random());
        batch.Put(key, value);
        model[key] = value;
      }
      const std::string first = "key" + std::to_string(random() % 2000);
      batch.DeleteRange(first, first + "5");
      model.erase(model.lower_bound(first), model.lower_bound(first + "5"));
      ASSERT_TRUE(store_->Write(std::move(batch)).ok());
    }
    expected.push_back(model);
    store_->Checkpoint(Epoch(epoch), Folder("c" + std::to_string(epoch)),
                       [&, epoch](const Result<StateCheckpoint>& result) {
                         ASSERT_TRUE(result.ok()) << result.status();
                         EXPECT_EQ(result->epoch, Epoch(epoch));
                         EXPECT_EQ(done++, epoch);
                       });
  }
  ASSERT_TRUE(Put({{"later", "x"}}).ok());
  EXPECT_EQ(ReadEntries(store_.get()).size(), model.size() + 1);  // waits for all
  EXPECT_EQ(done, kEpochs);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const StateEntries wanted(expected[epoch].begin(), expected[epoch].end());
    EXPECT_EQ(ReadEntries(Reopen(epoch).get()), wanted) << epoch;
  }
}

TEST_P(StateStoreContract, KeyGroupsMoveToOtherStores) {
  StateEntries all;
  for (int64_t time = -2; time < 3; ++time) {
    for (int32_t group = 0; group < kKeyGroupCount; ++group) {
      std::string key;
      AppendStateKey(1, time, KeyGroup(group), &key);
      all.emplace_back(key + "k", std::to_string(group));
    }
  }
  ASSERT_TRUE(Put(all).ok());
  ASSERT_TRUE(Put({{StateOperatorKey(1), "stays"}}).ok());
  const auto to = backend_->New(Folder("to"));
  ASSERT_TRUE(CopyKeyGroups(store_.get(), to.get(), 1, KeyGroup(240), KeyGroup(360)).ok());
  ASSERT_EQ(ReadEntries(to.get()).size(), 5u * 120);
  ASSERT_TRUE(CopyKeyGroups(store_.get(), to.get(), 1, KeyGroup(0), KeyGroup(240)).ok());
  ASSERT_TRUE(CopyKeyGroups(store_.get(), to.get(), 1, KeyGroup(360), KeyGroup(720)).ok());
  EXPECT_EQ(ReadEntries(to.get()), all);
}

TEST_P(StateStoreContract, BatchesLargerThanTheQueueAreTaken) {
  StateBatch batch;
  const std::string value(1000, 'v');
  for (int i = 0; i < 20'000; ++i) batch.Put("key" + std::to_string(100'000 + i), value);
  ASSERT_GT(int64_t(batch.bytes()), StateStore::kQueuedBytesMax);
  ASSERT_TRUE(store_->Write(std::move(batch)).ok());
  ASSERT_TRUE(Put({{"last", "1"}}).ok());
  EXPECT_EQ(ReadEntries(store_.get()).size(), 20'001u);
  EXPECT_EQ(store_->stats().queued_bytes, 0);
}

}  // namespace
}  // namespace millrace
