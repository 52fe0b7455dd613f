// Rolls of files of lines: one file is open at a time; at most 256 KiB and the lines of 4,096 rows
// are held in memory.
#include <optional>

#include "engine/connectors/files/csv_encoder.h"
#include "engine/connectors/files/output_folder.h"
#include "engine/connectors/json/row_encoder.h"

namespace millrace {
namespace {

constexpr size_t kBufferBytesMax = 256 << 10;
constexpr int64_t kRowsEncodedAtOnce = 4096;

// Makes lines, with their ends, of rows.
class LineEncoder {
 public:
  virtual ~LineEncoder() = default;
  // Leads every file.
  virtual std::string Header() const { return ""; }
  // Replaces `lines` and `ends`: where each line ends.
  virtual Status Encode(const arrow::RecordBatch& rows, std::string* lines,
                        std::vector<size_t>* ends) = 0;
  virtual int64_t non_finite_values() const { return 0; }
};

class JsonLineEncoder final : public LineEncoder {
 public:
  explicit JsonLineEncoder(const Schema& schema) : encoder_(schema) {}
  Status Encode(const arrow::RecordBatch& rows, std::string* lines,
                std::vector<size_t>* ends) override {
    objects_.clear();
    object_ends_.clear();
    lines->clear();
    ends->clear();
    ARROW_RETURN_NOT_OK(encoder_.Encode(rows, &objects_, &object_ends_));
    size_t begin = 0;
    for (const size_t end : object_ends_) {
      lines->append(objects_, begin, end - begin).push_back('\n');
      ends->push_back(lines->size());
      begin = end;
    }
    return Status::OK();
  }
  int64_t non_finite_values() const override { return encoder_.non_finite_values(); }

 private:
  JsonRowEncoder encoder_;
  std::string objects_;
  std::vector<size_t> object_ends_;
};

class CsvLineEncoder final : public LineEncoder {
 public:
  explicit CsvLineEncoder(const Schema& schema) : encoder_(schema) {}
  std::string Header() const override { return encoder_.Header(); }
  Status Encode(const arrow::RecordBatch& rows, std::string* lines,
                std::vector<size_t>* ends) override {
    lines->clear();
    ends->clear();
    encoder_.Encode(rows, lines, ends);
    return Status::OK();
  }
  int64_t non_finite_values() const override { return encoder_.non_finite_values(); }

 private:
  CsvRowEncoder encoder_;
};

// Rows that are lines already.
class TextLineEncoder final : public LineEncoder {
 public:
  Status Encode(const arrow::RecordBatch& rows, std::string* lines,
                std::vector<size_t>* ends) override {
    if (rows.num_columns() != 1 || rows.column(0)->type_id() != arrow::Type::STRING) {
      return InternalError("schema_mismatch", "dead letters are one column of text");
    }
    lines->clear();
    ends->clear();
    const auto& texts = static_cast<const arrow::StringArray&>(*rows.column(0));
    for (int64_t row = 0; row < texts.length(); ++row) {
      lines->append(texts.GetView(row)).push_back('\n');
      ends->push_back(lines->size());
    }
    return Status::OK();
  }
};

// One roll. What it has open when it ends early is removed.
class LinesRoll {
 public:
  LinesRoll(OutputFolder* folder, LineEncoder* encoder, int64_t roll_bytes, const RollName& name)
      : folder_(folder),
        encoder_(encoder),
        roll_bytes_(roll_bytes),
        name_(name),
        header_(encoder->Header()) {}
  ~LinesRoll() {
    if (file_) folder_->Abandon(&*file_);
  }

  Status Add(const arrow::RecordBatch& batch) {
    for (int64_t begin = 0; begin < batch.num_rows(); begin += kRowsEncodedAtOnce) {
      ARROW_RETURN_NOT_OK(
          encoder_->Encode(*batch.Slice(begin, kRowsEncodedAtOnce), &lines_, &ends_));
      size_t line_begin = 0;
      for (const size_t end : ends_) {
        ARROW_RETURN_NOT_OK(AddLine(std::string_view(lines_).substr(line_begin, end - line_begin)));
        line_begin = end;
      }
    }
    return Status::OK();
  }

  Result<RollResult> Finish() {
    ARROW_RETURN_NOT_OK(Close());
    return result_;
  }

 private:
  Status AddLine(std::string_view line) {
    if (!file_) {
      ARROW_ASSIGN_OR_RAISE(file_, folder_->Begin(name_, "", next_number_++));
      file_bytes_ = int64_t(header_.size());
      buffer_ = header_;
    }
    buffer_.append(line);
    file_bytes_ += int64_t(line.size());
    ++result_.rows;
    if (buffer_.size() >= kBufferBytesMax) ARROW_RETURN_NOT_OK(WriteBuffer());
    return file_bytes_ >= roll_bytes_ ? Close() : Status::OK();
  }

  Status WriteBuffer() {
    if (file_->stream != nullptr) ARROW_RETURN_NOT_OK(file_->stream->Write(buffer_));
    buffer_.clear();
    return Status::OK();
  }

  Status Close() {
    if (!file_) return Status::OK();
    ARROW_RETURN_NOT_OK(WriteBuffer());
    bool written = false;
    if (file_->stream != nullptr) {
      ARROW_ASSIGN_OR_RAISE(written, folder_->Finish(&*file_));
    }
    ++(written ? result_.files_written : result_.files_found);
    if (written) result_.bytes += file_bytes_;
    file_.reset();
    return Status::OK();
  }

  OutputFolder* const folder_;
  LineEncoder* const encoder_;
  const int64_t roll_bytes_;
  const RollName& name_;
  const std::string header_;
  std::optional<OutputFile> file_;
  int64_t next_number_ = 0;
  int64_t file_bytes_ = 0;  // with what is in the buffer
  std::string buffer_;
  std::string lines_;
  std::vector<size_t> ends_;
  RollResult result_;
};

class LinesRollWriter final : public RollWriter {
 public:
  LinesRollWriter(const FilesSinkSpec& spec, std::string what, std::string ending,
                  std::unique_ptr<LineEncoder> encoder, RollWriterOptions options)
      : description_(std::move(what) + " under " + spec.path),
        roll_bytes_(spec.roll_bytes),
        encoder_(std::move(encoder)),
        folder_(spec.path, std::move(ending), std::move(options)) {}

  Result<std::vector<std::string>> Leftovers() override { return folder_.Leftovers(); }
  Status RemoveLeftovers(const std::vector<std::string>& leftovers) override {
    return folder_.RemoveLeftovers(leftovers);
  }
  Status Open() override { return folder_.Open(); }
  Result<std::optional<std::string>> ReadRegister() override { return folder_.ReadRegister(); }
  Status WriteRegister(std::string_view bytes) override { return folder_.WriteRegister(bytes); }

  Status Check(const Rows& rows, std::vector<uint32_t>* refused,
               std::vector<DeadLetter>* letters) override {
    return Status::OK();
  }

  Result<RollResult> Write(const RollName& name,
                           const std::function<Status(const Visit&)>& each) override {
    const int64_t non_finite_before = encoder_->non_finite_values();
    LinesRoll roll(&folder_, encoder_.get(), roll_bytes_, name);
    ARROW_RETURN_NOT_OK(each([&](const arrow::RecordBatch& batch) {
      return FileWriteError(roll.Add(batch), folder_.path());
    }));
    auto result = roll.Finish();
    if (!result.ok()) return FileWriteError(result.status(), folder_.path());
    result->non_finite_values = encoder_->non_finite_values() - non_finite_before;
    return result;
  }

  std::string description() const override { return description_; }

 private:
  const std::string description_;
  const int64_t roll_bytes_;
  const std::unique_ptr<LineEncoder> encoder_;
  OutputFolder folder_;
};

}  // namespace

Result<std::unique_ptr<RollWriter>> MakeLinesRollWriter(const FilesSinkSpec& spec,
                                                        const Schema& schema,
                                                        RollWriterOptions options) {
  switch (spec.format) {
    case Format::kJson:
      return std::make_unique<LinesRollWriter>(spec, "JSON lines", "jsonl",
                                               std::make_unique<JsonLineEncoder>(schema),
                                               std::move(options));
    case Format::kCsv:
      return std::make_unique<LinesRollWriter>(
          spec, "CSV files", "csv", std::make_unique<CsvLineEncoder>(schema), std::move(options));
    case Format::kSenml:
    case Format::kParquet:
      break;
  }
  return UserError("bad_format", "a files sink writes json or csv; for Parquet use parquet:");
}

std::unique_ptr<RollWriter> MakeDeadLetterRollWriter(const FilesSinkSpec& spec,
                                                     RollWriterOptions options) {
  return std::make_unique<LinesRollWriter>(spec, "JSON lines", "jsonl",
                                           std::make_unique<TextLineEncoder>(), std::move(options));
}

}  // namespace millrace
