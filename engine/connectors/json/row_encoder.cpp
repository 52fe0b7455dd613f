#include "engine/connectors/json/row_encoder.h"

#include <arrow/array.h>

#include <charconv>
#include <cmath>
#include <numeric>

#include "engine/base/time.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

std::vector<int> AllColumns(const Schema& schema) {
  std::vector<int> columns(schema.fields.size());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

template <typename Integer>
void AppendInteger(Integer value, std::string* buffer) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  buffer->append(digits, end);
}

// A float or a double.
template <typename T>
void AppendFinite(T value, std::string* buffer) {
  const T magnitude = std::fabs(value);
  const bool plain = magnitude == 0 || (magnitude >= T(1e-5) && magnitude < T(1e15));
  char digits[40];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof(digits), value,
                    plain ? std::chars_format::fixed : std::chars_format::scientific);
  buffer->append(digits, end);
}

void PutDigits(uint32_t value, int count, char* at) {
  for (int i = count - 1; i >= 0; --i) {
    at[i] = char('0' + value % 10);
    value /= 10;
  }
}

// As FormatTimestamp, without an allocation.
void AppendTimestamp(EventTime time, std::string* buffer) {
  using namespace std::chrono;
  if (time < kCalendarFirst || time >= kCalendarEnd) {
    buffer->push_back('"');
    AppendInteger(time.time_since_epoch().count(), buffer);
    buffer->push_back('"');
    return;
  }
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const int64_t micros = (time - day).count();
  const auto seconds = uint32_t(micros / 1'000'000);
  char text[] = "\"0000-00-00T00:00:00.000000Z\"";
  PutDigits(uint32_t(int(date.year())), 4, text + 1);
  PutDigits(unsigned(date.month()), 2, text + 6);
  PutDigits(unsigned(date.day()), 2, text + 9);
  PutDigits(seconds / 3600, 2, text + 12);
  PutDigits(seconds / 60 % 60, 2, text + 15);
  PutDigits(seconds % 60, 2, text + 18);
  PutDigits(uint32_t(micros % 1'000'000), 6, text + 21);
  buffer->append(text, sizeof(text) - 1);
}

bool NeedsEscape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void AppendEscaped(char c, std::string* buffer) {
  switch (c) {
    case '"':
      buffer->append("\\\"");
      return;
    case '\\':
      buffer->append("\\\\");
      return;
    case '\n':
      buffer->append("\\n");
      return;
    case '\r':
      buffer->append("\\r");
      return;
    case '\t':
      buffer->append("\\t");
      return;
    default:
      constexpr char kHex[] = "0123456789abcdef";
      buffer->append("\\u00");
      buffer->push_back(kHex[(c >> 4) & 0xF]);
      buffer->push_back(kHex[c & 0xF]);
  }
}

}  // namespace

void AppendJsonText(std::string_view text, std::string* buffer) {
  buffer->push_back('"');
  size_t done = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!NeedsEscape(text[i])) continue;
    buffer->append(text, done, i - done);
    AppendEscaped(text[i], buffer);
    done = i + 1;
  }
  buffer->append(text, done);
  buffer->push_back('"');
}

JsonRowEncoder::JsonRowEncoder(const Schema& schema) : JsonRowEncoder(schema, AllColumns(schema)) {}

JsonRowEncoder::JsonRowEncoder(const Schema& schema, std::vector<int> columns)
    : columns_(std::move(columns)) {
  for (const int column : columns_) {
    fields_.push_back(schema.fields[size_t(column)]);
    std::string literal = key_literals_.empty() ? "{" : ",";
    AppendJsonText(fields_.back().name, &literal);
    literal += ":";
    key_literals_.push_back(std::move(literal));
  }
}

void JsonRowEncoder::EncodeValue(const arrow::Array& column, const Field& field, int64_t row,
                                 std::string* buffer) {
  if (column.IsNull(row)) {
    buffer->append("null");
    return;
  }
  switch (field.type) {
    case Type::kNull:
    case Type::kInterval:
      buffer->append("null");
      return;
    case Type::kBoolean:
      buffer->append(static_cast<const arrow::BooleanArray&>(column).Value(row) ? "true" : "false");
      return;
    case Type::kInteger:
      AppendInteger(static_cast<const arrow::Int32Array&>(column).Value(row), buffer);
      return;
    case Type::kBigint:
      AppendInteger(static_cast<const arrow::Int64Array&>(column).Value(row), buffer);
      return;
    case Type::kDouble: {
      const double value = static_cast<const arrow::DoubleArray&>(column).Value(row);
      if (std::isfinite(value)) return AppendFinite(value, buffer);
      ++non_finite_values_;
      buffer->append("null");
      return;
    }
    case Type::kReal: {
      const float value = static_cast<const arrow::FloatArray&>(column).Value(row);
      if (std::isfinite(value)) return AppendFinite(value, buffer);
      ++non_finite_values_;
      buffer->append("null");
      return;
    }
    case Type::kDate:
      return AppendJsonText(FormatDate(static_cast<const arrow::Date32Array&>(column).Value(row)),
                            buffer);
    case Type::kJson:
    case Type::kText: {
      const std::string_view text = static_cast<const arrow::StringArray&>(column).GetView(row);
      if (!field.is_json && field.type == Type::kText) return AppendJsonText(text, buffer);
      buffer->append(text.empty() ? "null" : text);
      return;
    }
    case Type::kTimestamp:
      AppendTimestamp(
          EventTime(Micros(static_cast<const arrow::TimestampArray&>(column).Value(row))), buffer);
      return;
  }
}

Status JsonRowEncoder::Encode(const arrow::RecordBatch& batch, std::string* buffer,
                              std::vector<size_t>* ends) {
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i] >= batch.num_columns() ||
        !batch.column(columns_[i])->type()->Equals(*ArrowType(fields_[i].type))) {
      return InternalError("schema_mismatch", "column " + std::to_string(columns_[i]) +
                                                  " of a batch is not the encoder's '" +
                                                  fields_[i].name + "'");
    }
    arrays.push_back(batch.column(columns_[i]));
  }
  ends->reserve(ends->size() + size_t(batch.num_rows()));
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    if (columns_.empty()) buffer->push_back('{');
    for (size_t i = 0; i < columns_.size(); ++i) {
      buffer->append(key_literals_[i]);
      EncodeValue(*arrays[i], fields_[i], row, buffer);
    }
    buffer->push_back('}');
    ends->push_back(buffer->size());
  }
  return Status::OK();
}

}  // namespace millrace
