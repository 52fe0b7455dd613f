#include "engine/connectors/message/csv_cells.h"

#include <arrow/builder.h>

#include <cmath>

#include "engine/base/utf8.h"
#include "engine/model/number.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

constexpr int64_t kYear1 = -62'135'596'800'000'000;      // 0001-01-01
constexpr int64_t kYear10000 = 253'402'300'800'000'000;  // 10000-01-01

bool EqualsIgnoringCase(std::string_view cell, std::string_view lower) {
  return cell.size() == lower.size() &&
         std::equal(cell.begin(), cell.end(), lower.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

constexpr size_t kCellShownMax = 60;

}  // namespace

bool CellToBoolean(std::string_view cell, bool* value) {
  *value = EqualsIgnoringCase(cell, "true") || EqualsIgnoringCase(cell, "t") || cell == "1";
  return *value || EqualsIgnoringCase(cell, "false") || EqualsIgnoringCase(cell, "f") ||
         cell == "0";
}

bool CellToBigint(std::string_view cell, int64_t* value) {
  if (ParseInt64(cell, value)) return true;
  double number;
  if (!ParseDouble(cell, &number) || std::fabs(number) > 9007199254740992.0 ||
      number != std::trunc(number)) {
    return false;
  }
  *value = int64_t(number);
  return true;
}

bool CellToInteger(std::string_view cell, int32_t* value) {
  int64_t wide;
  if (!CellToBigint(cell, &wide) || wide < INT32_MIN || wide > INT32_MAX) return false;
  *value = int32_t(wide);
  return true;
}

namespace {

// Digits with up to 18 decimals times `per_second`-like scale, without going through a double:
// "1655129685.123456" in seconds is exact.
bool ToEpochMicros(std::string_view cell, int64_t numerator, int64_t denominator, int64_t* micros) {
  const size_t point = cell.find('.');
  int64_t whole;
  if (!ParseInt64(cell.substr(0, point), &whole)) {
    double number;  // exponents
    if (!ParseDouble(cell, &number) || !(std::fabs(number) < 9e18)) return false;
    const double scaled = std::floor(number * double(numerator) / double(denominator));
    if (!(scaled >= double(kYear1) && scaled < double(kYear10000))) return false;
    *micros = int64_t(scaled);
    return true;
  }
  // Millionths of the fraction.
  int64_t fraction = 0;
  bool finer = false;
  if (point != std::string_view::npos) {
    const std::string_view digits = cell.substr(point + 1);
    for (size_t i = 0; i < std::max<size_t>(digits.size(), 6); ++i) {
      const char c = i < digits.size() ? digits[i] : '0';
      if (c < '0' || c > '9') return false;
      if (i < 6) {
        fraction = fraction * 10 + (c - '0');
      } else {
        finer = finer || c != '0';
      }
    }
  }
  const __int128 sign = cell.starts_with('-') ? -1 : 1;
  // In millionths of the unit, then to microseconds, rounded down.
  __int128 scaled = (__int128(whole) * 1'000'000 + sign * fraction) * numerator;
  const __int128 divisor = __int128(denominator) * 1'000'000;
  __int128 result = scaled / divisor;
  const bool remains = scaled % divisor != 0 || finer;
  if (remains && sign < 0) --result;
  if (result < kYear1 || result >= kYear10000) return false;
  *micros = int64_t(result);
  return true;
}

}  // namespace

bool CellToTimestamp(std::string_view cell, TimestampUnit unit, int64_t* micros) {
  switch (unit) {
    case TimestampUnit::kIso8601: {
      EventTime time;
      if (!ParseTimestamp(cell, &time)) return false;
      *micros = time.time_since_epoch().count();
      return true;
    }
    case TimestampUnit::kSeconds:
      return ToEpochMicros(cell, 1'000'000, 1, micros);
    case TimestampUnit::kMillis:
      return ToEpochMicros(cell, 1'000, 1, micros);
    case TimestampUnit::kMicros:
      return ToEpochMicros(cell, 1, 1, micros);
    case TimestampUnit::kNanos:
      return ToEpochMicros(cell, 1, 1'000, micros);
  }
  return false;
}

std::string CellMismatch(const Field& field, std::string_view cell) {
  if (!IsUtf8(cell)) return "column " + field.name + ": not valid UTF-8";
  return "column " + field.name + ": expected " + std::string(TypeName(field.type)) + ", found '" +
         std::string(cell.substr(0, kCellShownMax)) + (cell.size() > kCellShownMax ? "...'" : "'");
}

namespace {

template <typename Builder, typename Value, typename Read, typename Refuse>
Result<std::shared_ptr<arrow::Array>> Convert(const arrow::BinaryArray& cells,
                                              std::string_view null_text, Builder builder,
                                              Read read, const Refuse& refuse) {
  ARROW_RETURN_NOT_OK(builder.Reserve(cells.length()));
  for (int64_t row = 0; row < cells.length(); ++row) {
    const std::string_view cell = cells.GetView(row);
    Value value{};
    if (cell.empty() || cell == null_text) {
      builder.UnsafeAppendNull();
    } else if (read(cell, &value)) {
      builder.UnsafeAppend(value);
    } else {
      builder.UnsafeAppendNull();
      refuse(row, cell);
    }
  }
  return builder.Finish();
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> ConvertCells(
    const arrow::BinaryArray& cells, const SourceColumn& column, std::string_view null_text,
    const std::function<void(int64_t row, std::string_view cell)>& refuse) {
  switch (column.field.type) {
    case Type::kBoolean:
      return Convert<arrow::BooleanBuilder, bool>(cells, null_text, arrow::BooleanBuilder(),
                                                  CellToBoolean, refuse);
    case Type::kInteger:
      return Convert<arrow::Int32Builder, int32_t>(cells, null_text, arrow::Int32Builder(),
                                                   CellToInteger, refuse);
    case Type::kBigint:
      return Convert<arrow::Int64Builder, int64_t>(cells, null_text, arrow::Int64Builder(),
                                                   CellToBigint, refuse);
    case Type::kDouble:
      return Convert<arrow::DoubleBuilder, double>(cells, null_text, arrow::DoubleBuilder(),
                                                   ParseDouble, refuse);
    case Type::kReal:
      return Convert<arrow::FloatBuilder, float>(cells, null_text, arrow::FloatBuilder(), ParseReal,
                                                 refuse);
    case Type::kDate:
      return Convert<arrow::Date32Builder, int32_t>(cells, null_text, arrow::Date32Builder(),
                                                    ParseDate, refuse);
    case Type::kTimestamp:
      return Convert<arrow::TimestampBuilder, int64_t>(
          cells, null_text,
          arrow::TimestampBuilder(ArrowType(Type::kTimestamp), arrow::default_memory_pool()),
          [&](std::string_view cell, int64_t* micros) {
            return CellToTimestamp(cell, column.timestamp_unit, micros);
          },
          refuse);
    case Type::kText:
    case Type::kJson: {
      const bool is_json = column.field.type == Type::kJson;
      JsonText json;
      arrow::StringBuilder builder;
      ARROW_RETURN_NOT_OK(builder.Reserve(cells.length()));
      ARROW_RETURN_NOT_OK(builder.ReserveData(cells.total_values_length()));
      for (int64_t row = 0; row < cells.length(); ++row) {
        const std::string_view cell = cells.GetView(row);
        const bool is_null = cell.empty() || cell == null_text;
        const bool good = is_null || (is_json ? json.Check(cell) == nullptr : IsUtf8(cell));
        if (!good) refuse(row, cell);
        if (is_null || !good) {
          builder.UnsafeAppendNull();
        } else {
          builder.UnsafeAppend(cell);
        }
      }
      return builder.Finish();
    }
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  return InternalError("bad_column_type", "no column of a file has this type");
}

}  // namespace millrace
