#include "engine/plan/literals.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/json/json_text.h"
#include "engine/model/number.h"
#include "engine/model/timestamp.h"
#include "engine/plan/interval_text.h"

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = char(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string_view Trim(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

// ISO 8601 has a comma for the point of seconds, PostgreSQL's texts do not.
bool HasComma(std::string_view text) { return text.find(',') != std::string_view::npos; }

// PostgreSQL takes any prefix that leaves no doubt.
std::optional<bool> ParseBoolean(std::string_view text) {
  const std::string word = Lower(Trim(text));
  if (word.empty()) return std::nullopt;
  for (const std::string_view name : {"true", "yes"}) {
    if (name.starts_with(word)) return true;
  }
  for (const std::string_view name : {"false", "no"}) {
    if (name.starts_with(word)) return false;
  }
  if (word == "on" || word == "1") return true;
  if (word == "off" || word == "of" || word == "0") return false;
  return std::nullopt;
}

std::string FormatDouble(double value) {
  if (std::isnan(value)) return "'NaN'::double precision";
  if (std::isinf(value)) {
    return value > 0 ? "'Infinity'::double precision" : "'-Infinity'::double precision";
  }
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  std::string text(buffer.data(), size_t(end - buffer.data()));
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace

std::string FormatInterval(const Interval& interval) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
  if (interval.months != 0) add(std::to_string(interval.months) + " months");
  if (interval.days != 0) add(std::to_string(interval.days) + " days");
  if (interval.micros % kSecond != 0) {
    add(std::to_string(interval.micros) + " microseconds");
  } else if (interval.micros != 0 || text.empty()) {
    add(std::to_string(interval.micros / kSecond) + " seconds");
  }
  return text;
}

std::optional<Micros> FixedLength(const Interval& interval) {
  int64_t total = 0;
  if (interval.months != 0 || __builtin_mul_overflow(int64_t(interval.days), kDay, &total) ||
      __builtin_add_overflow(total, interval.micros, &total)) {
    return std::nullopt;
  }
  return Micros(total);
}

std::optional<Literal> ParseLiteral(std::string_view text, Type type) {
  const std::string_view trimmed = Trim(text);
  switch (type) {
    case Type::kText:
      return Literal(std::string(text));
    case Type::kJson:
      if (JsonText().Check(text) != nullptr) return std::nullopt;
      return Literal(std::string(text));
    case Type::kBoolean:
      if (const auto value = ParseBoolean(text)) return Literal(*value);
      return std::nullopt;
    case Type::kInteger:
    case Type::kBigint: {
      int64_t value = 0;
      if (!ParseInt64(trimmed, &value)) return std::nullopt;
      if (type == Type::kInteger && value != int64_t(int32_t(value))) return std::nullopt;
      return Literal(value);
    }
    case Type::kDouble: {
      double value = 0;
      if (!ParseDouble(trimmed, &value)) return std::nullopt;
      return Literal(value);
    }
    case Type::kReal: {
      float value = 0;
      if (!ParseReal(trimmed, &value)) return std::nullopt;
      return Literal(double(value));
    }
    case Type::kDate: {
      int32_t days = 0;
      if (HasComma(trimmed) || !ParseDateOf(trimmed, &days)) return std::nullopt;
      return Literal(int64_t(days));
    }
    case Type::kTimestamp: {
      EventTime time;
      if (HasComma(trimmed) || !ParseTimestamp(trimmed, &time)) return std::nullopt;
      return Literal(int64_t(time.time_since_epoch().count()));
    }
    case Type::kInterval:
      if (const auto value = ParseInterval(text)) return Literal(*value);
      return std::nullopt;
    case Type::kNull:
      break;
  }
  return std::nullopt;
}

std::string FormatLiteral(const Literal& literal, Type type) {
  if (const bool* value = std::get_if<bool>(&literal)) return *value ? "true" : "false";
  if (const double* value = std::get_if<double>(&literal)) return FormatDouble(*value);
  if (const auto* value = std::get_if<std::string>(&literal)) {
    return Quote(*value) + (type == Type::kJson ? "::json" : "");
  }
  if (const auto* value = std::get_if<Interval>(&literal)) {
    return "INTERVAL '" + FormatInterval(*value) + "'";
  }
  if (const auto* value = std::get_if<int64_t>(&literal)) {
    if (type == Type::kDate) return "DATE '" + FormatDate(int32_t(*value)) + "'";
    if (type != Type::kTimestamp) return std::to_string(*value);
    return "TIMESTAMP '" + FormatTimestamp(EventTime(Micros(*value))) + "'";
  }
  return "NULL";
}

}  // namespace millrace
