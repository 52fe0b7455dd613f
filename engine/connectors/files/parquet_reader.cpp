#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <cmath>
#include <map>
#include <set>

#include "engine/base/diagnostics.h"
#include "engine/base/utf8.h"
#include "engine/connectors/files/file_reader.h"
#include "engine/connectors/json/row_encoder.h"
#include "engine/connectors/message/csv_cells.h"
#include "engine/json/json_text.h"
#include "engine/model/timestamp.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

constexpr int64_t kBatchRows = 4096;

bool IsEpoch(const arrow::DataType& type, const SourceColumn& column) {
  return arrow::is_integer(type.id()) && column.timestamp_unit != TimestampUnit::kIso8601;
}

// What a column's values are: pandas' categories are numbers that stand for them.
const arrow::DataType& ValueType(const arrow::DataType& type) {
  if (type.id() != arrow::Type::DICTIONARY) return type;
  return *static_cast<const arrow::DictionaryType&>(type).value_type();
}

// Whether values of `type` may be a column of the declared type at all.
bool CanBe(const arrow::DataType& type, const SourceColumn& column) {
  const bool number = arrow::is_integer(type.id()) || arrow::is_floating(type.id());
  switch (column.field.type) {
    case Type::kBoolean:
      return type.id() == arrow::Type::BOOL;
    case Type::kInteger:
    case Type::kBigint:
    case Type::kReal:
    case Type::kDouble:
      return number;
    case Type::kDate:
      return type.id() == arrow::Type::DATE32;
    case Type::kText:
    case Type::kJson:
      return arrow::is_string(type.id());
    case Type::kTimestamp:
      return type.id() == arrow::Type::TIMESTAMP || IsEpoch(type, column);
    case Type::kNull:
    case Type::kInterval:
      return false;
  }
  return false;
}

arrow::TimeUnit::type UnitOf(TimestampUnit unit) {
  switch (unit) {
    case TimestampUnit::kSeconds:
      return arrow::TimeUnit::SECOND;
    case TimestampUnit::kMillis:
      return arrow::TimeUnit::MILLI;
    case TimestampUnit::kMicros:
      return arrow::TimeUnit::MICRO;
    case TimestampUnit::kNanos:
    case TimestampUnit::kIso8601:
      break;
  }
  return arrow::TimeUnit::NANO;
}

class ParquetReader final : public FileReader {
 public:
  ParquetReader(FileColumns columns, std::string path)
      : columns_(std::move(columns)), path_(std::move(path)) {}

  Status Open(arrow::fs::FileSystem* filesystem) {
    static const Status initialized = arrow::compute::Initialize();
    ARROW_RETURN_NOT_OK(initialized);
    ARROW_ASSIGN_OR_RAISE(auto input, filesystem->OpenInputFile(path_));
    parquet::ReaderProperties properties;
    properties.enable_buffered_stream();
    parquet::ArrowReaderProperties arrow_properties;
    arrow_properties.set_batch_size(kBatchRows);
    arrow_properties.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(Told(builder.Open(input, properties)));
    ARROW_RETURN_NOT_OK(Told(builder.properties(arrow_properties)->Build(&file_)));
    ARROW_ASSIGN_OR_RAISE(const std::vector<int> leaves, FindColumns());
    std::vector<int> groups(size_t(file_->num_row_groups()));
    for (size_t i = 0; i < groups.size(); ++i) groups[i] = int(i);
    auto batches = file_->GetRecordBatchReader(groups, leaves);
    if (!batches.ok()) return Told(batches.status());
    batches_ = std::move(*batches);
    for (const SourceColumn& column : columns_.columns) {
      indexes_.push_back(batches_->schema()->GetFieldIndex(column.from));
    }
    return CheckTypes();
  }

  Result<std::optional<SourceBatch>> Next(int64_t rows_max) override {
    while (block_ == nullptr || position_ >= block_->num_rows()) {
      position_ = 0;
      ARROW_RETURN_NOT_OK(Told(batches_->ReadNext(&block_)));
      if (block_ == nullptr) return std::nullopt;
    }
    const int64_t count = std::min(rows_max, block_->num_rows() - position_);
    DecodedChunk chunk;
    ARROW_RETURN_NOT_OK(Decode(*block_->Slice(position_, count), &chunk));
    position_ += count;
    next_offset_ += count;
    int64_t bytes = 0;
    for (const auto& column : chunk.batch->columns()) {
      for (const auto& buffer : column->data()->buffers) bytes += buffer ? buffer->size() : 0;
    }
    ARROW_ASSIGN_OR_RAISE(SourceBatch batch, ToSourceBatch(std::move(chunk), path_));
    batch.next_offset = next_offset_;
    batch.bytes = bytes;
    return batch;
  }

 private:
  Status Told(const Status& status) const {
    return status.ok() ? status : BadFile(path_, status.message());
  }

  // Leaf numbers of the used columns, ascending.
  Result<std::vector<int>> FindColumns() {
    const auto* schema = file_->parquet_reader()->metadata()->schema();
    std::vector<std::string> names;
    names.reserve(size_t(schema->num_columns()));
    for (int i = 0; i < schema->num_columns(); ++i) {
      names.push_back(schema->Column(i)->path()->ToDotString());
    }
    std::set<int> leaves;
    for (const SourceColumn& column : columns_.columns) {
      const auto found = std::find(names.begin(), names.end(), column.from);
      if (found == names.end() ||
          schema->Column(int(found - names.begin()))->max_repetition_level() > 0) {
        const std::string hint = SuggestName(column.from, names);
        return BadFile(path_, "the file has no plain column '" + column.from + "' (for " +
                                  column.field.name + ")" + (hint.empty() ? "" : "; " + hint));
      }
      leaves.insert(int(found - names.begin()));
    }
    return std::vector<int>(leaves.begin(), leaves.end());
  }

  Status CheckTypes() {
    for (size_t i = 0; i < columns_.columns.size(); ++i) {
      const SourceColumn& column = columns_.columns[i];
      if (indexes_[i] < 0) {
        return BadFile(path_,
                       "column '" + column.from + "' is nested; only plain columns are read");
      }
      const auto& type = *batches_->schema()->field(indexes_[i])->type();
      if (!CanBe(ValueType(type), column)) {
        return BadFile(path_, "column '" + column.from + "' is " + type.ToString() +
                                  ", which is no " + std::string(TypeName(column.field.type)) +
                                  " (for " + column.field.name + ")");
      }
    }
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::Array>> Cast(std::shared_ptr<arrow::Array> array,
                                             const SourceColumn& column) {
    if (array->type_id() == arrow::Type::DICTIONARY) {
      const auto& type = static_cast<const arrow::DictionaryType&>(*array->type());
      ARROW_ASSIGN_OR_RAISE(array, arrow::compute::Cast(*array, type.value_type()));
    }
    if (column.field.type == Type::kTimestamp && IsEpoch(*array->type(), column)) {
      ARROW_ASSIGN_OR_RAISE(array, arrow::compute::Cast(*array, arrow::int64()));
      const auto epoch = arrow::timestamp(UnitOf(column.timestamp_unit), "UTC");
      ARROW_ASSIGN_OR_RAISE(array, arrow::compute::Cast(*array, epoch));
    }
    return arrow::compute::Cast(*array, ArrowType(column.field.type));
  }

  Status Decode(const arrow::RecordBatch& raw, DecodedChunk* chunk) {
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (size_t i = 0; i < columns_.columns.size(); ++i) {
      const SourceColumn& column = columns_.columns[i];
      auto cast = Cast(raw.column(indexes_[i]), column);
      if (!cast.ok()) {
        return BadFile(path_, "column '" + column.from + "', rows from " +
                                  std::to_string(next_offset_) + ": not all values are " +
                                  std::string(TypeName(column.field.type)) +
                                  " without loss: " + cast.status().message());
      }
      arrays.push_back(std::move(*cast));
    }
    chunk->batch = arrow::RecordBatch::Make(columns_.schema, raw.num_rows(), std::move(arrays));
    for (int64_t row = 0; row < raw.num_rows(); ++row) chunk->offsets.push_back(next_offset_ + row);
    RefuseRows(raw, *chunk->batch, chunk);
    Schema schema;
    for (const auto& column : columns_.columns) schema.fields.push_back(column.field);
    chunk->write_again = [schema, batch = chunk->batch](int64_t row, std::string* text) {
      std::vector<size_t> ends;
      JsonRowEncoder(schema).Encode(*batch->Slice(row, 1), text, &ends).Warn();
    };
    return Status::OK();
  }

  // Values that the casts let through: any bytes as text, doubles beyond float, any days as a date.
  void RefuseRows(const arrow::RecordBatch& raw, const arrow::RecordBatch& batch,
                  DecodedChunk* chunk) {
    std::map<int64_t, RejectedRecord> refused;
    const auto refuse = [&](int64_t row, std::string message) {
      const auto [entry, is_new] = refused.try_emplace(row);
      if (!is_new) return;
      entry->second.reason = "type_mismatch";
      entry->second.message = std::move(message);
    };
    for (size_t i = 0; i < columns_.columns.size(); ++i) {
      const Field& field = columns_.columns[i].field;
      const arrow::Array& array = *batch.column(int(i));
      if (IsTextual(field.type)) {
        CheckTexts(static_cast<const arrow::StringArray&>(array), field, refuse);
      } else if (field.type == Type::kReal) {
        CheckReals(*raw.column(indexes_[i]), array, field, refuse);
      } else if (field.type == Type::kDate) {
        CheckDates(static_cast<const arrow::Date32Array&>(array), field, refuse);
      }
      if (int(i) != columns_.event_time || array.null_count() == 0) continue;
      for (int64_t row = 0; row < array.length(); ++row) {
        if (array.IsValid(row)) continue;
        RejectedRecord& record = refused[row];
        record.reason = "missing_event_time";
        record.message = "column " + field.name + " is null";
      }
    }
    for (auto& [row, record] : refused) chunk->refused.emplace_back(row, std::move(record));
  }

  template <typename Refuse>
  void CheckTexts(const arrow::StringArray& texts, const Field& field, const Refuse& refuse) {
    const bool is_json = field.type == Type::kJson;
    for (int64_t row = 0; row < texts.length(); ++row) {
      if (texts.IsNull(row)) continue;
      const std::string_view text = texts.GetView(row);
      const bool good = is_json ? json_.Check(text) == nullptr : IsUtf8(text);
      if (!good) refuse(row, CellMismatch(field, text));
    }
  }

  template <typename Refuse>
  static void CheckReals(const arrow::Array& raw, const arrow::Array& array, const Field& field,
                         const Refuse& refuse) {
    if (raw.type_id() != arrow::Type::DOUBLE) return;
    const auto& doubles = static_cast<const arrow::DoubleArray&>(raw);
    const auto& reals = static_cast<const arrow::FloatArray&>(array);
    for (int64_t row = 0; row < reals.length(); ++row) {
      if (!std::isinf(reals.Value(row)) || reals.IsNull(row)) continue;
      const double value = doubles.Value(row);
      if (!std::isinf(value)) {
        refuse(row, "column " + field.name + ": " + FormatLiteral(value, Type::kDouble) +
                        " is out of range for real");
      }
    }
  }

  template <typename Refuse>
  static void CheckDates(const arrow::Date32Array& dates, const Field& field,
                         const Refuse& refuse) {
    for (int64_t row = 0; row < dates.length(); ++row) {
      const int32_t days = dates.Value(row);
      if (dates.IsNull(row) || IsDay(days)) continue;
      refuse(row, "column " + field.name + ": date " + FormatDate(days) + " is out of range");
    }
  }

  const FileColumns columns_;
  const std::string path_;
  JsonText json_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<int> indexes_;  // of the used columns in a batch
  std::shared_ptr<arrow::RecordBatch> block_;
  int64_t position_ = 0;
  int64_t next_offset_ = 0;
};

}  // namespace

Result<std::unique_ptr<FileReader>> OpenParquetFile(const FileColumns& columns,
                                                    const std::string& path,
                                                    arrow::fs::FileSystem* filesystem) {
  auto reader = std::make_unique<ParquetReader>(columns, path);
  ARROW_RETURN_NOT_OK(reader->Open(filesystem));
  return reader;
}

}  // namespace millrace
