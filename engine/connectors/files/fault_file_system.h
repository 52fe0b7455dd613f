// For tests: a folder of the local disk that is "full" once so many bytes were written through it.
#pragma once

#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/io_util.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace millrace {

class FaultFileSystem final : public arrow::fs::SubTreeFileSystem {
 public:
  explicit FaultFileSystem(const std::string& root)
      : SubTreeFileSystem(root, std::make_shared<arrow::fs::LocalFileSystem>()) {}

  void set_bytes_left(int64_t bytes) { bytes_left_ = bytes; }

  using SubTreeFileSystem::OpenOutputStream;
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> OpenOutputStream(
      const std::string& path,
      const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) override {
    ARROW_ASSIGN_OR_RAISE(auto stream, SubTreeFileSystem::OpenOutputStream(path, metadata));
    return std::make_shared<Stream>(std::move(stream), &bytes_left_);
  }

 private:
  class Stream final : public arrow::io::OutputStream {
   public:
    Stream(std::shared_ptr<arrow::io::OutputStream> inner, int64_t* bytes_left)
        : inner_(std::move(inner)), bytes_left_(bytes_left) {}
    arrow::Status Close() override { return inner_->Close(); }
    arrow::Result<int64_t> Tell() const override { return inner_->Tell(); }
    bool closed() const override { return inner_->closed(); }
    using arrow::io::OutputStream::Write;
    arrow::Status Write(const void* data, int64_t bytes) override {
      if (bytes > *bytes_left_) {
        ARROW_RETURN_NOT_OK(inner_->Write(data, *bytes_left_));
        *bytes_left_ = 0;
        return arrow::internal::IOErrorFromErrno(ENOSPC, "write failed");
      }
      *bytes_left_ -= bytes;
      return inner_->Write(data, bytes);
    }

   private:
    std::shared_ptr<arrow::io::OutputStream> inner_;
    int64_t* bytes_left_;
  };

  int64_t bytes_left_ = INT64_MAX;
};

// A temporary folder, removed at the end.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "millrace-files-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

  void Put(const std::string& name, const std::string& text) const {
    const auto file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

  // Every file below the folder with its text, hidden ones included.
  std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      if (!entry.is_regular_file()) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      files[std::filesystem::relative(entry.path(), path_).string()] = text.str();
    }
    return files;
  }

 private:
  std::string path_;
};

}  // namespace millrace
