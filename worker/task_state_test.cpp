#include "worker/task_state.h"

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "engine/state/memory_state_store.h"
#include "engine/state/rocks_state_store.h"
#include "engine/storage/storage_testing.h"

namespace millrace {
namespace {

using Names = std::vector<std::string>;

// A store whose checkpoints are the files that the test puts into it.
class FakeStore final : public StateStore {
 public:
  std::map<std::string, std::string> files;
  Status fails;
  Status Write(StateBatch) override { return Status::OK(); }
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view, std::string_view) override {
    return InternalError("unexpected", "nothing is read");
  }
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override {
    if (!fails.ok()) return done(fails);
    std::filesystem::create_directories(folder);
    StateCheckpoint checkpoint{epoch, folder, {}};
    for (const auto& [name, bytes] : files) {
      std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
      checkpoint.files.push_back({name, int64_t(bytes.size())});
    }
    done(std::move(checkpoint));
  }
  StateStoreStats stats() const override { return {}; }
};

class TaskStateTest : public testing::Test {
 protected:
  void Begin(std::map<std::string, proto::StoredFile> restored = {}) {
    auto store = std::make_unique<FakeStore>();
    store_ = store.get();
    Begin(std::move(store), std::move(restored));
  }
  void Begin(std::unique_ptr<StateStore> store,
             std::map<std::string, proto::StoredFile> restored = {}) {
    TaskStateOptions options;
    options.operator_id = "metrics.window";
    options.index = 1;
    options.parallelism = 4;
    options.folder = local_.Path("store");
    options.file_prefix = "9-metrics.window-1";
    options.restored = std::move(restored);
    state_ = std::make_unique<TaskState>(std::move(options), std::move(store), storage_.get());
  }
  Result<proto::TaskState> Gather(int64_t epoch) {
    std::promise<Result<proto::TaskState>> gathered;
    state_->Gather(Epoch(epoch), "count", [&](Epoch told, Result<proto::TaskState> state) {
      EXPECT_EQ(told, Epoch(epoch));
      gathered.set_value(std::move(state));
    });
    return gathered.get_future().get();
  }
  static Names PathsOf(const proto::TaskState& state) {
    Names paths;
    for (const proto::StoredFile& file : state.files()) paths.push_back(file.path());
    return paths;
  }

  StorageTestFolder folder_;
  StorageTestFolder local_;
  std::unique_ptr<CheckpointStorage> storage_ =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder_.path())
          .ValueOrDie();
  FakeStore* store_ = nullptr;
  std::unique_ptr<TaskState> state_;
};

TEST_F(TaskStateTest, SaysWhatTheStateIsOfAndWhereItsFilesAre) {
  Begin();
  store_->files = {{"000007.sst", "table"}, {"MANIFEST-000005", "list"}};
  const proto::TaskState state = Gather(3).ValueOrDie();
  EXPECT_EQ(state.operator_id(), "metrics.window");
  EXPECT_EQ(state.index(), 1);
  EXPECT_EQ(state.parallelism(), 4);
  EXPECT_EQ(state.fingerprint(), "count");
  EXPECT_EQ(PathsOf(state), (Names{"state/9-metrics.window-1-000007.sst",
                                   "state/9-metrics.window-1-3-MANIFEST-000005"}));
  EXPECT_EQ(state.files(0).local_name(), "000007.sst");
  EXPECT_EQ(state.files(1).local_name(), "MANIFEST-000005");
  EXPECT_EQ(folder_.Get(state.files(0).path()), "table");
  EXPECT_EQ(folder_.Get(state.files(1).path()), "list");
  for (const proto::StoredFile& file : state.files()) EXPECT_TRUE(storage_->Verify(file).ok());
  // The gathered links are not left behind.
  EXPECT_TRUE(local_.Files().empty());
}

// A table that is there already is not uploaded again; all else is of one checkpoint.
TEST_F(TaskStateTest, UploadsOnlyWhatTheStorageDoesNotHave) {
  Begin();
  store_->files = {{"000007.sst", "seven"}, {"CURRENT", "5"}};
  const proto::TaskState first = Gather(1).ValueOrDie();
  EXPECT_EQ(state_->figures().bytes, 6);
  EXPECT_EQ(state_->figures().uploaded_bytes, 6);
  // Were it read again, it would have another checksum.
  store_->files = {{"000007.sst", "SEVEN"}, {"000008.sst", "eighteight"}, {"CURRENT", "5"}};
  const proto::TaskState second = Gather(2).ValueOrDie();
  EXPECT_EQ(PathsOf(second),
            (Names{"state/9-metrics.window-1-000007.sst", "state/9-metrics.window-1-000008.sst",
                   "state/9-metrics.window-1-2-CURRENT"}));
  EXPECT_EQ(second.files(0).SerializeAsString(), first.files(0).SerializeAsString());
  EXPECT_EQ(state_->figures().bytes, 16);
  EXPECT_EQ(state_->figures().uploaded_bytes, 6 + 11);
  // Compacted away.
  store_->files = {{"000009.sst", "nine"}};
  EXPECT_EQ(PathsOf(Gather(3).ValueOrDie()), Names{"state/9-metrics.window-1-000009.sst"});
  EXPECT_EQ(folder_.Get(first.files(0).path()), "seven");
}

TEST_F(TaskStateTest, WhatWasRestoredIsNotUploadedAgain) {
  proto::StoredFile table;
  table.set_path("state/5-metrics.window-1-000007.sst");
  table.set_local_name("000007.sst");
  table.set_bytes(5);
  Begin({{"000007.sst", table}});
  store_->files = {{"000007.sst", "seven"}, {"000012.sst", "twelve"}};
  const proto::TaskState state = Gather(8).ValueOrDie();
  EXPECT_EQ(PathsOf(state),
            (Names{"state/5-metrics.window-1-000007.sst", "state/9-metrics.window-1-000012.sst"}));
  EXPECT_EQ(state_->figures().uploaded_bytes, 6);
}

TEST_F(TaskStateTest, AStoreThatFailsAndAnUploadThatFailsAreTold) {
  Begin();
  store_->fails = ExternalError("disk_full", "no space", Retry::kNo);
  EXPECT_EQ(Gather(1).status(), store_->fails);
  store_->fails = Status::OK();
  store_->files = {{"000007.sst", "seven"}};
  folder_.Put("state/9-metrics.window-1-000007.sst", "somebody else's");
  EXPECT_EQ(CodeOf(Gather(2).status()), "file_exists");
  EXPECT_TRUE(local_.Files().empty());
}

TEST_F(TaskStateTest, AStateComesBackIntoAFreshFolder) {
  const auto memory = StateMemory::Make(16 << 20);
  Begin(OpenRocksStateStore({local_.Path("store"), memory}).ValueOrDie());
  StateBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  ASSERT_TRUE(state_->store()->Write(std::move(batch)).ok());
  const proto::TaskState saved = Gather(1).ValueOrDie();
  StateBatch later;
  later.Put("a", "3");
  ASSERT_TRUE(state_->store()->Write(std::move(later)).ok());
  const int64_t uploaded = state_->figures().uploaded_bytes;
  state_.reset();

  const std::string fresh = local_.Path("fresh");
  const auto tables = RestoreStateFolder(saved, storage_.get(), fresh).ValueOrDie();
  EXPECT_FALSE(tables.empty());
  for (const auto& [name, file] : tables) {
    EXPECT_TRUE(name.ends_with(".sst"));
    EXPECT_EQ(file.local_name(), name);
  }
  auto restored = OpenRocksStateStore({fresh, memory}).ValueOrDie();
  const auto entry = restored->Scan("", "").ValueOrDie();
  std::string entries;
  for (; entry->Valid(); entry->Next()) {
    entries += std::string(entry->key()) + "=" + std::string(entry->value()) + " ";
  }
  EXPECT_EQ(entries, "a=1 b=2 ");

  // The next checkpoint of it refers to the same tables.
  Begin(std::move(restored), tables);
  const proto::TaskState again = Gather(2).ValueOrDie();
  for (const auto& [name, file] : tables) {
    const bool refers = std::ranges::any_of(
        again.files(), [&](const proto::StoredFile& other) { return other.path() == file.path(); });
    EXPECT_TRUE(refers) << name;
  }
  EXPECT_LT(state_->figures().uploaded_bytes, uploaded);
}

TEST_F(TaskStateTest, ADamagedFileIsFoundWhenItIsBroughtBack) {
  Begin();
  store_->files = {{"MANIFEST-000005", "list"}};
  const proto::TaskState saved = Gather(1).ValueOrDie();
  folder_.Put(saved.files(0).path(), "LIST");
  const auto restored = RestoreStateFolder(saved, storage_.get(), local_.Path("fresh"));
  EXPECT_EQ(CodeOf(restored.status()), "checkpoint_damaged");
}

}  // namespace
}  // namespace millrace
