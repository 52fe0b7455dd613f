#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>

#include <algorithm>
#include <utility>

#include "engine/connectors/files/file_reader.h"
#include "engine/connectors/message/message_decoder.h"

namespace millrace {
namespace {

constexpr int64_t kReadBytes = 256 << 10;
constexpr size_t kLineBytesMax = 16 << 20;
constexpr size_t kChunkBytesMax = 4 << 20;

class OriginalLines final : public OriginalRecords {
 public:
  void Add(std::string_view line) {
    text_.append(line);
    ends_.push_back(text_.size());
  }
  std::string_view ValueOfRow(int64_t row) const override {
    const size_t begin = row == 0 ? 0 : ends_[size_t(row) - 1];
    return std::string_view(text_).substr(begin, ends_[size_t(row)] - begin);
  }
  std::string_view KeyOfRow(int64_t) const override { return {}; }

 private:
  std::string text_;
  std::vector<size_t> ends_;
};

// Each line is read as a message is. Lines that are blank are passed over. A line beyond
// kLineBytesMax is refused ("too_large") with the part of it that was read.
class LinesReader final : public FileReader {
 public:
  LinesReader(const SourceStreamSpec& spec, const std::vector<int>& used_columns, std::string path)
      : decoder_(spec, used_columns), path_(std::move(path)) {}

  Status Open(arrow::fs::FileSystem* filesystem) {
    ARROW_ASSIGN_OR_RAISE(input_, filesystem->OpenInputStream(path_));
    return Status::OK();
  }

  Result<std::optional<SourceBatch>> Next(int64_t rows_max) override {
    SourceBatch batch;
    batch.partition = {path_, 0};
    auto origins = std::make_shared<Origins>();
    origins->source = batch.partition;
    auto originals = std::make_shared<OriginalLines>();
    const int64_t first = line_number_;
    ARROW_RETURN_NOT_OK(decoder_.Reserve(rows_max));
    while (decoder_.rows() + int64_t(batch.rejected.size()) < rows_max &&
           batch.bytes < int64_t(kChunkBytesMax)) {
      ARROW_ASSIGN_OR_RAISE(const bool found, NextLine());
      if (!found) break;
      const int64_t offset = line_number_++;
      if (line_.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      batch.bytes += int64_t(line_.size());
      if (cut_) {
        batch.rejected.push_back({offset, "too_large",
                                  "the line is longer than 16 MiB; only its beginning is kept",
                                  std::string(line_), ""});
        continue;
      }
      decoder_.Append(line_, &decoded_);
      if (decoded_.rows.empty() && decoded_.refused.empty()) ++batch.empty_records;
      for (const DecodedMessage::Reading& reading : decoded_.rows) {
        origins->Add(offset, reading.index);
        originals->Add(reading.value);
      }
      for (const DecodedMessage::Refused& refused : decoded_.refused) {
        batch.rejected.push_back({offset, refused.failure.reason, refused.failure.message,
                                  std::string(refused.reading.value), "", refused.reading.index});
      }
    }
    ARROW_ASSIGN_OR_RAISE(batch.rows.batch, decoder_.Finish());
    if (line_number_ == first) return std::nullopt;
    batch.record_timestamps.assign(size_t(batch.rows.size()), INT64_MIN);
    batch.rows.origins = std::move(origins);
    batch.originals = std::move(originals);
    batch.next_offset = line_number_;
    return batch;
  }

 private:
  // The next line, without its end, to line_.
  Result<bool> NextLine() {
    cut_ = false;
    if (line_number_ == 0 && !started_) {
      started_ = true;
      ARROW_RETURN_NOT_OK(Fill());
      if (buffer_.starts_with("\xef\xbb\xbf")) buffer_.erase(0, 3);
    }
    size_t searched = consumed_;
    size_t end;
    while ((end = buffer_.find('\n', searched)) == std::string::npos && !ended_) {
      // Once a read, not once a line: what is left moves to the front.
      buffer_.erase(0, std::exchange(consumed_, 0));
      if (buffer_.size() > kLineBytesMax) {
        ARROW_RETURN_NOT_OK(SkipLongLine());
        return true;
      }
      searched = buffer_.size();
      ARROW_RETURN_NOT_OK(Fill());
    }
    if (end == std::string::npos) end = buffer_.size();
    if (end == consumed_ && end == buffer_.size()) return false;
    line_ = std::string_view(buffer_).substr(consumed_, end - consumed_);
    consumed_ = std::min(buffer_.size(), end + 1);
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    return true;
  }

  // Keeps the beginning in line_ and leaves what follows the line in buffer_.
  Status SkipLongLine() {
    cut_ = true;
    long_line_ = std::move(buffer_);
    line_ = long_line_;
    size_t end = std::string::npos;
    do {
      buffer_.clear();
      ARROW_RETURN_NOT_OK(Fill());
      end = buffer_.find('\n');
    } while (end == std::string::npos && !ended_);
    consumed_ = end == std::string::npos ? buffer_.size() : end + 1;
    return Status::OK();
  }

  Status Fill() {
    auto read = input_->Read(kReadBytes);
    if (!read.ok()) {
      return ExternalError("file_read_failed", path_ + ": " + read.status().message(), Retry::kYes);
    }
    ended_ = (*read)->size() == 0;
    buffer_.append(std::string_view(**read));
    return Status::OK();
  }

  MessageDecoder decoder_;
  DecodedMessage decoded_;
  const std::string path_;
  std::shared_ptr<arrow::io::InputStream> input_;
  std::string buffer_;   // read and not yet consumed
  size_t consumed_ = 0;  // of buffer_
  std::string long_line_;
  std::string_view line_;  // into buffer_ or long_line_
  bool cut_ = false;
  bool started_ = false;
  bool ended_ = false;
  int64_t line_number_ = 0;
};

}  // namespace

Result<std::unique_ptr<FileReader>> OpenLinesFile(const SourceStreamSpec& spec,
                                                  const std::vector<int>& used_columns,
                                                  const std::string& path,
                                                  arrow::fs::FileSystem* filesystem) {
  auto reader = std::make_unique<LinesReader>(spec, used_columns, path);
  ARROW_RETURN_NOT_OK(reader->Open(filesystem));
  return reader;
}

}  // namespace millrace
