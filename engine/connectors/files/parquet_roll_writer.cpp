// Rolls of Parquet files. Where a file and a row group end is decided row by row, so that it does
// not depend on how the rows are cut into batches, nor on which files are there already.
#include <arrow/array/builder_base.h>
#include <arrow/builder.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <list>
#include <unordered_map>

#include "engine/connectors/files/output_folder.h"
#include "engine/connectors/files/partition_path.h"
#include "engine/connectors/json/row_encoder.h"

namespace millrace {
namespace {

constexpr int64_t kRowGroupRowsMax = 64 << 10;
constexpr int64_t kRowGroupBytesMax = 8 << 20;
constexpr int64_t kPendingBytesMax = 32 << 20;
constexpr size_t kOpenFilesMax = 100;
constexpr const char* kTooLong = "a partition value is longer than a folder's name may be";

// One partition's open file and the row group that is being gathered for it. Of a file that is
// there already only the counts are kept.
struct OpenFile {
  std::string partition;
  OutputFile output;
  std::unique_ptr<parquet::arrow::FileWriter> writer;
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders;
  int64_t bytes = 0;  // of all its rows, before compression
  int64_t pending_rows = 0;
  int64_t pending_bytes = 0;
};

// What all rolls of a writer share.
struct ParquetLayout {
  int64_t roll_bytes = 0;
  std::shared_ptr<arrow::Schema> schema;  // of the files
  PartitionPath partitions;
};

// One roll. What it has open when it ends early is removed.
class ParquetRoll {
 public:
  ParquetRoll(OutputFolder* folder, ParquetLayout* layout, const RollName& name)
      : folder_(folder), layout_(layout), name_(name) {}
  ~ParquetRoll() {
    for (OpenFile& file : files_) folder_->Abandon(&file.output);
  }

  Status Add(const arrow::RecordBatch& batch) {
    const int64_t count = batch.num_rows();
    SizeRows(batch);
    for (int64_t begin = 0; begin < count;) {
      if (!layout_->partitions.Build(batch, begin, &partition_)) {
        return UserError("partition_value_too_long", kTooLong);
      }
      ARROW_ASSIGN_OR_RAISE(const auto file, FileOf(partition_));
      int64_t end = begin;
      do {
        CountRow(row_bytes_[size_t(end++)], &*file);
      } while (end < count && !IsFull(*file) && layout_->partitions.Build(batch, end, &next_) &&
               next_ == partition_);
      ARROW_RETURN_NOT_OK(Append(batch, begin, end - begin, &*file));
      ARROW_RETURN_NOT_OK(Relieve(file));
      begin = end;
    }
    result_.rows += count;
    return Status::OK();
  }

  Result<RollResult> Finish() {
    while (!files_.empty()) ARROW_RETURN_NOT_OK(Close(std::prev(files_.end())));
    return result_;
  }

 private:
  using FileList = std::list<OpenFile>;

  // About what each row takes, of the columns that are in files.
  void SizeRows(const arrow::RecordBatch& batch) {
    row_bytes_.assign(size_t(batch.num_rows()), 0);
    for (const int i : layout_->partitions.file_columns()) {
      const arrow::Array& column = *batch.column(i);
      if (column.type_id() != arrow::Type::STRING) {
        for (int64_t& bytes : row_bytes_) bytes += 9;
        continue;
      }
      const auto& texts = static_cast<const arrow::StringArray&>(column);
      for (int64_t row = 0; row < texts.length(); ++row) {
        row_bytes_[size_t(row)] += texts.IsNull(row) ? 5 : texts.value_length(row) + 5;
      }
    }
  }

  void CountRow(int64_t bytes, OpenFile* file) {
    file->bytes += bytes;
    file->pending_bytes += bytes;
    pending_bytes_ += bytes;
    ++file->pending_rows;
  }

  bool RowGroupIsFull(const OpenFile& file) const {
    return file.pending_rows >= kRowGroupRowsMax || file.pending_bytes >= kRowGroupBytesMax;
  }
  bool IsFull(const OpenFile& file) const {
    return file.bytes >= layout_->roll_bytes || RowGroupIsFull(file) ||
           pending_bytes_ > kPendingBytesMax;
  }

  // Writes what is full.
  Status Relieve(FileList::iterator file) {
    if (file->bytes >= layout_->roll_bytes) return Close(file);
    if (RowGroupIsFull(*file)) return WriteRowGroup(&*file);
    if (pending_bytes_ <= kPendingBytesMax) return Status::OK();
    OpenFile* largest = &files_.front();
    for (OpenFile& other : files_) {
      if (other.pending_bytes > largest->pending_bytes) largest = &other;
    }
    return WriteRowGroup(largest);
  }

  // The partition's file, opened where it is not; moved to the front of the list.
  Result<FileList::iterator> FileOf(const std::string& partition) {
    const auto found = by_partition_.find(partition);
    if (found != by_partition_.end()) {
      files_.splice(files_.begin(), files_, found->second);
      return found->second;
    }
    if (files_.size() >= kOpenFilesMax) ARROW_RETURN_NOT_OK(Close(std::prev(files_.end())));
    OpenFile file;
    file.partition = partition;
    ARROW_ASSIGN_OR_RAISE(file.output, folder_->Begin(name_, partition, next_number_++));
    files_.push_front(std::move(file));
    by_partition_[partition] = files_.begin();
    if (files_.front().output.stream != nullptr) ARROW_RETURN_NOT_OK(OpenWriter(&files_.front()));
    return files_.begin();
  }

  Status OpenWriter(OpenFile* file) {
    parquet::WriterProperties::Builder properties;
    properties.compression(parquet::Compression::SNAPPY);
    parquet::ArrowWriterProperties::Builder arrow_properties;
    arrow_properties.store_schema();
    ARROW_ASSIGN_OR_RAISE(file->writer,
                          parquet::arrow::FileWriter::Open(
                              *layout_->schema, arrow::default_memory_pool(), file->output.stream,
                              properties.build(), arrow_properties.build()));
    for (const auto& field : layout_->schema->fields()) {
      std::unique_ptr<arrow::ArrayBuilder> builder;
      ARROW_RETURN_NOT_OK(
          arrow::MakeBuilder(arrow::default_memory_pool(), field->type(), &builder));
      file->builders.push_back(std::move(builder));
    }
    return Status::OK();
  }

  Status Append(const arrow::RecordBatch& batch, int64_t begin, int64_t count, OpenFile* file) {
    for (size_t i = 0; i < file->builders.size(); ++i) {
      const arrow::Array& column = *batch.column(layout_->partitions.file_columns()[i]);
      ARROW_RETURN_NOT_OK(
          file->builders[i]->AppendArraySlice(arrow::ArraySpan(*column.data()), begin, count));
    }
    return Status::OK();
  }

  Status WriteRowGroup(OpenFile* file) {
    const int64_t rows = file->pending_rows;
    pending_bytes_ -= file->pending_bytes;
    file->pending_rows = 0;
    file->pending_bytes = 0;
    if (file->writer == nullptr || rows == 0) return Status::OK();
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (auto& builder : file->builders) {
      ARROW_ASSIGN_OR_RAISE(auto column, builder->Finish());
      columns.push_back(std::move(column));
    }
    return file->writer->WriteTable(*arrow::Table::Make(layout_->schema, columns, rows), rows);
  }

  Status Close(FileList::iterator file) {
    OpenFile closing = std::move(*file);
    by_partition_.erase(closing.partition);
    files_.erase(file);
    auto finish = [&]() -> Status {
      ARROW_RETURN_NOT_OK(WriteRowGroup(&closing));
      if (closing.writer == nullptr) {
        ++result_.files_found;
        return Status::OK();
      }
      ARROW_RETURN_NOT_OK(closing.writer->Close());
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes, closing.output.stream->Tell());
      ARROW_ASSIGN_OR_RAISE(const bool written, folder_->Finish(&closing.output));
      ++(written ? result_.files_written : result_.files_found);
      if (written) result_.bytes += bytes;
      return Status::OK();
    };
    const Status status = finish();
    if (!status.ok()) folder_->Abandon(&closing.output);
    return status;
  }

  OutputFolder* const folder_;
  ParquetLayout* const layout_;
  const RollName& name_;
  FileList files_;  // most recently written first
  std::unordered_map<std::string, FileList::iterator> by_partition_;
  int64_t next_number_ = 0;
  int64_t pending_bytes_ = 0;
  std::vector<int64_t> row_bytes_;  // of the batch
  std::string partition_;
  std::string next_;
  RollResult result_;
};

class ParquetRollWriter final : public RollWriter {
 public:
  ParquetRollWriter(const ParquetSinkSpec& spec, const Schema& schema, PartitionPath partitions,
                    RollWriterOptions options)
      : schema_(schema), folder_(spec.path, "parquet", std::move(options)) {
    Schema file_schema;
    for (const int column : partitions.file_columns()) {
      file_schema.fields.push_back(schema.fields[size_t(column)]);
    }
    layout_ = {spec.roll_bytes, file_schema.ToArrow(), std::move(partitions)};
  }

  Result<std::vector<std::string>> Leftovers() override { return folder_.Leftovers(); }
  Status RemoveLeftovers(const std::vector<std::string>& leftovers) override {
    return folder_.RemoveLeftovers(leftovers);
  }
  Status Open() override { return folder_.Open(); }
  Result<std::optional<std::string>> ReadRegister() override { return folder_.ReadRegister(); }
  Status WriteRegister(std::string_view bytes) override { return folder_.WriteRegister(bytes); }

  Status Check(const Rows& rows, std::vector<uint32_t>* refused,
               std::vector<DeadLetter>* letters) override {
    for (int64_t row = 0; row < rows.size(); ++row) {
      if (layout_.partitions.Build(*rows.batch, row, &partition_)) continue;
      refused->push_back(uint32_t(row));
      ARROW_RETURN_NOT_OK(AddLetter(rows, row, letters));
    }
    return Status::OK();
  }

  Result<RollResult> Write(const RollName& name,
                           const std::function<Status(const Visit&)>& each) override {
    ParquetRoll roll(&folder_, &layout_, name);
    ARROW_RETURN_NOT_OK(each([&](const arrow::RecordBatch& batch) {
      return FileWriteError(roll.Add(batch), folder_.path());
    }));
    auto result = roll.Finish();
    if (!result.ok()) return FileWriteError(result.status(), folder_.path());
    return result;
  }

  std::string description() const override { return "parquet files under " + folder_.path(); }

 private:
  Status AddLetter(const Rows& rows, int64_t row, std::vector<DeadLetter>* letters) {
    DeadLetter letter;
    letter.reason = "partition_value_too_long";
    letter.message = kTooLong;
    JsonRowEncoder encoder(schema_);
    std::vector<size_t> ends;
    ARROW_RETURN_NOT_OK(encoder.Encode(*rows.batch->Slice(row, 1), &letter.value, &ends));
    if (rows.origins != nullptr) {
      letter.source = rows.origins->source;
      letter.offset = rows.origins->offsets[size_t(row)];
      letter.index = rows.origins->IndexOf(row);
    }
    letters->push_back(std::move(letter));
    return Status::OK();
  }

  const Schema schema_;
  OutputFolder folder_;
  ParquetLayout layout_;
  std::string partition_;
};

}  // namespace

Result<std::unique_ptr<RollWriter>> MakeParquetRollWriter(const ParquetSinkSpec& spec,
                                                          const Schema& schema, int time_column,
                                                          RollWriterOptions options) {
  ARROW_ASSIGN_OR_RAISE(auto partitions,
                        PartitionPath::Make(schema, spec.partition_by, time_column));
  return std::make_unique<ParquetRollWriter>(spec, schema, std::move(partitions),
                                             std::move(options));
}

}  // namespace millrace
