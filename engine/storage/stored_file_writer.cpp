#include "engine/storage/stored_file_writer.h"

#include <arrow/io/file.h>
#include <arrow/util/io_util.h>
#include <unistd.h>

#include <cerrno>

#include "engine/storage/checksum.h"
#include "engine/storage/local_files.h"

namespace millrace {
namespace {

constexpr size_t kBufferBytesMax = 256 << 10;

class SummingWriter final : public StoredFileWriter {
 public:
  // `descriptor`: of the stream, where the file is local; else -1.
  SummingWriter(std::shared_ptr<arrow::fs::FileSystem> filesystem, std::string full_path,
                const std::string& path, std::shared_ptr<arrow::io::OutputStream> stream,
                int descriptor)
      : filesystem_(std::move(filesystem)),
        full_path_(std::move(full_path)),
        stream_(std::move(stream)),
        descriptor_(descriptor) {
    file_.set_path(path);
  }

  ~SummingWriter() override { Discard(); }

  Status Write(std::string_view bytes) override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    checksum_.Add(bytes);
    bytes_ += int64_t(bytes.size());
    if (buffer_.size() + bytes.size() > kBufferBytesMax) ARROW_RETURN_NOT_OK(WriteBuffer());
    if (bytes.size() > kBufferBytesMax) return Settle(WriteOut(bytes));
    buffer_.append(bytes);
    return Status::OK();
  }

  Result<proto::StoredFile> Finish() override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    ARROW_RETURN_NOT_OK(WriteBuffer());
    ARROW_RETURN_NOT_OK(Settle(Complete()));
    stream_.reset();
    file_.set_bytes(bytes_);
    file_.set_checksum(checksum_.Sum());
    return file_;
  }

  int64_t bytes() const override { return bytes_; }

 private:
  Status CheckOpen() const {
    ARROW_RETURN_NOT_OK(failure_);
    if (stream_ == nullptr) return InternalError("file_finished", full_path_ + " is finished");
    return Status::OK();
  }

  // After a failure the file is gone and every further call says the same.
  Status Settle(const Status& status) {
    if (status.ok()) return status;
    failure_ = FileError(status, "storage_write_failed", "cannot write " + full_path_);
    Discard();
    return failure_;
  }

  Status WriteBuffer() {
    if (buffer_.empty()) return Status::OK();
    const Status written = Settle(WriteOut(buffer_));
    buffer_.clear();
    return written;
  }

  Status WriteOut(std::string_view bytes) {
    return stream_->Write(bytes.data(), int64_t(bytes.size()));
  }

  Status Complete() {
    if (descriptor_ < 0) return stream_->Close();
    if (::fsync(descriptor_) != 0) {
      return arrow::internal::IOErrorFromErrno(errno, "cannot sync ", full_path_);
    }
    ARROW_RETURN_NOT_OK(stream_->Close());
    return SyncFolder(FolderOf(full_path_));
  }

  void Discard() {
    if (stream_ == nullptr) return;
    stream_->Abort().ok();  // what it holds is given up
    stream_.reset();
    filesystem_->DeleteFile(full_path_).ok();  // what stays is found by List
  }

  const std::shared_ptr<arrow::fs::FileSystem> filesystem_;
  const std::string full_path_;
  std::shared_ptr<arrow::io::OutputStream> stream_;  // null once finished or failed
  const int descriptor_;
  proto::StoredFile file_;
  StreamChecksum checksum_;
  std::string buffer_;
  int64_t bytes_ = 0;
  Status failure_;
};

Status Taken(const std::string& path) {
  return ExternalError("file_exists", path + " is there already; it is not overwritten",
                       Retry::kNo);
}

}  // namespace

Result<std::unique_ptr<StoredFileWriter>> CreateStoredFile(
    std::shared_ptr<arrow::fs::FileSystem> filesystem, const std::string& full_path,
    const std::string& path) {
  auto failed = [&](const Status& status) {
    return FileError(status, "storage_write_failed", "cannot make " + full_path);
  };
  if (IsLocal(*filesystem)) {
    auto file = CreateExclusively(full_path);
    if (arrow::internal::ErrnoFromStatus(file.status()) == EEXIST) return Taken(full_path);
    if (!file.ok()) return failed(file.status());
    const int descriptor = file->get();
    auto stream = arrow::io::FileOutputStream::Open(descriptor);
    if (!stream.ok()) return failed(stream.status());
    file->Release();
    return std::make_unique<SummingWriter>(std::move(filesystem), full_path, path,
                                           std::move(*stream), descriptor);
  }
  const auto info = filesystem->GetFileInfo(full_path);
  if (!info.ok()) return failed(info.status());
  if (info->type() != arrow::fs::FileType::NotFound) return Taken(full_path);
  auto stream = filesystem->OpenOutputStream(full_path);
  if (!stream.ok()) return failed(stream.status());
  return std::make_unique<SummingWriter>(std::move(filesystem), full_path, path, std::move(*stream),
                                         /*descriptor=*/-1);
}

}  // namespace millrace
