// A row segment is an Arrow IPC stream in the payloads of a block file: cut anywhere, whatever the
// messages. So nothing reaches Arrow's reader that is not what its writer gave.
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>

#include <algorithm>
#include <cstring>

#include "engine/outbox/block_file.h"
#include "engine/outbox/segment.h"

namespace millrace {
namespace {

constexpr std::string_view kMagic = "MILLRROW";

// Gathers bytes into blocks.
class BlockOutput final : public arrow::io::OutputStream {
 public:
  explicit BlockOutput(BlockFileWriter* file) : file_(file) {}

  using arrow::io::OutputStream::Write;
  Status Write(const void* data, int64_t bytes) override {
    std::string_view rest(static_cast<const char*>(data), size_t(bytes));
    position_ += bytes;
    while (!rest.empty()) {
      const size_t part = std::min(rest.size(), kBlockBytes - buffer_.size());
      buffer_.append(rest.substr(0, part));
      rest.remove_prefix(part);
      if (buffer_.size() == kBlockBytes) ARROW_RETURN_NOT_OK(WriteBlock());
    }
    return Status::OK();
  }

  Status WriteBlock() {
    if (buffer_.empty()) return Status::OK();
    const Status written = file_->Write(buffer_);
    buffer_.clear();
    return written;
  }

  Status Close() override {
    closed_ = true;
    return WriteBlock();
  }
  Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

 private:
  BlockFileWriter* const file_;
  std::string buffer_;
  int64_t position_ = 0;
  bool closed_ = false;
};

// Gives the bytes of checked blocks.
class BlockInput final : public arrow::io::InputStream {
 public:
  explicit BlockInput(BlockFileReader* file) : file_(file) {}

  Result<int64_t> Read(int64_t bytes, void* out) override {
    int64_t done = 0;
    while (done < bytes) {
      if (block_.empty()) {
        ARROW_ASSIGN_OR_RAISE(block_, file_->Next());
        if (block_.empty()) break;
      }
      const size_t part = std::min(block_.size(), size_t(bytes - done));
      std::memcpy(static_cast<char*>(out) + done, block_.data(), part);
      block_.remove_prefix(part);
      done += int64_t(part);
    }
    position_ += done;
    return done;
  }

  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  Status Close() override {
    closed_ = true;
    return Status::OK();
  }
  Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

 private:
  BlockFileReader* const file_;
  std::string_view block_;
  int64_t position_ = 0;
  bool closed_ = false;
};

class IpcRowWriter final : public RowSegmentWriter {
 public:
  explicit IpcRowWriter(std::unique_ptr<StoredFileWriter> file)
      : file_(std::move(file), kMagic), output_(&file_) {}

  Status Open(const std::shared_ptr<arrow::Schema>& schema) {
    return arrow::ipc::MakeStreamWriter(&output_, schema).Value(&writer_);
  }

  Status Append(const arrow::RecordBatch& batch) override {
    ARROW_RETURN_NOT_OK(writer_->WriteRecordBatch(batch));
    rows_ += batch.num_rows();
    return Status::OK();
  }

  int64_t rows() const override { return rows_; }
  int64_t bytes() const override { return *output_.Tell(); }

  Result<proto::Segment> Finish() override {
    ARROW_RETURN_NOT_OK(writer_->Close());
    ARROW_RETURN_NOT_OK(output_.Close());
    proto::Segment segment;
    ARROW_ASSIGN_OR_RAISE(*segment.mutable_file(), file_.Finish());
    segment.set_rows(rows_);
    return segment;
  }

 private:
  BlockFileWriter file_;
  BlockOutput output_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  int64_t rows_ = 0;
};

// What Arrow cannot read although its blocks are whole.
Status Unreadable(const BlockFileReader& file, const Status& status) {
  if (status.ok() || ErrorDetail::Of(status) != nullptr) return status;
  return file.Damaged("Arrow cannot read it: " + status.message());
}

}  // namespace

Result<std::unique_ptr<RowSegmentWriter>> RowSegmentWriter::Make(
    std::unique_ptr<StoredFileWriter> file, const std::shared_ptr<arrow::Schema>& schema) {
  auto writer = std::make_unique<IpcRowWriter>(std::move(file));
  ARROW_RETURN_NOT_OK(writer->Open(schema));
  return writer;
}

Status ReadRowSegment(
    CheckpointStorage* storage, const proto::Segment& segment,
    const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& visit) {
  ARROW_ASSIGN_OR_RAISE(const auto file,
                        BlockFileReader::Open(storage, segment.file(), kMagic, kBlockBytes));
  BlockInput input(file.get());
  auto opened = arrow::ipc::RecordBatchStreamReader::Open(&input);
  ARROW_RETURN_NOT_OK(Unreadable(*file, opened.status()));
  int64_t rows = 0;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(Unreadable(*file, (*opened)->ReadNext(&batch)));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(Unreadable(*file, batch->ValidateFull()));
    rows += batch->num_rows();
    if (rows > segment.rows()) break;
    ARROW_RETURN_NOT_OK(visit(batch));
  }
  // The end of the stream may come before the end of the file.
  ARROW_ASSIGN_OR_RAISE(const auto rest, input.Read(1));
  if (rest->size() != 0 || rows != segment.rows()) {
    return file->Damaged("it has other rows than the " + std::to_string(segment.rows()) +
                         " that were written");
  }
  return Status::OK();
}

}  // namespace millrace
