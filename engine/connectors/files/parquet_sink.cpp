#include "engine/connectors/files/parquet_sink.h"

#include <arrow/array/builder_base.h>
#include <arrow/builder.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <list>

#include "engine/connectors/files/partition_path.h"
#include "engine/connectors/json/row_encoder.h"

namespace millrace {
namespace {

constexpr int64_t kRowGroupRowsMax = 64 << 10;
constexpr int64_t kRowGroupBytesMax = 8 << 20;
constexpr int64_t kPendingBytesMax = 32 << 20;
constexpr size_t kOpenFilesMax = 100;

// About what the rows take in builders.
int64_t BytesOf(const arrow::Array& array, int64_t begin, int64_t count) {
  if (array.type_id() != arrow::Type::STRING) return count * 9;
  const auto& text = static_cast<const arrow::StringArray&>(array);
  return text.value_offset(begin + count) - text.value_offset(begin) + count * 5;
}

// One partition's open file and the row group that is being gathered for it.
struct OpenFile {
  std::string partition;
  FileAside aside;
  std::unique_ptr<parquet::arrow::FileWriter> writer;
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders;
  int64_t pending_rows = 0;
  int64_t pending_bytes = 0;
  MonotonicTime opened{0};
};

class ParquetSink final : public SinkWriter {
 public:
  ParquetSink(const ParquetSinkSpec& spec, const Schema& schema, PartitionPath partitions,
              FileSinkOptions options)
      : spec_(spec),
        schema_(schema),
        partitions_(std::move(partitions)),
        folder_(spec.path, "parquet", std::move(options)) {
    Schema file_schema;
    for (int column : partitions_.file_columns()) {
      file_schema.fields.push_back(schema.fields[size_t(column)]);
    }
    arrow_schema_ = file_schema.ToArrow();
  }

  ~ParquetSink() override { AbandonAll(); }

  Status Open() override { return folder_.Open(OutputFolder::Leftovers::kRemove); }

  Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) override {
    ARROW_RETURN_NOT_OK(failure_);
    return Settle(WriteRuns(rows, rejected));
  }

  Status Flush(bool close_files) override {
    ARROW_RETURN_NOT_OK(failure_);
    return Settle(close_files ? CloseAll() : CloseOld());
  }

  SinkStats stats() const override { return stats_; }
  std::string description() const override { return "parquet files under " + folder_.path(); }

 private:
  using FileList = std::list<OpenFile>;

  // After a failure nothing is left open, and every further call says the same.
  Status Settle(const Status& status) {
    if (status.ok()) return status;
    failure_ = FileWriteError(status, folder_.path());
    AbandonAll();
    return failure_;
  }

  void AbandonAll() {
    for (OpenFile& file : files_) folder_.Abandon(&file.aside);
    files_.clear();
    by_partition_.clear();
    pending_bytes_ = 0;
  }

  Status WriteRuns(const Rows& rows, std::vector<DeadLetter>* rejected) {
    const int64_t count = rows.size();
    for (int64_t begin = 0; begin < count;) {
      if (!partitions_.Build(*rows.batch, begin, &partition_)) {
        ARROW_RETURN_NOT_OK(Reject(rows, begin, rejected));
        ++begin;
        continue;
      }
      int64_t end = begin + 1;
      const int64_t last = std::min(count, begin + kRowGroupRowsMax);
      while (end < last && partitions_.Build(*rows.batch, end, &next_partition_) &&
             next_partition_ == partition_) {
        ++end;
      }
      ARROW_ASSIGN_OR_RAISE(const auto file, FileOf(partition_));
      ARROW_RETURN_NOT_OK(Append(*rows.batch, begin, end - begin, file));
      begin = end;
    }
    return CloseOld();
  }

  Status Reject(const Rows& rows, int64_t row, std::vector<DeadLetter>* rejected) {
    const std::string message = "a partition value is longer than a folder's name may be";
    if (rejected == nullptr) return UserError("partition_value_too_long", message);
    DeadLetter letter;
    letter.reason = "partition_value_too_long";
    letter.message = message;
    JsonRowEncoder encoder(schema_);
    std::vector<size_t> ends;
    ARROW_RETURN_NOT_OK(encoder.Encode(*rows.batch->Slice(row, 1), &letter.value, &ends));
    if (rows.origins != nullptr) {
      letter.source = rows.origins->source;
      letter.offset = rows.origins->offsets[size_t(row)];
    }
    rejected->push_back(std::move(letter));
    return Status::OK();
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
    file.opened = folder_.options().clock->Monotonic();
    ARROW_ASSIGN_OR_RAISE(file.aside, folder_.Begin());
    files_.push_front(std::move(file));
    by_partition_[partition] = files_.begin();
    OpenFile& opened = files_.front();
    parquet::WriterProperties::Builder properties;
    properties.compression(parquet::Compression::SNAPPY);
    parquet::ArrowWriterProperties::Builder arrow_properties;
    arrow_properties.store_schema();
    ARROW_ASSIGN_OR_RAISE(opened.writer,
                          parquet::arrow::FileWriter::Open(
                              *arrow_schema_, arrow::default_memory_pool(), opened.aside.stream,
                              properties.build(), arrow_properties.build()));
    for (const auto& field : arrow_schema_->fields()) {
      std::unique_ptr<arrow::ArrayBuilder> builder;
      ARROW_RETURN_NOT_OK(
          arrow::MakeBuilder(arrow::default_memory_pool(), field->type(), &builder));
      opened.builders.push_back(std::move(builder));
    }
    return files_.begin();
  }

  Status Append(const arrow::RecordBatch& batch, int64_t begin, int64_t count,
                FileList::iterator file) {
    // A long run of wide rows is cut, so that no row group outgrows its bound by much.
    const int64_t step = 1024;
    for (int64_t at = begin; at < begin + count; at += step) {
      const int64_t part = std::min(step, begin + count - at);
      int64_t bytes = 0;
      for (size_t i = 0; i < file->builders.size(); ++i) {
        const arrow::Array& column = *batch.column(partitions_.file_columns()[i]);
        bytes += BytesOf(column, at, part);
        ARROW_RETURN_NOT_OK(
            file->builders[i]->AppendArraySlice(arrow::ArraySpan(*column.data()), at, part));
      }
      file->pending_rows += part;
      file->pending_bytes += bytes;
      pending_bytes_ += bytes;
      stats_.rows_written += part;
      const int64_t limit = std::min(kRowGroupBytesMax, spec_.roll_bytes);
      if (file->pending_rows >= kRowGroupRowsMax || file->pending_bytes >= limit) {
        ARROW_RETURN_NOT_OK(WriteRowGroup(&*file));
        ARROW_ASSIGN_OR_RAISE(const int64_t size, file->aside.stream->Tell());
        if (size >= spec_.roll_bytes) {
          const std::string partition = file->partition;
          ARROW_RETURN_NOT_OK(Close(file));
          if (at + part < begin + count) {
            ARROW_ASSIGN_OR_RAISE(file, FileOf(partition));
          }
        }
      }
      if (pending_bytes_ > kPendingBytesMax) ARROW_RETURN_NOT_OK(WriteLargestRowGroup());
    }
    return Status::OK();
  }

  Status WriteLargestRowGroup() {
    OpenFile* largest = &files_.front();
    for (OpenFile& file : files_) {
      if (file.pending_bytes > largest->pending_bytes) largest = &file;
    }
    return WriteRowGroup(largest);
  }

  Status WriteRowGroup(OpenFile* file) {
    if (file->pending_rows == 0) return Status::OK();
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (auto& builder : file->builders) {
      ARROW_ASSIGN_OR_RAISE(auto column, builder->Finish());
      columns.push_back(std::move(column));
    }
    const auto table = arrow::Table::Make(arrow_schema_, columns, file->pending_rows);
    const int64_t rows = file->pending_rows;
    pending_bytes_ -= file->pending_bytes;
    file->pending_rows = 0;
    file->pending_bytes = 0;
    return file->writer->WriteTable(*table, rows);
  }

  Status Close(FileList::iterator file) {
    OpenFile closing = std::move(*file);
    by_partition_.erase(closing.partition);
    files_.erase(file);
    auto finish = [&]() -> Status {
      ARROW_RETURN_NOT_OK(WriteRowGroup(&closing));
      ARROW_RETURN_NOT_OK(closing.writer->Close());
      ARROW_ASSIGN_OR_RAISE(const int64_t size, closing.aside.stream->Tell());
      stats_.bytes_written += size;
      return Status::OK();
    };
    if (const Status status = finish(); !status.ok()) {
      folder_.Abandon(&closing.aside);
      return status;
    }
    return folder_.Finish(&closing.aside, closing.partition);
  }

  Status CloseAll() {
    while (!files_.empty()) ARROW_RETURN_NOT_OK(Close(std::prev(files_.end())));
    return Status::OK();
  }

  Status CloseOld() {
    const MonotonicTime now = folder_.options().clock->Monotonic();
    for (auto file = files_.begin(); file != files_.end();) {
      const auto next = std::next(file);
      if (now - file->opened >= spec_.roll_interval) ARROW_RETURN_NOT_OK(Close(file));
      file = next;
    }
    return Status::OK();
  }

  const ParquetSinkSpec spec_;
  const Schema schema_;
  PartitionPath partitions_;
  OutputFolder folder_;
  std::shared_ptr<arrow::Schema> arrow_schema_;  // of the files
  FileList files_;                               // most recently written first
  std::unordered_map<std::string, FileList::iterator> by_partition_;
  int64_t pending_bytes_ = 0;
  std::string partition_;
  std::string next_partition_;
  SinkStats stats_;
  Status failure_;
};

}  // namespace

Result<std::unique_ptr<SinkWriter>> MakeParquetSink(const ParquetSinkSpec& spec,
                                                    const Schema& schema, int time_column,
                                                    FileSinkOptions options) {
  ARROW_ASSIGN_OR_RAISE(auto partitions,
                        PartitionPath::Make(schema, spec.partition_by, time_column));
  return std::make_unique<ParquetSink>(spec, schema, std::move(partitions), std::move(options));
}

}  // namespace millrace
