#include "engine/connectors/files/file_reader.h"

#include <mutex>
#include <unordered_map>

namespace millrace {
namespace {

// Rows written again when they are asked for, which few are.
class WrittenAgain final : public OriginalRecords {
 public:
  WrittenAgain(std::function<void(int64_t, std::string*)> write_again, std::vector<int64_t> rows)
      : write_again_(std::move(write_again)), rows_(std::move(rows)) {}

  std::string_view ValueOfRow(int64_t row) const override {
    std::lock_guard lock(mutex_);
    const auto [entry, is_new] = written_.try_emplace(row);
    if (is_new) write_again_(rows_.empty() ? row : rows_[size_t(row)], &entry->second);
    return entry->second;
  }
  std::string_view KeyOfRow(int64_t) const override { return {}; }

 private:
  const std::function<void(int64_t, std::string*)> write_again_;
  const std::vector<int64_t> rows_;  // of the chunk, by row of the batch; empty: the same
  mutable std::mutex mutex_;
  mutable std::unordered_map<int64_t, std::string> written_;  // by mutex_; values do not move
};

}  // namespace

FileColumns FileColumnsOf(const SourceStreamSpec& spec, const std::vector<int>& used_columns) {
  FileColumns columns;
  columns.csv = spec.csv;
  Schema schema;
  for (const int index : used_columns) {
    const SourceColumn& column = spec.columns[size_t(index)];
    if (spec.event_time && spec.event_time->column == column.field.name) {
      columns.event_time = int(columns.columns.size());
    }
    columns.columns.push_back(column);
    schema.fields.push_back(column.field);
  }
  columns.schema = schema.ToArrow();
  return columns;
}

Result<std::unique_ptr<FileReader>> OpenSourceFile(const SourceStreamSpec& spec,
                                                   const std::vector<int>& used_columns,
                                                   const FileColumns& columns,
                                                   const std::string& path, int32_t block_bytes,
                                                   arrow::fs::FileSystem* filesystem) {
  switch (spec.format) {
    case Format::kCsv:
      // Arrow knows no cell that is the rest of its line.
      if (spec.csv.rest) return OpenLinesFile(spec, used_columns, path, filesystem);
      return OpenCsvFile(columns, path, block_bytes, filesystem);
    case Format::kParquet:
      return OpenParquetFile(columns, path, filesystem);
    case Format::kJson:
    case Format::kSenml:
      return OpenLinesFile(spec, used_columns, path, filesystem);
  }
  return InternalError("bad_format", "no such format");
}

Status BadFile(const std::string& path, const std::string& message) {
  return UserError("bad_file", path + ": " + message);
}

Result<SourceBatch> ToSourceBatch(DecodedChunk chunk, const std::string& path) {
  SourceBatch made;
  made.partition = {path, 0};
  auto origins = std::make_shared<Origins>();
  origins->source = made.partition;
  std::vector<int64_t> kept;
  if (chunk.refused.empty()) {
    made.rows.batch = chunk.batch;
    origins->offsets = std::move(chunk.offsets);
  } else {
    arrow::RecordBatchVector runs;
    int64_t begin = 0;
    auto keep_until = [&](int64_t end) {
      if (end > begin) runs.push_back(chunk.batch->Slice(begin, end - begin));
      for (int64_t row = begin; row < end; ++row) {
        kept.push_back(row);
        origins->offsets.push_back(chunk.offsets[size_t(row)]);
      }
      begin = end + 1;
    };
    for (auto& [row, record] : chunk.refused) {
      keep_until(row);
      record.offset = chunk.offsets[size_t(row)];
      chunk.write_again(row, &record.value);
      made.rejected.push_back(std::move(record));
    }
    keep_until(chunk.batch->num_rows());
    if (runs.empty()) {
      made.rows.batch = chunk.batch->Slice(0, 0);
    } else {
      ARROW_ASSIGN_OR_RAISE(made.rows.batch, arrow::ConcatenateRecordBatches(runs));
    }
  }
  made.record_timestamps.assign(size_t(made.rows.size()), INT64_MIN);
  made.rows.origins = std::move(origins);
  made.originals = std::make_shared<WrittenAgain>(std::move(chunk.write_again), std::move(kept));
  return made;
}

}  // namespace millrace
