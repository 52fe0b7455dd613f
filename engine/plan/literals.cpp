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

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int kFractionDigitsMax = 9;

struct Unit {
  std::string_view name;
  int64_t micros;  // of one; 0: `months` counts
  int32_t months;
};

constexpr std::array kUnits = std::to_array<Unit>({
    {"microsecond", 1, 0},
    {"us", 1, 0},
    {"usec", 1, 0},
    {"millisecond", 1000, 0},
    {"ms", 1000, 0},
    {"msec", 1000, 0},
    {"second", kSecond, 0},
    {"sec", kSecond, 0},
    {"s", kSecond, 0},
    {"minute", 60 * kSecond, 0},
    {"min", 60 * kSecond, 0},
    {"m", 60 * kSecond, 0},
    {"hour", 3600 * kSecond, 0},
    {"hr", 3600 * kSecond, 0},
    {"h", 3600 * kSecond, 0},
    {"day", kDay, 0},
    {"d", kDay, 0},
    {"week", 7 * kDay, 0},
    {"w", 7 * kDay, 0},
    {"month", 0, 1},
    {"mon", 0, 1},
    {"year", 0, 12},
    {"yr", 0, 12},
    {"y", 0, 12},
});

const Unit* FindUnit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (name == unit.name) return &unit;
    const bool has_plural = unit.name.size() > 1 && unit.name.back() != 's';
    if (has_plural && name.size() == unit.name.size() + 1 && name.back() == 's' &&
        name.starts_with(unit.name)) {
      return &unit;
    }
  }
  return nullptr;
}

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

bool IsLowerCase(char c) { return c >= 'a' && c <= 'z'; }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads an interval's text from left to right and adds up its parts.
class IntervalReader {
 public:
  explicit IntervalReader(std::string_view text) : text_(Lower(text)), rest_(text_) {
    const std::string_view written = Trim(text);
    is_iso_ = written.starts_with("P") && std::ranges::none_of(written, IsLowerCase);
  }

  std::optional<Interval> Read() {
    bool any = false;
    if (is_iso_) {
      if (!ReadIso()) return std::nullopt;
      any = true;
    }
    for (SkipSpaces(); !rest_.empty(); SkipSpaces()) {
      if (any && rest_ == "ago") {
        months_ = -months_;
        days_ = -days_;
        micros_ = -micros_;
        break;
      }
      if (!ReadPart(/*alone=*/!any)) return std::nullopt;
      any = true;
    }
    if (!any || !Fits(months_, std::numeric_limits<int32_t>::max()) ||
        !Fits(days_, std::numeric_limits<int32_t>::max()) ||
        !Fits(micros_, std::numeric_limits<int64_t>::max())) {
      return std::nullopt;
    }
    return Interval{int32_t(months_), int32_t(days_), int64_t(micros_)};
  }

 private:
  using Wide = __int128;

  static bool Fits(Wide value, int64_t max) { return value <= max && value >= -Wide(max); }

  void SkipSpaces() { rest_ = Trim(rest_); }

  // The rest of ISO 8601's `P1Y2M3DT4H5M6S`; each number with a sign of its own, as PostgreSQL
  // takes it. The whole text.
  bool ReadIso() {
    bool is_time = false, any = false;
    rest_ = Trim(rest_).substr(1);
    while (!rest_.empty()) {
      if (!is_time && rest_.front() == 't') {
        is_time = true;
        rest_.remove_prefix(1);
        continue;
      }
      Wide sign = 1;
      if (rest_.front() == '+' || rest_.front() == '-') {
        sign = rest_.front() == '-' ? -1 : 1;
        rest_.remove_prefix(1);
      }
      int64_t whole = 0, fraction = 0;
      if (!ReadDigits(&whole) || !ReadFraction(&fraction) || rest_.empty()) return false;
      std::string_view unit = rest_.substr(0, 1);
      if (std::string_view(is_time ? "hms" : "ymwd").find(unit) == std::string_view::npos) {
        return false;
      }
      if (unit == "m") unit = is_time ? "minute" : "month";
      rest_.remove_prefix(1);
      if (!Add(sign, whole, fraction, *FindUnit(unit))) return false;
      any = true;
    }
    return any;
  }

  // `alone`: nothing stands before it; only then may it be a bare number.
  bool ReadPart(bool alone) {
    Wide sign = 1;
    if (rest_.front() == '+' || rest_.front() == '-') {
      sign = rest_.front() == '-' ? -1 : 1;
      rest_.remove_prefix(1);
    }
    int64_t whole = 0;
    if (!ReadDigits(&whole)) return false;
    if (!rest_.empty() && rest_.front() == ':') return ReadClock(sign, whole);
    int64_t fraction = 0;  // in 10^-9
    if (!ReadFraction(&fraction)) return false;
    SkipSpaces();
    size_t letters = 0;
    while (letters < rest_.size() && rest_[letters] >= 'a' && rest_[letters] <= 'z') ++letters;
    if (letters == 0) {
      if (!rest_.empty() || !alone) return false;
      return Add(sign, whole, fraction, *FindUnit("second"));
    }
    const Unit* unit = FindUnit(rest_.substr(0, letters));
    if (unit == nullptr) return false;
    rest_.remove_prefix(letters);
    return Add(sign, whole, fraction, *unit);
  }

  // hh:mm, hh:mm:ss or hh:mm:ss.ffffff; the hours are read.
  bool ReadClock(Wide sign, int64_t hours) {
    int64_t minutes = 0, seconds = 0, fraction = 0;
    rest_.remove_prefix(1);
    if (!ReadDigits(&minutes) || minutes > 59) return false;
    if (!rest_.empty() && rest_.front() == ':') {
      rest_.remove_prefix(1);
      if (!ReadDigits(&seconds) || seconds > 59 || !ReadFraction(&fraction)) return false;
    }
    return Add(sign, hours, 0, *FindUnit("hour")) && Add(sign, minutes, 0, *FindUnit("minute")) &&
           Add(sign, seconds, fraction, *FindUnit("second"));
  }

  bool ReadDigits(int64_t* value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), *value);
    if (error != std::errc() || rest_.empty() || !IsDigit(rest_.front())) return false;
    rest_.remove_prefix(size_t(end - rest_.data()));
    return true;
  }

  bool ReadFraction(int64_t* billionths) {
    if (rest_.empty() || rest_.front() != '.') return true;
    rest_.remove_prefix(1);
    int digits = 0;
    for (; !rest_.empty() && IsDigit(rest_.front()); rest_.remove_prefix(1), ++digits) {
      if (digits < kFractionDigitsMax) *billionths = *billionths * 10 + (rest_.front() - '0');
    }
    for (int i = digits; i < kFractionDigitsMax; ++i) *billionths *= 10;
    return digits > 0;
  }

  bool Add(Wide sign, int64_t whole, int64_t billionths, const Unit& unit) {
    if (unit.months != 0) {
      if (billionths != 0) return false;
      months_ += sign * whole * unit.months;
      return true;
    }
    const Wide part = Wide(billionths) * unit.micros;
    const Wide rounded = (part + 500'000'000) / 1'000'000'000;
    if (unit.micros % kDay != 0) {
      micros_ += sign * (Wide(whole) * unit.micros + rounded);
    } else {
      days_ += sign * (Wide(whole) * (unit.micros / kDay) + rounded / kDay);
      micros_ += sign * (rounded % kDay);
    }
    return true;
  }

  std::string text_;
  std::string_view rest_;
  bool is_iso_ = false;
  Wide months_ = 0;
  Wide days_ = 0;
  Wide micros_ = 0;
};

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

std::optional<Interval> ParseInterval(std::string_view text) { return IntervalReader(text).Read(); }

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
      if (!ParseDateOf(trimmed, &days)) return std::nullopt;
      return Literal(int64_t(days));
    }
    case Type::kTimestamp: {
      EventTime time;
      if (!ParseTimestamp(trimmed, &time)) return std::nullopt;
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
