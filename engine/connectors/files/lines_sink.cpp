#include "engine/connectors/files/lines_sink.h"

#include <arrow/util/base64.h>

#include <optional>

#include "engine/connectors/files/csv_encoder.h"
#include "engine/connectors/files/utf8.h"
#include "engine/connectors/json/row_encoder.h"

namespace millrace {
namespace {

constexpr size_t kBufferBytesMax = 256 << 10;

// The open file of lines and what is not yet written to it.
class LinesFile {
 public:
  LinesFile(const FilesSinkSpec& spec, std::string ending, std::string header,
            FileSinkOptions options)
      : spec_(spec),
        header_(std::move(header)),
        folder_(spec.path, std::move(ending), std::move(options)) {}
  ~LinesFile() {
    if (file_) folder_.Abandon(&*file_);
  }

  OutputFolder& folder() { return folder_; }
  int64_t bytes_written() const { return bytes_written_; }

  // Whole lines are appended to it, then Written is called.
  std::string* buffer() { return &buffer_; }

  Status Written() {
    ARROW_RETURN_NOT_OK(failure_);
    if (buffer_.size() < kBufferBytesMax && file_bytes_ + Pending() < spec_.roll_bytes) {
      return file_ ? CloseIfOld() : WriteBuffer();
    }
    return WriteBuffer();
  }

  Status Flush(bool close) {
    ARROW_RETURN_NOT_OK(failure_);
    ARROW_RETURN_NOT_OK(WriteBuffer());
    if (!file_) return Status::OK();
    return close ? Close() : Settle(file_->stream->Flush());
  }

 private:
  int64_t Pending() const { return int64_t(buffer_.size()); }

  Status Settle(const Status& status) {
    if (status.ok()) return status;
    failure_ = FileWriteError(status, folder_.path());
    if (file_) folder_.Fail(&*file_);
    file_.reset();
    buffer_.clear();
    return failure_;
  }

  Status WriteBuffer() {
    if (!buffer_.empty()) ARROW_RETURN_NOT_OK(Settle(Append()));
    return file_bytes_ >= spec_.roll_bytes ? Close() : CloseIfOld();
  }

  Status Append() {
    if (!file_) {
      ARROW_ASSIGN_OR_RAISE(file_, folder_.Begin());
      opened_ = folder_.options().clock->Monotonic();
      file_bytes_ = int64_t(header_.size());
      ARROW_RETURN_NOT_OK(file_->stream->Write(header_));
    }
    ARROW_RETURN_NOT_OK(file_->stream->Write(buffer_));
    file_bytes_ += Pending();
    bytes_written_ += Pending();
    buffer_.clear();
    return Status::OK();
  }

  Status CloseIfOld() {
    if (!file_ || folder_.options().clock->Monotonic() - opened_ < spec_.roll_interval) {
      return Status::OK();
    }
    if (!buffer_.empty()) ARROW_RETURN_NOT_OK(Settle(Append()));
    return Close();
  }

  Status Close() {
    if (!file_) return Status::OK();
    FileAside closing = std::move(*file_);
    file_.reset();
    file_bytes_ = 0;
    return Settle(folder_.Finish(&closing, ""));
  }

  const FilesSinkSpec spec_;
  const std::string header_;
  OutputFolder folder_;
  std::optional<FileAside> file_;
  int64_t file_bytes_ = 0;
  MonotonicTime opened_{0};
  std::string buffer_;
  int64_t bytes_written_ = 0;
  Status failure_;
};

class JsonLinesSink final : public SinkWriter {
 public:
  JsonLinesSink(const FilesSinkSpec& spec, const Schema& schema, FileSinkOptions options)
      : path_(spec.path), encoder_(schema), lines_(spec, "jsonl", "", std::move(options)) {}

  Status Open() override { return lines_.folder().Open(OutputFolder::Leftovers::kRemove); }

  Status Write(const Rows& rows, std::vector<DeadLetter>*) override {
    if (rows.size() == 0) return lines_.Written();
    objects_.clear();
    ends_.clear();
    ARROW_RETURN_NOT_OK(encoder_.Encode(*rows.batch, &objects_, &ends_));
    size_t begin = 0;
    for (const size_t end : ends_) {
      lines_.buffer()->append(objects_, begin, end - begin).push_back('\n');
      begin = end;
    }
    rows_written_ += rows.size();
    return lines_.Written();
  }

  Status Flush(bool close_files) override { return lines_.Flush(close_files); }
  SinkStats stats() const override {
    return {rows_written_, lines_.bytes_written(), encoder_.non_finite_values()};
  }
  std::string description() const override { return "JSON lines under " + path_; }

 private:
  const std::string path_;
  JsonRowEncoder encoder_;
  LinesFile lines_;
  std::string objects_;
  std::vector<size_t> ends_;
  int64_t rows_written_ = 0;
};

class CsvSink final : public SinkWriter {
 public:
  CsvSink(const FilesSinkSpec& spec, const Schema& schema, FileSinkOptions options)
      : path_(spec.path),
        encoder_(schema),
        lines_(spec, "csv", encoder_.Header(), std::move(options)) {}

  Status Open() override { return lines_.folder().Open(OutputFolder::Leftovers::kRemove); }

  Status Write(const Rows& rows, std::vector<DeadLetter>*) override {
    if (rows.size() != 0) encoder_.Encode(*rows.batch, lines_.buffer());
    rows_written_ += rows.size();
    return lines_.Written();
  }

  Status Flush(bool close_files) override { return lines_.Flush(close_files); }
  SinkStats stats() const override {
    return {rows_written_, lines_.bytes_written(), encoder_.non_finite_values()};
  }
  std::string description() const override { return "CSV files under " + path_; }

 private:
  const std::string path_;
  CsvRowEncoder encoder_;
  LinesFile lines_;
  int64_t rows_written_ = 0;
};

class DeadLetterFiles final : public DeadLetterWriter {
 public:
  DeadLetterFiles(const FilesSinkSpec& spec, FileSinkOptions options)
      : path_(spec.path), lines_(spec, "jsonl", "", std::move(options)) {}
  // Where it fails the file stays aside, and the next start finishes it.
  ~DeadLetterFiles() override { lines_.Flush(/*close=*/true).ok(); }

  Status Open() override { return lines_.folder().Open(OutputFolder::Leftovers::kFinish); }

  Status Write(const std::vector<DeadLetter>& letters) override {
    for (const DeadLetter& letter : letters) {
      AppendLetter(letter, lines_.buffer());
      ARROW_RETURN_NOT_OK(lines_.Written());
    }
    return Status::OK();
  }

  Status Flush() override { return lines_.Flush(/*close=*/false); }
  std::string description() const override { return "JSON lines under " + path_; }

 private:
  static void AppendString(std::string_view text, std::string* line) {
    constexpr char kDigits[] = "0123456789abcdef";
    line->push_back('"');
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        line->push_back('\\');
        line->push_back(c);
      } else if (c == '\n') {
        line->append("\\n");
      } else if (byte < 0x20) {
        line->append("\\u00").push_back(kDigits[byte >> 4]);
        line->push_back(kDigits[byte & 15]);
      } else {
        line->push_back(c);
      }
    }
    line->push_back('"');
  }

  static void AppendBytes(std::string_view name, std::string_view bytes, std::string* line) {
    const bool utf8 = IsUtf8(bytes);
    line->append(",\"").append(name).append(utf8 ? "\":" : "_base64\":");
    AppendString(utf8 ? std::string(bytes) : arrow::util::base64_encode(bytes), line);
  }

  static void AppendLetter(const DeadLetter& letter, std::string* line) {
    line->append("{\"reason\":");
    AppendString(letter.reason, line);
    AppendBytes("message", letter.message, line);
    AppendBytes("stream", letter.stream, line);
    if (!letter.source.topic.empty()) {
      AppendBytes("topic", letter.source.topic, line);
      line->append(",\"partition\":").append(std::to_string(letter.source.partition));
      line->append(",\"offset\":").append(std::to_string(letter.offset));
    }
    if (!letter.key.empty()) AppendBytes("key", letter.key, line);
    AppendBytes("value", letter.value, line);
    line->append("}\n");
  }

  const std::string path_;
  LinesFile lines_;
};

}  // namespace

Result<std::unique_ptr<SinkWriter>> MakeLinesSink(const FilesSinkSpec& spec, const Schema& schema,
                                                  FileSinkOptions options) {
  switch (spec.format) {
    case Format::kJson:
      return std::make_unique<JsonLinesSink>(spec, schema, std::move(options));
    case Format::kCsv:
      return std::make_unique<CsvSink>(spec, schema, std::move(options));
    case Format::kParquet:
      break;
  }
  return UserError("bad_format", "a files sink writes json or csv; for Parquet use parquet:");
}

std::unique_ptr<DeadLetterWriter> MakeDeadLetterFiles(const FilesSinkSpec& spec,
                                                      FileSinkOptions options) {
  return std::make_unique<DeadLetterFiles>(spec, std::move(options));
}

}  // namespace millrace
