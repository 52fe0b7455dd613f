#include "engine/operators/cell_text.h"

#include <charconv>
#include <cmath>

#include "engine/base/time.h"
#include "engine/operators/value_text.h"

namespace millrace {
namespace {

template <typename T>
void AppendInteger(T value, std::string* out) {
  char text[24];
  const auto written = std::to_chars(text, text + sizeof(text), value);
  out->append(text, written.ptr);
}

template <typename ArrayType>
auto ValueAt(const arrow::Array& column, int64_t row) {
  return static_cast<const ArrayType&>(column).GetView(row);
}

std::string TimestampText(const arrow::Array& column, int64_t row) {
  return FormatTimestamp(EventTime(Micros(ValueAt<arrow::TimestampArray>(column, row))));
}

}  // namespace

void AppendCellText(const arrow::Array& column, int64_t row, std::string* out) {
  if (column.IsNull(row)) {
    out->append("null");
    return;
  }
  switch (column.type_id()) {
    case arrow::Type::BOOL:
      out->append(ValueAt<arrow::BooleanArray>(column, row) ? "true" : "false");
      return;
    case arrow::Type::INT32:
      return AppendInteger(ValueAt<arrow::Int32Array>(column, row), out);
    case arrow::Type::INT64:
      return AppendInteger(ValueAt<arrow::Int64Array>(column, row), out);
    case arrow::Type::DOUBLE: {
      char text[kValueTextBytesMax];
      out->append(text, WriteDouble(ValueAt<arrow::DoubleArray>(column, row), text));
      return;
    }
    case arrow::Type::FLOAT: {
      char text[kValueTextBytesMax];
      out->append(text, WriteReal(ValueAt<arrow::FloatArray>(column, row), text));
      return;
    }
    case arrow::Type::DATE32: {
      char text[kValueTextBytesMax];
      out->append(text, WriteDate(ValueAt<arrow::Date32Array>(column, row), text));
      return;
    }
    case arrow::Type::STRING:
      out->append(ValueAt<arrow::StringArray>(column, row));
      return;
    case arrow::Type::TIMESTAMP:
      out->append(TimestampText(column, row));
      return;
    default:
      out->append("null");
  }
}

void AppendCellJson(const arrow::Array& column, int64_t row, std::string* out) {
  if (!column.IsNull(row)) {
    if (column.type_id() == arrow::Type::STRING) {
      return AppendJsonString(ValueAt<arrow::StringArray>(column, row), out);
    }
    if (column.type_id() == arrow::Type::TIMESTAMP) {
      return AppendJsonString(TimestampText(column, row), out);
    }
    if (column.type_id() == arrow::Type::DATE32) {
      out->push_back('"');
      AppendCellText(column, row, out);
      out->push_back('"');
      return;
    }
    const bool is_finite = column.type_id() == arrow::Type::DOUBLE
                               ? std::isfinite(ValueAt<arrow::DoubleArray>(column, row))
                               : column.type_id() != arrow::Type::FLOAT ||
                                     std::isfinite(ValueAt<arrow::FloatArray>(column, row));
    if (!is_finite) {
      out->append("null");
      return;
    }
  }
  AppendCellText(column, row, out);
}

void AppendJsonString(std::string_view text, std::string* out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      case '\b':
        out->append("\\b");
        break;
      case '\f':
        out->append("\\f");
        break;
      default:
        if (uint8_t(c) < 0x20) {
          out->append("\\u00");
          out->push_back(kHex[uint8_t(c) >> 4]);
          out->push_back(kHex[uint8_t(c) & 15]);
        } else {
          out->push_back(c);
        }
    }
  }
  out->push_back('"');
}

}  // namespace millrace
