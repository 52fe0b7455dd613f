// For tests: a folder of the local disk that is "full" once so many bytes were written through it,
// or whose process is "dead" after so many operations: each further one fails.
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

template <typename Base>
class FaultInjecting : public Base {
 public:
  using Base::Base;

  void set_bytes_left(int64_t bytes) { faults_->bytes_left = bytes; }
  void set_operations_left(int64_t operations) { faults_->operations_left = operations; }
  bool dead() const { return faults_->operations_left < 0; }

  using Base::OpenOutputStream;
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> OpenOutputStream(
      const std::string& path,
      const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) override {
    ARROW_RETURN_NOT_OK(faults_->Operate());
    ARROW_ASSIGN_OR_RAISE(auto stream, Base::OpenOutputStream(path, metadata));
    return std::make_shared<Stream>(std::move(stream), faults_);
  }
  arrow::Status CreateDir(const std::string& path, bool recursive) override {
    ARROW_RETURN_NOT_OK(faults_->Operate());
    return Base::CreateDir(path, recursive);
  }
  arrow::Status DeleteFile(const std::string& path) override {
    ARROW_RETURN_NOT_OK(faults_->Operate());
    return Base::DeleteFile(path);
  }
  arrow::Status Move(const std::string& from, const std::string& to) override {
    ARROW_RETURN_NOT_OK(faults_->Operate());
    return Base::Move(from, to);
  }

 private:
  struct Faults {
    int64_t bytes_left = INT64_MAX;
    int64_t operations_left = INT64_MAX;  // -1: one more was asked for

    arrow::Status Operate() {
      if (operations_left > 0) {
        --operations_left;
        return arrow::Status::OK();
      }
      operations_left = -1;
      return arrow::Status::IOError("the process is dead");
    }
  };

  class Stream final : public arrow::io::OutputStream {
   public:
    Stream(std::shared_ptr<arrow::io::OutputStream> inner, std::shared_ptr<Faults> faults)
        : inner_(std::move(inner)), faults_(std::move(faults)) {}
    arrow::Status Close() override {
      ARROW_RETURN_NOT_OK(faults_->Operate());
      return inner_->Close();
    }
    arrow::Result<int64_t> Tell() const override { return inner_->Tell(); }
    bool closed() const override { return inner_->closed(); }
    using arrow::io::OutputStream::Write;
    arrow::Status Write(const void* data, int64_t bytes) override {
      ARROW_RETURN_NOT_OK(faults_->Operate());
      if (bytes > faults_->bytes_left) {
        ARROW_RETURN_NOT_OK(inner_->Write(data, faults_->bytes_left));
        faults_->bytes_left = 0;
        return arrow::internal::IOErrorFromErrno(ENOSPC, "write failed");
      }
      faults_->bytes_left -= bytes;
      return inner_->Write(data, bytes);
    }

   private:
    std::shared_ptr<arrow::io::OutputStream> inner_;
    std::shared_ptr<Faults> faults_;
  };

  std::shared_ptr<Faults> faults_ = std::make_shared<Faults>();
};

// Paths are below the root.
class FaultFileSystem final : public FaultInjecting<arrow::fs::SubTreeFileSystem> {
 public:
  explicit FaultFileSystem(const std::string& root)
      : FaultInjecting(root, std::make_shared<arrow::fs::LocalFileSystem>()) {}
};

// Whole paths; known as a local disk.
using FaultLocalFileSystem = FaultInjecting<arrow::fs::LocalFileSystem>;

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
