#include "engine/connectors/message/csv_decoder.h"

#include <algorithm>

#include "engine/base/utf8.h"
#include "engine/model/number.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

constexpr int64_t kRowsReservedMin = 256;

}  // namespace

CsvDecoder::CsvDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns)
    : cells_(spec.csv.fields.size()), null_text_(spec.csv.null_text) {
  Schema schema;
  for (const int used : used_columns) {
    const SourceColumn& source = spec.columns[size_t(used)];
    if (spec.event_time.has_value() && spec.event_time->column == source.field.name) {
      event_time_ = int(columns_.size());
    }
    const auto found = std::ranges::find(spec.csv.fields, source.from);
    columns_.push_back({source, size_t(found - spec.csv.fields.begin())});
    schema.fields.push_back(source.field);
  }
  batch_ = BatchWriter(schema);
}

bool CsvDecoder::Append(const std::vector<std::string_view>& cells, JsonFailure* failure) {
  if (cells.size() != cells_) {
    *failure = {"malformed", "expected " + std::to_string(cells_) + " cells, found " +
                                 std::to_string(cells.size())};
    return false;
  }
  if (const Status reserved = batch_.ReserveNext(kRowsReservedMin); !reserved.ok()) {
    *failure = {"too_large", reserved.message()};
    return false;
  }
  if (WriteRow(cells, failure)) {
    batch_.KeepRow();
    return true;
  }
  batch_.Rewind();
  return false;
}

bool CsvDecoder::WriteRow(const std::vector<std::string_view>& cells, JsonFailure* failure) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const Field& field = column.source.field;
    const std::string_view cell = cells[column.cell];
    const bool is_event_time = int(i) == event_time_;
    if (cell.empty() || cell == null_text_) {
      if (is_event_time) {
        *failure = {"missing_event_time", "column " + field.name + " is null"};
        return false;
      }
      batch_.columns()[i].SetNull(batch_.rows());
      continue;
    }
    switch (Write(column, cell, &batch_.columns()[i])) {
      case Outcome::kWritten:
        break;
      case Outcome::kMismatch:
        *failure = {is_event_time ? "missing_event_time" : "type_mismatch",
                    CellMismatch(field, cell)};
        return false;
      case Outcome::kNoRoom:
        *failure = {"too_large", "the batch has no room for the line's text"};
        return false;
    }
  }
  return true;
}

CsvDecoder::Outcome CsvDecoder::Write(const Column& column, std::string_view cell,
                                      ColumnWriter* writer) {
  const int64_t row = batch_.rows();
  int64_t wide = 0;
  switch (column.source.field.type) {
    case Type::kBoolean: {
      bool value = false;
      if (!CellToBoolean(cell, &value)) return Outcome::kMismatch;
      writer->SetBoolean(row, value);
      return Outcome::kWritten;
    }
    case Type::kInteger: {
      int32_t value = 0;
      if (!CellToInteger(cell, &value)) return Outcome::kMismatch;
      writer->SetInteger(row, value);
      return Outcome::kWritten;
    }
    case Type::kBigint:
      if (!CellToBigint(cell, &wide)) return Outcome::kMismatch;
      writer->SetInt64(row, wide);
      return Outcome::kWritten;
    case Type::kTimestamp:
      if (!CellToTimestamp(cell, column.source.timestamp_unit, &wide)) return Outcome::kMismatch;
      writer->SetInt64(row, wide);
      return Outcome::kWritten;
    case Type::kDouble: {
      double value = 0;
      if (!ParseDouble(cell, &value)) return Outcome::kMismatch;
      writer->SetDouble(row, value);
      return Outcome::kWritten;
    }
    case Type::kReal: {
      float value = 0;
      if (!ParseReal(cell, &value)) return Outcome::kMismatch;
      writer->SetReal(row, value);
      return Outcome::kWritten;
    }
    case Type::kDate: {
      int32_t days = 0;
      if (!ParseDate(cell, &days)) return Outcome::kMismatch;
      writer->SetInteger(row, days);
      return Outcome::kWritten;
    }
    case Type::kText:
      if (!IsUtf8(cell)) return Outcome::kMismatch;
      return writer->SetText(row, cell) ? Outcome::kWritten : Outcome::kNoRoom;
    case Type::kJson:
      if (json_.Check(cell) != nullptr) return Outcome::kMismatch;
      return writer->SetText(row, cell) ? Outcome::kWritten : Outcome::kNoRoom;
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  return Outcome::kMismatch;
}

}  // namespace millrace
