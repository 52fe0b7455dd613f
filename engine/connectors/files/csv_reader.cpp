#include <arrow/array.h>
#include <arrow/csv/api.h>
#include <arrow/io/interfaces.h>

#include <map>
#include <mutex>

#include "engine/base/diagnostics.h"
#include "engine/connectors/files/csv_encoder.h"
#include "engine/connectors/files/file_reader.h"
#include "engine/connectors/message/csv_cells.h"

namespace millrace {
namespace {

// Rows with a wrong number of cells, by row number; Arrow tells them while it parses.
struct MalformedRows {
  std::mutex mutex;
  std::map<int64_t, RejectedRecord> rows;  // by mutex
};

// Arrow splits the file into cells (quotes, line ends within them, a byte-order mark), all as
// binary; the cells of used columns are converted here.
class CsvReader final : public FileReader {
 public:
  CsvReader(FileColumns columns, std::string path)
      : columns_(std::move(columns)), path_(std::move(path)) {}

  Status Open(int32_t block_bytes, arrow::fs::FileSystem* filesystem) {
    auto read = arrow::csv::ReadOptions::Defaults();
    read.use_threads = false;  // row numbers are known only then
    read.block_size = block_bytes;
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.newlines_in_values = true;
    parse.delimiter = columns_.csv.delimiter;
    parse.quoting = columns_.csv.quote.has_value();
    parse.quote_char = columns_.csv.quote.value_or('"');
    // Rows are numbered from 0; Arrow counts the header as row 1.
    const int64_t first_row = columns_.csv.fields.empty() ? 2 : 1;
    read.column_names = columns_.csv.fields;
    parse.invalid_row_handler = [malformed = malformed_,
                                 first_row](const arrow::csv::InvalidRow& row) {
      std::lock_guard lock(malformed->mutex);
      RejectedRecord& record = malformed->rows[row.number - first_row];
      record.offset = row.number - first_row;
      record.reason = "malformed";
      record.message = "expected " + std::to_string(row.expected_columns) + " cells, found " +
                       std::to_string(row.actual_columns);
      record.value = std::string(row.text);
      return arrow::csv::InvalidRowResult::Skip;
    };
    auto convert = arrow::csv::ConvertOptions::Defaults();
    convert.default_column_type = arrow::binary();
    convert.strings_can_be_null = false;
    ARROW_ASSIGN_OR_RAISE(auto input, filesystem->OpenInputStream(path_));
    auto made = arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), input, read,
                                                  parse, convert);
    if (!made.ok()) return BadFile(path_, made.status().message());
    reader_ = std::move(*made);
    return FindColumns();
  }

  Result<std::optional<SourceBatch>> Next(int64_t rows_max) override {
    const int64_t bytes_before = bytes_;
    if (position_ >= Remaining()) ARROW_RETURN_NOT_OK(ReadBlock());
    std::vector<RejectedRecord> malformed;
    if (block_ == nullptr) {
      TakeMalformed(INT64_MAX, &malformed);
      if (malformed.empty()) return std::nullopt;
      SourceBatch batch;
      batch.partition = {path_, 0};
      batch.rows.batch = arrow::RecordBatch::MakeEmpty(columns_.schema).ValueOrDie();
      batch.rows.origins = std::make_shared<Origins>(Origins{batch.partition, {}, {}});
      batch.rejected = std::move(malformed);
      batch.next_offset = next_offset_;
      return batch;
    }
    const int64_t count = std::min(rows_max, block_->num_rows() - position_);
    DecodedChunk chunk;
    for (int64_t i = 0; i < count; ++i) {
      TakeMalformed(next_offset_, &malformed);
      chunk.offsets.push_back(next_offset_++);
    }
    ARROW_RETURN_NOT_OK(Decode(block_->Slice(position_, count), &chunk));
    position_ += count;
    ARROW_ASSIGN_OR_RAISE(SourceBatch batch, ToSourceBatch(std::move(chunk), path_));
    for (auto& record : malformed) batch.rejected.push_back(std::move(record));
    std::sort(batch.rejected.begin(), batch.rejected.end(),
              [](const auto& a, const auto& b) { return a.offset < b.offset; });
    batch.next_offset = next_offset_;
    batch.bytes = bytes_ - bytes_before;
    return batch;
  }

 private:
  int64_t Remaining() const { return block_ == nullptr ? 0 : block_->num_rows(); }

  Status FindColumns() {
    const std::vector<std::string> names = reader_->schema()->field_names();
    for (const SourceColumn& column : columns_.columns) {
      const auto found = std::find(names.begin(), names.end(), column.from);
      if (found == names.end()) {
        const std::string hint = SuggestName(column.from, names);
        return BadFile(path_, "the header has no column '" + column.from + "' (for " +
                                  column.field.name + ")" + (hint.empty() ? "" : "; " + hint));
      }
      if (std::find(found + 1, names.end(), column.from) != names.end()) {
        return BadFile(path_, "the header has the column '" + column.from + "' twice");
      }
      indexes_.push_back(int(found - names.begin()));
    }
    return Status::OK();
  }

  // The next block that has rows; null at the end.
  Status ReadBlock() {
    position_ = 0;
    do {
      const Status read = reader_->ReadNext(&block_);
      if (!read.ok()) {
        return BadFile(path_, "after row " + std::to_string(next_offset_) + ": " + read.message());
      }
    } while (block_ != nullptr && block_->num_rows() == 0);
    bytes_ = reader_->bytes_read();
    return Status::OK();
  }

  // The malformed rows that follow `next_offset_` directly, up to row `last`.
  void TakeMalformed(int64_t last, std::vector<RejectedRecord>* taken) {
    std::lock_guard lock(malformed_->mutex);
    auto& rows = malformed_->rows;
    while (!rows.empty() && (last == INT64_MAX || rows.begin()->first == next_offset_)) {
      taken->push_back(std::move(rows.begin()->second));
      next_offset_ = rows.begin()->first + 1;
      rows.erase(rows.begin());
    }
  }

  Status Decode(const std::shared_ptr<arrow::RecordBatch>& raw, DecodedChunk* chunk) {
    std::map<int64_t, RejectedRecord> refused;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (size_t i = 0; i < columns_.columns.size(); ++i) {
      const SourceColumn& column = columns_.columns[i];
      const bool is_event_time = int(i) == columns_.event_time;
      auto refuse = [&](int64_t row, std::string_view cell) {
        auto [entry, is_new] = refused.try_emplace(row);
        if (!is_new) return;
        entry->second.reason = is_event_time ? "missing_event_time" : "type_mismatch";
        entry->second.message = CellMismatch(column.field, cell);
      };
      const auto& cells = static_cast<const arrow::BinaryArray&>(*raw->column(indexes_[i]));
      ARROW_ASSIGN_OR_RAISE(auto array,
                            ConvertCells(cells, column, columns_.csv.null_text, refuse));
      for (int64_t row = 0; is_event_time && row < array->length(); ++row) {
        if (array->IsValid(row)) continue;
        auto [entry, is_new] = refused.try_emplace(row);
        if (!is_new) continue;
        entry->second.reason = "missing_event_time";
        entry->second.message = "column " + column.field.name + " is null";
      }
      arrays.push_back(std::move(array));
    }
    chunk->batch = arrow::RecordBatch::Make(columns_.schema, raw->num_rows(), std::move(arrays));
    for (auto& [row, record] : refused) chunk->refused.emplace_back(row, std::move(record));
    chunk->write_again = [raw, csv = columns_.csv](int64_t row, std::string* text) {
      for (int i = 0; i < raw->num_columns(); ++i) {
        if (i != 0) text->push_back(csv.delimiter);
        const auto cell = static_cast<const arrow::BinaryArray&>(*raw->column(i)).GetView(row);
        if (!csv.quote.has_value()) {
          text->append(cell);
        } else if (!cell.empty()) {
          AppendCsvCell(cell, text, csv.delimiter, *csv.quote);
        }
      }
    };
    return Status::OK();
  }

  const FileColumns columns_;
  const std::string path_;
  std::shared_ptr<MalformedRows> malformed_ = std::make_shared<MalformedRows>();
  std::shared_ptr<arrow::csv::StreamingReader> reader_;
  std::vector<int> indexes_;  // of the used columns in the file
  std::shared_ptr<arrow::RecordBatch> block_;
  int64_t position_ = 0;     // in block_
  int64_t next_offset_ = 0;  // row number
  int64_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<FileReader>> OpenCsvFile(const FileColumns& columns, const std::string& path,
                                                int32_t block_bytes,
                                                arrow::fs::FileSystem* filesystem) {
  auto reader = std::make_unique<CsvReader>(columns, path);
  ARROW_RETURN_NOT_OK(reader->Open(block_bytes, filesystem));
  return reader;
}

}  // namespace millrace
