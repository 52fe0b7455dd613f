#include "engine/connectors/message/senml.h"

#include <array>
#include <charconv>
#include <cmath>

#include "engine/json/json_text.h"
#include "engine/model/number.h"

namespace millrace {
namespace {

constexpr int64_t kVersionMax = 10;
// Times below are relative to when the message came (RFC 8428, 4.5.3).
constexpr double kAbsoluteTime = double(int64_t(1) << 28);
// Sums of times beyond have lost the microseconds of a long double.
constexpr long double kTimeMax = 1e18L;

bool IsString(std::string_view value) { return value.size() >= 2 && value.front() == '"'; }
std::string_view Inside(std::string_view value) { return value.substr(1, value.size() - 2); }

// A number, also one that is written as text, as the form before the RFC allows.
bool ToNumber(std::string_view value, double* number) {
  if (IsString(value)) value = Inside(value);
  return ParseDouble(value, number);
}

bool IsOneOf(std::string_view key, std::initializer_list<std::string_view> keys) {
  for (const std::string_view one : keys) {
    if (one == key) return true;
  }
  return false;
}

}  // namespace

SenmlReader::SenmlReader(const SourceStreamSpec& spec, const std::vector<int>& used_columns) {
  for (const int used : used_columns) {
    reads_time_ = reads_time_ || spec.columns[size_t(used)].from == "t";
  }
}

bool SenmlReader::Open(std::string_view message, JsonFailure* failure) {
  base_ = Base();
  index_ = -1;
  token_ = 0;
  if (const char* error = document_.Index(message)) {
    *failure = {"malformed", error};
    return false;
  }
  bool too_deep = false;
  if (document_.SkipValue(0, 0, &too_deep) != document_.count()) {
    *failure = too_deep ? JsonFailure{"too_deep",
                                      "nested more than " + std::to_string(kJsonDepthMax) + " deep"}
                        : JsonFailure{"malformed", "not JSON"};
    return false;
  }
  older_form_ = document_.Char(0) == '{';
  if (!older_form_) {
    token_ = 1;
    return true;
  }
  for (uint32_t token = 1; document_.Char(token) == '"'; ++token) {
    std::string_view key;
    document_.RawString(token, &key);
    const uint32_t value = token + 2;
    token = document_.SkipValue(value, 1, &too_deep);
    if (key == "e" && document_.Char(value) == '[') {
      token_ = value + 1;
    } else if (!TakeBase(key, document_.ValueText(value, token), failure)) {
      return false;
    }
  }
  if (token_ == 0) *failure = {"malformed", "neither an array of records nor an object with 'e'"};
  return token_ != 0;
}

// True also where it is no base value; false with a failure of the whole message.
bool SenmlReader::TakeBase(std::string_view key, std::string_view value, JsonFailure* failure) {
  const auto wrong = [&](std::string_view expected) {
    *failure = {"malformed", std::string(key) + " is no " + std::string(expected)};
    return false;
  };
  if (key == "bn" || key == "bu") {
    if (!IsString(value)) return wrong("text");
    (key == "bn" ? base_.name : base_.unit) = Inside(value);
    return true;
  }
  if (key == "bver" || key == "ver") {
    double version = 0;
    if (!ToNumber(value, &version)) return wrong("number");
    if (version <= double(kVersionMax)) return true;
    *failure = {"malformed", "SenML of version " + std::string(value) + "; up to " +
                                 std::to_string(kVersionMax) + " are read"};
    return false;
  }
  if (!IsOneOf(key, {"bt", "bv", "bs"})) return true;
  Number number;
  number.text = value;
  if (!ToNumber(value, &number.value)) return wrong("number");
  (key == "bt" ? base_.time : key == "bv" ? base_.value : base_.sum) = number;
  return true;
}

SenmlReader::Found SenmlReader::Next(JsonFailure* failure) {
  for (;;) {
    if (token_ == 0 || document_.Char(token_) == ']') {
      token_ = 0;
      return Found::kEnd;
    }
    const uint32_t token = token_;
    bool too_deep = false;
    const uint32_t next = document_.SkipValue(token, 1, &too_deep);
    if (next == 0) {
      *failure = {"too_deep", "nested more than " + std::to_string(kJsonDepthMax) + " deep"};
      return Found::kBroken;
    }
    token_ = document_.Char(next) == ',' ? next + 1 : 0;
    record_ = document_.ValueText(token, next);
    ++index_;
    if (document_.Char(token) != '{') {
      *failure = {"malformed", "not an object"};
      return Found::kRefused;
    }
    of_record_ = Record();
    if (!ReadRecord(token, failure)) {
      // A base value that cannot be used is missing in all that follow.
      return failure->reason == "malformed" ? Found::kBroken : Found::kRefused;
    }
    if (!of_record_.has_value) continue;
    return Resolve(failure) ? Found::kReading : Found::kRefused;
  }
}

bool SenmlReader::ReadRecord(uint32_t token, JsonFailure* failure) {
  std::string_view unknown;
  for (++token; document_.Char(token) == '"'; ++token) {
    std::string_view key;
    document_.RawString(token, &key);
    const uint32_t begin = token + 2;
    bool too_deep = false;
    token = document_.SkipValue(begin, 2, &too_deep);
    const std::string_view value = document_.ValueText(begin, token);
    // Before the RFC, `bv` in a record was its boolean value.
    const bool is_base =
        IsOneOf(key, {"bn", "bt", "bu", "bs", "bver"}) || (key == "bv" && !older_form_);
    if (is_base) {
      if (!TakeBase(key, value, failure)) return false;
      continue;
    }
    if (key == "n") {
      of_record_.name = value;
    } else if (key == "u") {
      of_record_.unit = value;
    } else if (key == "t") {
      of_record_.time = value;
    } else if (key == "v") {
      of_record_.value = value;
    } else if (key == "s") {
      of_record_.sum = value;
    } else {
      if (key.ends_with('_')) unknown = key;
      of_record_.others.emplace_back(key, value);
    }
    of_record_.has_value =
        of_record_.has_value || IsOneOf(key, {"v", "vs", "vb", "vd", "s", "sv", "bv"});
  }
  if (unknown.empty()) return true;
  *failure = {"unknown_label", "the label '" + std::string(unknown) + "' must be understood"};
  return false;
}

bool SenmlReader::Resolve(JsonFailure* failure) {
  resolved_ = "{";
  std::string name = base_.name;
  if (IsString(of_record_.name)) {
    name += Inside(of_record_.name);
  } else if (!of_record_.name.empty()) {
    *failure = {"type_mismatch", "n is no text"};
    return false;
  }
  if (name.empty()) {
    *failure = {"missing_name", "the record has no name, and there is no base name"};
    return false;
  }
  AppendMember("n", "\"" + name + "\"");
  if (!of_record_.unit.empty()) {
    AppendMember("u", of_record_.unit);
  } else if (!base_.unit.empty()) {
    AppendMember("u", "\"" + base_.unit + "\"");
  }
  if (!of_record_.value.empty() && !AppendSum("v", base_.value, of_record_.value, false, failure)) {
    return false;
  }
  if (!(of_record_.sum.empty() && !base_.sum.has_value()) &&
      !AppendSum("s", base_.sum, of_record_.sum, false, failure)) {
    return false;
  }
  if (!(of_record_.time.empty() && !base_.time.has_value()) &&
      !AppendSum("t", base_.time, of_record_.time, true, failure)) {
    return false;
  }
  for (const auto& [key, value] : of_record_.others) AppendMember(key, value);
  resolved_ += '}';
  return true;
}

void SenmlReader::AppendMember(std::string_view key, std::string_view value) {
  if (resolved_.size() > 1) resolved_ += ',';
  resolved_.append(1, '"').append(key).append("\":").append(value);
}

// The sum of a base number and the record's own; where one is missing, the other as it is written.
bool SenmlReader::AppendSum(std::string_view key, const std::optional<Number>& base,
                            std::string_view own, bool is_time, JsonFailure* failure) {
  double number = 0;
  if (!own.empty() && (base.has_value() || is_time) && !ToNumber(own, &number)) {
    *failure = {"type_mismatch", std::string(key) + " is no number"};
    return false;
  }
  const long double sum = static_cast<long double>(number) + (base.has_value() ? base->value : 0);
  if (is_time && reads_time_ && !(sum >= static_cast<long double>(kAbsoluteTime))) {
    *failure = {"relative_time", "the time is relative to when the message came"};
    return false;
  }
  if (!base.has_value() || base->value == 0) {
    AppendMember(key, own.empty() ? base->text : own);
    return true;
  }
  if (own.empty() || number == 0) {
    AppendMember(key, base->text);
    return true;
  }
  std::array<char, 64> text;
  if (is_time && sum < kTimeMax) {
    // To the microsecond, which is what a double still has, without the zeros behind.
    const auto written =
        std::to_chars(text.data(), text.data() + text.size(), sum, std::chars_format::fixed, 6);
    std::string_view digits(text.data(), size_t(written.ptr - text.data()));
    while (digits.ends_with('0')) digits.remove_suffix(1);
    if (digits.ends_with('.')) digits.remove_suffix(1);
    AppendMember(key, digits);
    return true;
  }
  if (!std::isfinite(double(sum))) {
    *failure = {"number_out_of_range", std::string(key) + " with its base is out of range"};
    return false;
  }
  const auto written = std::to_chars(text.data(), text.data() + text.size(), double(sum));
  AppendMember(key, {text.data(), size_t(written.ptr - text.data())});
  return true;
}

}  // namespace millrace
