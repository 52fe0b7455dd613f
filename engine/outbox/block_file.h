// What both kinds of segments are made of: blocks, each with a checksum, so that a reader gives
// nothing that it has not checked and holds one block in memory. Numbers are little-endian.
//
//   8   magic     which kind
//   4   format
//   then blocks:
//   4   length    of the payload; 0: the last block
//   8   checksum  XXH3-64 of the payload, its seed the block's number from 0 (of the last block:
//                 of nothing), so that a block that is missing, cut off or moved is found
//   n   payload
//
// Nothing follows the last block.
#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/storage/checkpoint_storage.h"

namespace millrace {

inline constexpr int32_t kSegmentFormat = 1;

// A block is cut once it holds this much.
inline constexpr size_t kBlockBytes = 1 << 20;

class BlockFileWriter {
 public:
  // `magic`: 8 bytes.
  BlockFileWriter(std::unique_ptr<StoredFileWriter> file, std::string_view magic);
  // One block. `payload` is not empty and at most BlockFileReader's bound.
  Status Write(std::string_view payload);
  // The last block.
  Result<proto::StoredFile> Finish();
  // Of the file so far.
  int64_t bytes() const { return file_->bytes() + int64_t(head_.size()); }

 private:
  std::unique_ptr<StoredFileWriter> file_;
  std::string head_;  // not written yet
  uint64_t blocks_ = 0;
};

class BlockFileReader {
 public:
  // Reads the head. "segment_damaged", "format_too_new", and what CheckpointStorage::Read says.
  static Result<std::unique_ptr<BlockFileReader>> Open(CheckpointStorage* storage,
                                                       const proto::StoredFile& file,
                                                       std::string_view magic,
                                                       int64_t block_bytes_max);

  // The next block's payload, valid until the next call; empty at the end.
  Result<std::string_view> Next();
  Status Damaged(const std::string& what) const;

 private:
  BlockFileReader() = default;
  Status Take(int64_t bytes, std::string* into);

  std::string path_;
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  int64_t left_ = 0;
  int64_t block_bytes_max_ = 0;
  uint64_t blocks_ = 0;
  bool ended_ = false;
  std::string head_;
  std::string block_;
};

}  // namespace millrace
