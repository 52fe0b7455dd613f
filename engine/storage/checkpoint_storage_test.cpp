#include "engine/storage/checkpoint_storage.h"

#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/io_util.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/storage/checksum.h"
#include "engine/storage/sealed_message.h"
#include "engine/storage/storage_testing.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Everything runs on a local folder and on one that hides that it is local.
class CheckpointStorageTest : public testing::TestWithParam<bool> {
 protected:
  CheckpointStorageTest() : storage_(Open()) {}

  std::unique_ptr<CheckpointStorage> Open() {
    auto local = std::make_shared<arrow::fs::LocalFileSystem>();
    auto storage =
        GetParam()
            ? CheckpointStorage::Open(local, folder_.Path("store/"))
            : CheckpointStorage::Open(
                  std::make_shared<arrow::fs::SubTreeFileSystem>(folder_.path(), local), "store");
    EXPECT_TRUE(storage.ok()) << storage.status().ToString();
    return std::move(*storage);
  }

  proto::StoredFile Put(const std::string& path, const std::string& bytes) {
    auto writer = storage_->Create(path);
    EXPECT_TRUE(writer.ok()) << writer.status().ToString();
    EXPECT_TRUE((*writer)->Write(bytes).ok());
    auto file = (*writer)->Finish();
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return *file;
  }

  proto::Manifest ManifestWithState() {
    proto::Manifest manifest;
    manifest.set_job("smoke");
    manifest.set_term(3);
    manifest.set_epoch(7);
    auto* task = manifest.add_tasks();
    *task->add_files() = Put("state/3-1", "first");
    *task->add_files() = Put("state/3-2.sst", "second");
    *manifest.add_tasks()->add_files() = task->files(1);
    return manifest;
  }

  std::string StoredBytes(const proto::StoredFile& file) {
    const auto input = storage_->Read(file);
    EXPECT_TRUE(input.ok()) << input.status().ToString();
    return (*(*input)->Read(file.bytes()))->ToString();
  }

  StorageTestFolder folder_;
  std::unique_ptr<CheckpointStorage> storage_;
};

INSTANTIATE_TEST_SUITE_P(FileSystems, CheckpointStorageTest, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Local" : "Other"; });

TEST_P(CheckpointStorageTest, WritesSumsAndReads) {
  std::string large;
  for (int i = 0; i < 300'000; ++i) large += "abcdefg" + std::to_string(i);
  auto writer = *storage_->Create("outbox/1-1");
  ASSERT_TRUE(writer->Write("head").ok());
  ASSERT_TRUE(writer->Write(large).ok());
  ASSERT_TRUE(writer->Write("tail").ok());
  EXPECT_EQ(writer->bytes(), int64_t(large.size()) + 8);
  const proto::StoredFile file = *writer->Finish();
  EXPECT_EQ(file.path(), "outbox/1-1");
  EXPECT_EQ(file.bytes(), int64_t(large.size()) + 8);
  EXPECT_EQ(file.checksum(), Checksum("head" + large + "tail"));
  EXPECT_TRUE(storage_->Verify(file).ok());
  EXPECT_EQ(StoredBytes(file), "head" + large + "tail");
  EXPECT_EQ(CodeOf(writer->Write("more")), "file_finished");
}

TEST_P(CheckpointStorageTest, ADroppedFileIsGone) {
  { ASSERT_TRUE((*storage_->Create("outbox/1-1"))->Write("x").ok()); }
  EXPECT_THAT(*storage_->List(), IsEmpty());
}

TEST_P(CheckpointStorageTest, NothingIsOverwritten) {
  Put("state/a", "one");
  EXPECT_EQ(CodeOf(storage_->Create("state/a").status()), "file_exists");
  folder_.Put("local", "two");
  EXPECT_EQ(CodeOf(storage_->Upload(folder_.Path("local"), "state/a").status()), "file_exists");
  EXPECT_EQ(folder_.Get("store/state/a"), "one");
}

TEST_P(CheckpointStorageTest, PathsStayInside) {
  for (const std::string path : {"../a", "state/../../a", "/a", "", "state//a", "state/."}) {
    EXPECT_EQ(CodeOf(storage_->Create(path).status()), "bad_path") << path;
    EXPECT_EQ(CodeOf(storage_->Remove({path})), "bad_path") << path;
    proto::StoredFile file;
    file.set_path(path);
    EXPECT_EQ(CodeOf(storage_->Verify(file)), "checkpoint_damaged") << path;
  }
}

TEST_P(CheckpointStorageTest, UploadsByLinkWhereItCan) {
  folder_.Put("db/000012.sst", "rows");
  const proto::StoredFile file = *storage_->Upload(folder_.Path("db/000012.sst"), "state/1-12");
  EXPECT_EQ(file.bytes(), 4);
  EXPECT_EQ(file.checksum(), Checksum("rows"));
  EXPECT_EQ(file.local_name(), "000012.sst");
  EXPECT_EQ(folder_.Get("store/state/1-12"), "rows");
  struct stat info;
  ASSERT_EQ(::stat(folder_.Path("store/state/1-12").c_str(), &info), 0);
  EXPECT_EQ(info.st_nlink, GetParam() ? 2u : 1u);
  const auto missing = storage_->Upload(folder_.Path("db/none"), "state/1-13");
  EXPECT_EQ(CodeOf(missing.status()), "storage_read_failed");
  EXPECT_THAT(*storage_->List(), ElementsAre("state/1-12"));
}

TEST_P(CheckpointStorageTest, DownloadsWhatItChecks) {
  const proto::StoredFile file = Put("state/1-1", "manifest of RocksDB");
  ASSERT_TRUE(storage_->Download(file, folder_.Path("restored")).ok());
  EXPECT_EQ(folder_.Get("restored"), "manifest of RocksDB");
  // A copy, for RocksDB may write to it.
  folder_.Put("restored", "changed");
  EXPECT_TRUE(storage_->Verify(file).ok());
  folder_.Put("store/state/1-1", "MANIFEST OF RocksDB");
  EXPECT_EQ(CodeOf(storage_->Download(file, folder_.Path("again"))), "checkpoint_damaged");
  EXPECT_FALSE(std::filesystem::exists(folder_.Path("again")));
  const proto::StoredFile table = Put("state/1-2.sst", "table");
  ASSERT_TRUE(storage_->Download(table, folder_.Path("table")).ok());
  EXPECT_EQ(folder_.Get("table"), "table");
}

TEST_P(CheckpointStorageTest, DamageIsNamed) {
  const proto::StoredFile file = Put("state/1-1", "0123456789");
  folder_.Put("store/state/1-1", "0123456780");
  Status status = storage_->Verify(file);
  EXPECT_EQ(CodeOf(status), "checkpoint_damaged");
  EXPECT_THAT(status.message(), HasSubstr("store/state/1-1 is damaged: its checksum is " +
                                          ChecksumText(Checksum("0123456780")) + ", not " +
                                          ChecksumText(Checksum("0123456789"))));
  folder_.Put("store/state/1-1", "012345678");
  status = storage_->Verify(file);
  EXPECT_THAT(status.message(), HasSubstr("it has 9 bytes, not 10"));
  ASSERT_TRUE(storage_->Remove({"state/1-1", "state/never"}).ok());
  status = storage_->Verify(file);
  EXPECT_EQ(CodeOf(status), "checkpoint_damaged");
  EXPECT_THAT(status.message(), HasSubstr("store/state/1-1 is damaged: it is missing"));
}

TEST_P(CheckpointStorageTest, ManifestsAreTheSameBytes) {
  proto::Manifest manifest;
  manifest.set_job("smoke");
  manifest.set_epoch(12);
  manifest.set_term(2);
  const proto::StoredFile file = *storage_->WriteManifest(manifest);
  EXPECT_EQ(file.path(), "manifests/12-2.manifest");
  const std::string bytes = folder_.Get("store/manifests/12-2.manifest");
  EXPECT_EQ(bytes.substr(0, 12), std::string("MILLRACE\1\0\0\0", 12));
  const proto::Manifest read = *storage_->ReadManifest(file);
  EXPECT_EQ(read.format(), 1);
  EXPECT_EQ(read.job(), "smoke");
  EXPECT_EQ(CodeOf(storage_->WriteManifest(manifest).status()), "file_exists");
  ASSERT_TRUE(storage_->Remove({file.path()}).ok());
  EXPECT_EQ(storage_->WriteManifest(read)->checksum(), file.checksum());
}

TEST_P(CheckpointStorageTest, ANewerManifestIsRefusedByName) {
  proto::Manifest manifest;
  const SealedKind newer = {"MILLRACE", kManifestFormat + 8, "checkpoint_damaged"};
  const proto::StoredFile file = Put("manifests/1-1.manifest", *Seal(newer, manifest));
  const Status status = storage_->ReadManifest(file).status();
  EXPECT_EQ(CodeOf(status), "format_too_new");
  EXPECT_THAT(status.message(), HasSubstr("manifests/1-1.manifest is of format 9; this build reads "
                                          "up to format 1"));
}

TEST_P(CheckpointStorageTest, TextThatIsNotUtf8IsFoundBeforeItIsWritten) {
  proto::Manifest manifest;
  manifest.set_job("\xff");
  EXPECT_EQ(CodeOf(storage_->WriteManifest(manifest).status()), "message_unwritable");
  EXPECT_THAT(*storage_->List(), IsEmpty());
}

TEST_P(CheckpointStorageTest, EveryDamageOfAManifestIsFound) {
  proto::Manifest manifest = ManifestWithState();
  const proto::StoredFile file = *storage_->WriteManifest(manifest);
  const std::string path = "store/" + file.path();
  const std::string bytes = folder_.Get(path);
  auto check = [&](const std::string& damaged) {
    folder_.Put(path, damaged);
    // As a pointer would have it, and as if the pointer were of the damaged bytes.
    ASSERT_EQ(CodeOf(storage_->ReadManifest(file).status()), "checkpoint_damaged");
    proto::StoredFile same = file;
    same.set_bytes(int64_t(damaged.size()));
    same.set_checksum(Checksum(damaged));
    ASSERT_EQ(CodeOf(storage_->ReadManifest(same).status()), "checkpoint_damaged");
  };
  for (size_t i = 0; i < bytes.size(); ++i) {
    check(bytes.substr(0, i));
    std::string flipped = bytes;
    flipped[i] = char(flipped[i] ^ (1 << (i % 8)));
    check(flipped);
  }
}

TEST(SealedMessageTest, ArbitraryBytesBehindAGoodChecksumAreNoCrash) {
  const SealedKind kind = {"MILLRACE", 1, "checkpoint_damaged"};
  uint64_t random = 1;
  for (int round = 0; round < 20'000; ++round) {
    proto::Manifest manifest;
    manifest.add_tasks()->set_fingerprint(std::string(20, 'f'));
    manifest.add_shards()->add_segments()->set_rows(round);
    std::string body = *Seal(kind, manifest);
    body.resize(body.size() - 8);
    for (int i = 0; i < 4; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      body[12 + (random >> 33) % (body.size() - 12)] = char(random >> 56);
    }
    const uint64_t sum = Checksum(body);
    for (int i = 0; i < 8; ++i) body.push_back(char(sum >> (8 * i)));
    proto::Manifest read;
    const Status status = Unseal(kind, body, "m", &read);
    ASSERT_TRUE(status.ok() || CodeOf(status) == "checkpoint_damaged");
  }
}

TEST_P(CheckpointStorageTest, ListsAndRemoves) {
  ManifestWithState();
  Put("outbox/3-1", "rows");
  storage_ = Open();
  EXPECT_THAT(*storage_->List(), ElementsAre("outbox/3-1", "state/3-1", "state/3-2.sst"));
  ASSERT_TRUE(storage_->Remove({"state/3-1", "outbox/3-1"}).ok());
  EXPECT_THAT(*storage_->List(), ElementsAre("state/3-2.sst"));
}

TEST_P(CheckpointStorageTest, ASavepointIsCompleteInItself) {
  proto::Manifest manifest = ManifestWithState();
  ASSERT_TRUE(storage_->WriteSavepoint("before-upgrade", manifest).ok());
  ASSERT_TRUE(storage_->Remove(*storage_->List()).ok());
  EXPECT_THAT(*storage_->ListSavepoints(), ElementsAre("before-upgrade"));
  const proto::Manifest saved = *storage_->ReadSavepoint("before-upgrade");
  EXPECT_EQ(saved.savepoint(), "before-upgrade");
  EXPECT_EQ(saved.epoch(), 7);
  ASSERT_EQ(saved.tasks_size(), 2);
  EXPECT_EQ(saved.tasks(0).files(0).path(), "savepoints/before-upgrade/state/3-1");
  for (const auto& task : saved.tasks()) {
    for (const auto& file : task.files()) EXPECT_TRUE(storage_->Verify(file).ok()) << file.path();
  }
  EXPECT_EQ(StoredBytes(saved.tasks(1).files(0)), "second");

  Status status = storage_->WriteSavepoint("before-upgrade", proto::Manifest());
  EXPECT_EQ(CodeOf(status), "savepoint_exists");
  status = storage_->ReadSavepoint("before_upgrade").status();
  EXPECT_EQ(CodeOf(status), "savepoint_missing");
  EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kUser);
  EXPECT_THAT(status.message(), HasSubstr("did you mean 'before-upgrade'?"));
  ASSERT_TRUE(storage_->RemoveSavepoint("before-upgrade").ok());
  EXPECT_EQ(CodeOf(storage_->RemoveSavepoint("before-upgrade")), "savepoint_missing");
  EXPECT_THAT(*storage_->ListSavepoints(), IsEmpty());
  EXPECT_THAT(folder_.Files(), IsEmpty());
}

TEST_P(CheckpointStorageTest, ASavepointOfADamagedStateIsNotMade) {
  proto::Manifest manifest = ManifestWithState();
  folder_.Put("store/state/3-2.sst", "secund");
  EXPECT_EQ(CodeOf(storage_->WriteSavepoint("s", manifest)), "checkpoint_damaged");
  EXPECT_THAT(*storage_->ListSavepoints(), IsEmpty());
  EXPECT_EQ(folder_.Files().size(), 2u);
}

TEST_P(CheckpointStorageTest, AHalfMadeSavepointIsNotSeenAndMakesWay) {
  proto::Manifest manifest = ManifestWithState();
  folder_.Put("store/savepoints/.aside-x/state/3-1", "first");
  folder_.Put("store/savepoints/.aside-x/manifests/7-3.manifest", "?");
  if (!GetParam()) folder_.Put("store/savepoints/s/state/3-1", "fir");
  EXPECT_THAT(*storage_->ListSavepoints(), IsEmpty());
  EXPECT_EQ(CodeOf(storage_->ReadSavepoint("s").status()), "savepoint_missing");
  ASSERT_TRUE(storage_->WriteSavepoint("s", manifest).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_.Path("store/savepoints/.aside-x")));
  EXPECT_EQ(StoredBytes(storage_->ReadSavepoint("s")->tasks(0).files(0)), "first");
}

TEST_P(CheckpointStorageTest, SavepointNamesAreNames) {
  const std::string longest(200, 'x');
  EXPECT_EQ(CodeOf(storage_->ReadSavepoint(longest).status()), "savepoint_missing");
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"),
        std::string(".aside-x"), std::string("\xc3\xa9"), longest + "x"}) {
    EXPECT_EQ(CodeOf(storage_->WriteSavepoint(name, {})), "bad_savepoint_name") << name;
    EXPECT_EQ(CodeOf(storage_->ReadSavepoint(name).status()), "bad_savepoint_name") << name;
    EXPECT_EQ(CodeOf(storage_->RemoveSavepoint(name)), "bad_savepoint_name") << name;
  }
}

TEST_P(CheckpointStorageTest, ASavepointHoldsNoOutput) {
  proto::Manifest manifest;
  auto* shard = manifest.add_shards();
  shard->set_published_row(10);
  auto* segment = shard->add_segments();
  segment->set_epoch(4);
  segment->set_first_row(5);
  segment->set_rows(5);
  ASSERT_TRUE(storage_->WriteSavepoint("published", manifest).ok());
  EXPECT_EQ(storage_->ReadSavepoint("published")->shards(0).segments_size(), 0);
  segment->set_rows(6);
  EXPECT_EQ(CodeOf(storage_->WriteSavepoint("not", manifest)), "savepoint_with_output");
  segment->set_rows(5);
  shard->add_files()->add_open();
  EXPECT_EQ(CodeOf(storage_->WriteSavepoint("not", manifest)), "savepoint_with_output");
  EXPECT_THAT(*storage_->ListSavepoints(), ElementsAre("published"));
}

// Takes so many bytes; then the disk is full.
class FullFileSystem final : public arrow::fs::SubTreeFileSystem {
 public:
  FullFileSystem(const std::string& root, int64_t bytes)
      : SubTreeFileSystem(root, std::make_shared<arrow::fs::LocalFileSystem>()), bytes_(bytes) {}

  using SubTreeFileSystem::OpenOutputStream;
  Result<std::shared_ptr<arrow::io::OutputStream>> OpenOutputStream(
      const std::string& path,
      const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) override {
    ARROW_ASSIGN_OR_RAISE(auto stream, SubTreeFileSystem::OpenOutputStream(path, metadata));
    return std::make_shared<Stream>(std::move(stream), bytes_);
  }

 private:
  class Stream final : public arrow::io::OutputStream {
   public:
    Stream(std::shared_ptr<arrow::io::OutputStream> inner, int64_t bytes)
        : inner_(std::move(inner)), bytes_(bytes) {}
    Status Close() override { return inner_->Close(); }
    Result<int64_t> Tell() const override { return inner_->Tell(); }
    bool closed() const override { return inner_->closed(); }
    using arrow::io::OutputStream::Write;
    Status Write(const void* data, int64_t bytes) override {
      if (bytes > bytes_) return arrow::internal::IOErrorFromErrno(ENOSPC, "write failed");
      bytes_ -= bytes;
      return inner_->Write(data, bytes);
    }

   private:
    std::shared_ptr<arrow::io::OutputStream> inner_;
    int64_t bytes_;
  };

  const int64_t bytes_;
};

TEST(CheckpointStorageFullTest, AFullDiskLeavesNothing) {
  const StorageTestFolder folder;
  const auto storage =
      *CheckpointStorage::Open(std::make_shared<FullFileSystem>(folder.path(), 1 << 20), "store");
  auto writer = *storage->Create("outbox/1");
  Status status = Status::OK();
  for (int i = 0; i < 40 && status.ok(); ++i) status = writer->Write(std::string(100'000, 'x'));
  EXPECT_EQ(CodeOf(status), "disk_full");
  EXPECT_THAT(status.message(), HasSubstr("store/outbox/1"));
  EXPECT_THAT(*storage->List(), IsEmpty());
  EXPECT_EQ(CodeOf(writer->Write("more")), "disk_full");
  EXPECT_EQ(CodeOf(writer->Finish().status()), "disk_full");
  folder.Put("local", std::string(2 << 20, 'x'));
  EXPECT_EQ(CodeOf(storage->Upload(folder.Path("local"), "state/1").status()), "disk_full");
  EXPECT_THAT(*storage->List(), IsEmpty());
}

TEST(CheckpointStorageOpenTest, AFolderThatCannotBeIsNamed) {
  const StorageTestFolder folder;
  folder.Put("store", "a file");
  const auto storage =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder.Path("store"));
  ASSERT_FALSE(storage.ok());
  EXPECT_EQ(CodeOf(storage.status()), "unwritable_path");
  EXPECT_THAT(storage.status().message(), HasSubstr("Not a directory"));
}

TEST(CheckpointStorageOpenTest, FilesOfAManifest) {
  proto::Manifest manifest;
  manifest.add_tasks()->add_files()->set_path("state/a");
  auto* shard = manifest.add_shards();
  shard->add_segments()->mutable_file()->set_path("outbox/b");
  auto* sink = shard->add_files();
  sink->add_open()->mutable_file()->set_path("outbox/c");
  sink->add_rolls()->add_segments()->mutable_file()->set_path("outbox/d");
  EXPECT_THAT(FilesOf(manifest), ElementsAre("outbox/b", "outbox/c", "outbox/d", "state/a"));
}

}  // namespace
}  // namespace millrace
