#include "engine/connectors/console/console_text.h"

#include <arrow/array.h>

#include <cmath>
#include <cstdio>

#include "engine/model/timestamp.h"

namespace millrace {
namespace {

bool Begins(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

EventTime TimeAt(const arrow::Array& array, int64_t row) {
  return EventTime(Micros(static_cast<const arrow::TimestampArray&>(array).Value(row)));
}

std::string Printed(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

// "13:55", or "13:55:07" where `seconds`.
std::string ClockText(EventTime time, bool seconds) {
  const std::string text = FormatTimestamp(time);
  return text.size() == 27 ? text.substr(11, seconds ? 8 : 5) : text;
}

bool OnTheMinute(EventTime time) {
  return (time.time_since_epoch() % std::chrono::minutes(1)).count() == 0;
}

}  // namespace

int TextWidth(std::string_view text) {
  return int(std::count_if(text.begin(), text.end(), Begins));
}

std::string CleanText(std::string_view text, int width_max) {
  std::string clean;
  const bool cut = TextWidth(text) > width_max;
  int left = cut ? width_max - 1 : width_max;
  for (const char c : text) {
    if (Begins(c) && left-- == 0) break;
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      clean.append("\u00b7");
    } else {
      clean.push_back(c);
    }
  }
  return cut ? clean + "\u2026" : clean;
}

std::string ShortNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return "0";
  if (magnitude >= 1e9 || magnitude < 1e-4) return Printed("%.2e", value);
  return Printed(magnitude >= 1 ? "%.2f" : "%.4f", value);
}

std::string GroupedNumber(int64_t value) {
  const std::string digits = std::to_string(value);
  const size_t first = value < 0 ? 1 : 0;
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string TimeOfDay(EventTime time) { return ClockText(time, /*seconds=*/true); }

std::string DateOf(EventTime time) {
  const std::string text = FormatTimestamp(time);
  return text.size() == 27 ? text.substr(0, 10) : text;
}

std::string WindowText(EventTime start, EventTime end) {
  const bool seconds = !OnTheMinute(start) || !OnTheMinute(end);
  const std::string from = ClockText(start, seconds);
  const std::string to = ClockText(end, seconds);
  if (end - start < std::chrono::days(1)) return from + "-" + to;
  return DateOf(start) + " " + from + " - " + DateOf(end) + " " + to;
}

std::string CellText(const arrow::Array& array, Type type, int64_t row, int width_max) {
  if (array.IsNull(row)) return "-";
  switch (type) {
    case Type::kBoolean:
      return static_cast<const arrow::BooleanArray&>(array).Value(row) ? "true" : "false";
    case Type::kInteger:
      return std::to_string(static_cast<const arrow::Int32Array&>(array).Value(row));
    case Type::kBigint:
      return std::to_string(static_cast<const arrow::Int64Array&>(array).Value(row));
    case Type::kDouble:
      return ShortNumber(static_cast<const arrow::DoubleArray&>(array).Value(row));
    case Type::kReal:
      return ShortNumber(double(static_cast<const arrow::FloatArray&>(array).Value(row)));
    case Type::kDate:
      return FormatDate(static_cast<const arrow::Date32Array&>(array).Value(row));
    case Type::kText:
    case Type::kJson:
      return CleanText(static_cast<const arrow::StringArray&>(array).GetView(row), width_max);
    case Type::kTimestamp:
      return DateOf(TimeAt(array, row)) + " " + TimeOfDay(TimeAt(array, row));
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  return "-";
}

}  // namespace millrace
