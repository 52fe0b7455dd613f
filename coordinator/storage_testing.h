// For tests: a metadata log in memory, and a checkpoint storage in a folder that is removed at the
// end.
#pragma once

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/storage/checkpoint_storage.h"
#include "engine/storage/metadata_log.h"

namespace millrace::test {

// Shared by as many processes as a test likes.
class MemoryLog final : public MetadataLog {
 public:
  std::vector<IndexedEntry> entries;
  Status failure;
  std::function<void()> before_append;  // what another process does just then

  Result<std::vector<IndexedEntry>> Read() override {
    ARROW_RETURN_NOT_OK(failure);
    return entries;
  }
  Result<AppendResult> Append(int64_t index, const proto::LogEntry& entry) override {
    if (before_append) std::exchange(before_append, nullptr)();
    ARROW_RETURN_NOT_OK(failure);
    if (!entries.empty() && index <= entries.back().index) return AppendResult::kTaken;
    entries.push_back({index, entry});
    return AppendResult::kAppended;
  }
  Status RemoveBefore(int64_t index) override {
    std::erase_if(entries, [&](const IndexedEntry& entry) { return entry.index < index; });
    return Status::OK();
  }

  // "1:claim@1 2:epoch 5@1": index, what, and term of every entry.
  std::string Text() const {
    std::string text;
    for (const IndexedEntry& entry : entries) {
      text +=
          (text.empty() ? "" : " ") + std::to_string(entry.index) + ":" +
          (entry.entry.has_claim() ? "claim"
                                   : "epoch " + std::to_string(entry.entry.manifest().epoch())) +
          "@" + std::to_string(entry.entry.term());
    }
    return text;
  }
};

// Counts how often files are opened to be read.
class CountingFileSystem final : public arrow::fs::LocalFileSystem {
 public:
  using arrow::fs::LocalFileSystem::OpenInputFile;
  arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenInputFile(
      const std::string& path) override {
    {
      const std::lock_guard lock(mutex_);
      ++opened_[std::filesystem::path(path).filename()];
    }
    return arrow::fs::LocalFileSystem::OpenInputFile(path);
  }
  int OpenedCount(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return opened_[name];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> opened_;  // by the last part of the path
};

class StorageTest : public testing::Test {
 protected:
  StorageTest() {
    root_ =
        std::filesystem::temp_directory_path() /
        ("millrace-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
         "-" + std::to_string(::getpid()));
    std::filesystem::remove_all(root_);
    storage_ = CheckpointStorage::Open(filesystem_, root_).ValueOrDie();
  }
  ~StorageTest() override { std::filesystem::remove_all(root_); }

  proto::StoredFile Write(const std::string& path, const std::string& bytes) {
    auto writer = storage_->Create(path).ValueOrDie();
    EXPECT_TRUE(writer->Write(bytes).ok());
    return writer->Finish().ValueOrDie();
  }
  // Overwrites a file with as many other bytes.
  void Damage(const std::string& path) {
    const auto full = root_ / path;
    const auto bytes = std::filesystem::file_size(full);
    std::ofstream(full) << std::string(bytes, '#');
  }
  // A checkpoint of one state file and one segment; it stands for `epoch`.
  proto::Manifest ManifestOf(int64_t epoch, const proto::StoredFile& state,
                             const proto::StoredFile& segment) {
    proto::Manifest manifest;
    manifest.set_job("job");
    manifest.set_generation("g");
    manifest.set_epoch(epoch);
    manifest.set_term(1);
    *manifest.add_tasks()->add_files() = state;
    proto::ShardState* const shard = manifest.add_shards();
    shard->set_next_row(epoch * 10);
    *shard->add_segments()->mutable_file() = segment;
    return manifest;
  }
  std::vector<std::string> Files() { return storage_->List().ValueOrDie(); }

  std::filesystem::path root_;
  const std::shared_ptr<CountingFileSystem> filesystem_ = std::make_shared<CountingFileSystem>();
  std::unique_ptr<CheckpointStorage> storage_;
  MemoryLog log_;
};

inline std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

}  // namespace millrace::test
