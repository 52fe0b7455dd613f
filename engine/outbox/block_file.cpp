#include "engine/outbox/block_file.h"

#include <xxhash.h>

#include "engine/storage/checksum.h"
#include "engine/storage/little_endian.h"
#include "engine/storage/local_files.h"

namespace millrace {
namespace {

constexpr int64_t kFileHeadBytes = 12;
constexpr int64_t kBlockHeadBytes = 12;

uint64_t BlockChecksum(std::string_view payload, uint64_t number) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), number);
}

}  // namespace

BlockFileWriter::BlockFileWriter(std::unique_ptr<StoredFileWriter> file, std::string_view magic)
    : file_(std::move(file)), head_(magic) {
  AppendLittleEndian(uint32_t(kSegmentFormat), &head_);
}

Status BlockFileWriter::Write(std::string_view payload) {
  AppendLittleEndian(uint32_t(payload.size()), &head_);
  AppendLittleEndian(BlockChecksum(payload, blocks_++), &head_);
  ARROW_RETURN_NOT_OK(file_->Write(head_));
  head_.clear();
  return payload.empty() ? Status::OK() : file_->Write(payload);
}

Result<proto::StoredFile> BlockFileWriter::Finish() {
  ARROW_RETURN_NOT_OK(Write(""));
  return file_->Finish();
}

Result<std::unique_ptr<BlockFileReader>> BlockFileReader::Open(CheckpointStorage* storage,
                                                               const proto::StoredFile& file,
                                                               std::string_view magic,
                                                               int64_t block_bytes_max) {
  std::unique_ptr<BlockFileReader> reader(new BlockFileReader);
  reader->path_ = storage->root() + "/" + file.path();
  reader->left_ = file.bytes();
  reader->block_bytes_max_ = block_bytes_max;
  ARROW_ASSIGN_OR_RAISE(reader->file_, storage->Read(file));
  std::string head;
  ARROW_RETURN_NOT_OK(reader->Take(kFileHeadBytes, &head));
  if (std::string_view(head).substr(0, magic.size()) != magic) {
    return reader->Damaged("it does not begin with " + std::string(magic));
  }
  const auto format = ReadLittleEndian<uint32_t>(std::string_view(head).substr(magic.size()));
  if (format == 0) return reader->Damaged("its format is 0");
  if (format > uint32_t(kSegmentFormat)) {
    return UserError("format_too_new", reader->path_ + " is of format " + std::to_string(format) +
                                           "; this build reads up to format " +
                                           std::to_string(kSegmentFormat));
  }
  return reader;
}

Result<std::string_view> BlockFileReader::Next() {
  if (ended_) return std::string_view();
  ARROW_RETURN_NOT_OK(Take(kBlockHeadBytes, &head_));
  const int64_t length = ReadLittleEndian<uint32_t>(head_);
  const auto expected = ReadLittleEndian<uint64_t>(std::string_view(head_).substr(4));
  if (length > block_bytes_max_) {
    return Damaged("a block of " + std::to_string(length) + " bytes, more than is ever written");
  }
  ARROW_RETURN_NOT_OK(Take(length, &block_));
  if (const uint64_t checksum = BlockChecksum(block_, blocks_); checksum != expected) {
    return Damaged("the checksum of block " + std::to_string(blocks_) + " is " +
                   ChecksumText(checksum) + ", not " + ChecksumText(expected));
  }
  ++blocks_;
  ended_ = length == 0;
  if (ended_ && left_ != 0) {
    return Damaged(std::to_string(left_) + " bytes follow its last block");
  }
  return std::string_view(block_);
}

Status BlockFileReader::Damaged(const std::string& what) const {
  return ExternalError("segment_damaged", path_ + " is damaged: " + what, Retry::kNo);
}

// What the file says it holds is asked for only where it is there.
Status BlockFileReader::Take(int64_t bytes, std::string* into) {
  if (bytes > left_) {
    return Damaged("it ends " + std::to_string(bytes - left_) + " bytes too early");
  }
  into->resize(size_t(bytes));
  for (int64_t at = 0; at < bytes;) {
    const auto read = file_->Read(bytes - at, into->data() + at);
    if (!read.ok()) {
      return FileError(read.status(), "storage_read_failed", "cannot read " + path_);
    }
    if (*read == 0) return Damaged("it became shorter while it was read");
    at += *read;
  }
  left_ -= bytes;
  return Status::OK();
}

}  // namespace millrace
