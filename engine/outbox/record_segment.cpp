// The payload of a block of records; numbers are varints (7 bits a byte, the lowest first):
//
//   rows, then for each record
//     topic      0: a new one, whose length and bytes follow; else its number in the block, from 1
//     key        0: none; else its length + 1, and its bytes
//     value      length, bytes
//     timestamp  milliseconds, zigzag
//     headers    how many; for each the name's length and bytes, the value's length and bytes
//
// A block stands by itself: topics are numbered anew.
#include <algorithm>

#include "engine/outbox/block_file.h"
#include "engine/outbox/segment.h"

namespace millrace {
namespace {

constexpr std::string_view kMagic = "MILLRREC";
constexpr size_t kVarintBytesMax = 10;
constexpr int64_t kBlockBytesMax =
    int64_t(kBlockBytes) + kRecordBytesMax + int64_t(kVarintBytesMax);

void AppendVarint(uint64_t number, std::string* bytes) {
  while (number >= 0x80) {
    bytes->push_back(char(number | 0x80));
    number >>= 7;
  }
  bytes->push_back(char(number));
}

void AppendText(std::string_view text, std::string* bytes) {
  AppendVarint(text.size(), bytes);
  bytes->append(text);
}

uint64_t ZigZag(int64_t number) { return uint64_t(number) << 1 ^ uint64_t(number >> 63); }
int64_t UnZigZag(uint64_t number) { return int64_t(number >> 1) ^ -int64_t(number & 1); }

// About what a record takes, never less.
int64_t BytesMaxOf(const OutboxRecord& record) {
  int64_t bytes = int64_t(record.topic.size() + record.key.size() + record.value.size());
  for (const auto& [name, value] : record.headers) {
    bytes += int64_t(name.size() + value.size() + 2 * kVarintBytesMax);
  }
  return bytes + int64_t(6 * kVarintBytesMax);
}

// Takes numbers and texts off a block; false where it ends too early or a number is none.
class BlockParser {
 public:
  explicit BlockParser(std::string_view rest = {}) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }

  bool Number(uint64_t* number) {
    *number = 0;
    for (size_t i = 0; i < std::min(kVarintBytesMax, rest_.size()); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      if (i + 1 == kVarintBytesMax && byte > 1) return false;
      *number |= uint64_t(byte & 0x7F) << (7 * i);
      if ((byte & 0x80) == 0) {
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  bool Text(uint64_t bytes, std::string_view* text) {
    if (bytes > rest_.size()) return false;
    *text = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return true;
  }

  bool Text(std::string_view* text) {
    uint64_t bytes = 0;
    return Number(&bytes) && Text(bytes, text);
  }

 private:
  std::string_view rest_;
};

class BlockRecordReader final : public RecordSegmentReader {
 public:
  BlockRecordReader(std::unique_ptr<BlockFileReader> file, int64_t rows)
      : file_(std::move(file)), rows_(rows) {}

  Status Skip(int64_t rows) override {
    while (rows > 0) {
      if (left_ == 0) {
        ARROW_ASSIGN_OR_RAISE(const bool more, ReadBlock());
        if (!more) return file_->Damaged("it has fewer rows than are to be left out");
      }
      if (untouched_ && int64_t(left_) <= rows) {
        rows -= int64_t(left_);
        left_ = 0;
        parser_ = BlockParser();
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(const auto record, Next());
      if (!record) return file_->Damaged("it has fewer rows than are to be left out");
      --rows;
    }
    return Status::OK();
  }

  Result<std::optional<OutboxRecord>> Next() override {
    if (left_ == 0) {
      ARROW_ASSIGN_OR_RAISE(const bool more, ReadBlock());
      if (!more) return std::nullopt;
    }
    OutboxRecord record;
    if (!Parse(&record)) return Malformed();
    untouched_ = false;
    --left_;
    if (left_ == 0 && !parser_.empty()) return Malformed();
    return record;
  }

 private:
  Status Malformed() const { return file_->Damaged("a block holds no records"); }

  // False at the end.
  Result<bool> ReadBlock() {
    topics_.clear();
    ARROW_ASSIGN_OR_RAISE(const std::string_view payload, file_->Next());
    if (payload.empty()) {
      if (seen_ == rows_) return false;
      return file_->Damaged("it has " + std::to_string(seen_) + " rows, not " +
                            std::to_string(rows_));
    }
    parser_ = BlockParser(payload);
    // A record has five bytes at the least.
    if (!parser_.Number(&left_) || left_ == 0 || left_ > parser_.size()) return Malformed();
    seen_ += int64_t(left_);
    untouched_ = true;
    return true;
  }

  bool Parse(OutboxRecord* record) {
    uint64_t topic = 0;
    if (!parser_.Number(&topic) || topic > topics_.size()) return false;
    if (topic == 0) {
      std::string_view name;
      if (!parser_.Text(&name)) return false;
      topics_.push_back(name);
      topic = topics_.size();
    }
    record->topic = topics_[topic - 1];
    uint64_t key = 0;
    if (!parser_.Number(&key)) return false;
    record->has_key = key > 0;
    if (record->has_key && !parser_.Text(key - 1, &record->key)) return false;
    uint64_t timestamp = 0;
    uint64_t headers = 0;
    if (!parser_.Text(&record->value) || !parser_.Number(&timestamp) || !parser_.Number(&headers) ||
        headers > parser_.size()) {
      return false;
    }
    record->timestamp_ms = UnZigZag(timestamp);
    for (uint64_t i = 0; i < headers; ++i) {
      std::string_view name;
      std::string_view value;
      if (!parser_.Text(&name) || !parser_.Text(&value)) return false;
      record->headers.emplace_back(name, value);
    }
    return true;
  }

  const std::unique_ptr<BlockFileReader> file_;
  const int64_t rows_;
  int64_t seen_ = 0;  // of the blocks read so far
  BlockParser parser_;
  std::vector<std::string_view> topics_;  // of the block
  uint64_t left_ = 0;                     // records of the block
  bool untouched_ = false;                // nothing of the block was parsed yet
};

}  // namespace

RecordSegmentWriter::RecordSegmentWriter(std::unique_ptr<StoredFileWriter> file)
    : file_(std::make_unique<BlockFileWriter>(std::move(file), kMagic)) {}

RecordSegmentWriter::~RecordSegmentWriter() = default;

Status RecordSegmentWriter::Append(const OutboxRecord& record) {
  if (BytesMaxOf(record) > kRecordBytesMax) {
    return InternalError("record_too_large", "a record of more than " +
                                                 std::to_string(kRecordBytesMax) +
                                                 " bytes for topic " + std::string(record.topic));
  }
  const auto found = std::find(topics_.begin(), topics_.end(), record.topic);
  AppendVarint(found == topics_.end() ? 0 : uint64_t(found - topics_.begin()) + 1, &buffer_);
  if (found == topics_.end()) {
    AppendText(record.topic, &buffer_);
    topics_.emplace_back(record.topic);
  }
  AppendVarint(record.has_key ? record.key.size() + 1 : 0, &buffer_);
  if (record.has_key) buffer_.append(record.key);
  AppendText(record.value, &buffer_);
  AppendVarint(ZigZag(record.timestamp_ms), &buffer_);
  AppendVarint(record.headers.size(), &buffer_);
  for (const auto& [name, value] : record.headers) {
    AppendText(name, &buffer_);
    AppendText(value, &buffer_);
  }
  ++rows_;
  ++block_rows_;
  return buffer_.size() >= kBlockBytes ? FlushBuffer() : Status::OK();
}

int64_t RecordSegmentWriter::bytes() const { return file_->bytes() + int64_t(buffer_.size()); }

Result<proto::Segment> RecordSegmentWriter::Finish() {
  ARROW_RETURN_NOT_OK(FlushBuffer());
  proto::Segment segment;
  ARROW_ASSIGN_OR_RAISE(*segment.mutable_file(), file_->Finish());
  segment.set_rows(rows_);
  return segment;
}

Status RecordSegmentWriter::FlushBuffer() {
  if (buffer_.empty()) return Status::OK();
  std::string rows;
  AppendVarint(uint64_t(block_rows_), &rows);
  buffer_.insert(0, rows);
  const Status written = file_->Write(buffer_);
  buffer_.clear();
  topics_.clear();
  block_rows_ = 0;
  return written;
}

Result<std::unique_ptr<RecordSegmentReader>> RecordSegmentReader::Open(
    CheckpointStorage* storage, const proto::Segment& segment) {
  ARROW_ASSIGN_OR_RAISE(auto file,
                        BlockFileReader::Open(storage, segment.file(), kMagic, kBlockBytesMax));
  return std::make_unique<BlockRecordReader>(std::move(file), segment.rows());
}

}  // namespace millrace
