// Casts, by PostgreSQL's rules: doubles round half to even on their way to integers, what does not
// fit is an error, and text is read by the input syntax of the type, with spaces around it allowed.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/json/json_text.h"
#include "engine/model/number.h"
#include "engine/model/timestamp.h"
#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"
#include "engine/operators/value_text.h"
#include "engine/plan/interval_text.h"

namespace millrace {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool IsInteger(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

template <typename From, typename To>
struct Widen {
  static To Call(From value) { return To(value); }
};

struct IntegerToBoolean {
  static uint8_t Call(int32_t value) { return value != 0; }
};

struct BigintToInteger {
  static int32_t Call(int64_t value) { return int32_t(value); }
  static Fault Check(int64_t value, int32_t result) {
    return value != result ? Fault::kIntegerOutOfRange : Fault::kNone;
  }
};

template <typename To>
struct DoubleTo {
  static constexpr double kLimit = -double(std::numeric_limits<To>::min());
  static bool Fits(double rounded) { return (rounded >= -kLimit) & (rounded < kLimit); }
  static To Call(double value) {
    const double rounded = std::rint(value);
    return Fits(rounded) ? To(rounded) : To(0);
  }
  static Fault Check(double value, To) {
    if (Fits(std::rint(value))) return Fault::kNone;
    return sizeof(To) == 4 ? Fault::kIntegerOutOfRange : Fault::kBigintOutOfRange;
  }
};

template <typename To>
struct RealTo {
  static To Call(float value) { return DoubleTo<To>::Call(value); }
  static Fault Check(float value, To result) { return DoubleTo<To>::Check(value, result); }
};

// A value beyond the range of float, or too small for it, is refused as in PostgreSQL.
struct DoubleToReal {
  static float Call(double value) { return float(value); }
  static Fault Check(double value, float result) {
    if (std::isinf(result) && !std::isinf(value)) return Fault::kDoubleOverflow;
    return result == 0 && value != 0 ? Fault::kDoubleUnderflow : Fault::kNone;
  }
};

struct DateToTimestamp {
  static int64_t Call(int32_t days) { return int64_t(uint64_t(days) * uint64_t(kMicrosPerDay)); }
  static Fault Check(int32_t days, int64_t) {
    return IsDay(days) ? Fault::kNone : Fault::kTimestampOutOfRange;
  }
};

struct TimestampToDate {
  static int32_t Call(int64_t micros) { return int32_t(FloorDivide(micros, kMicrosPerDay)); }
};

// True for a prefix of `word` that is at least `shortest` long, in any letter case.
bool IsPrefix(std::string_view text, std::string_view word, size_t shortest) {
  if (text.size() < shortest || text.size() > word.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (char(text[i] | 0x20) != word[i]) return false;
  }
  return true;
}

struct TextToBoolean {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, uint8_t* value) {
    const std::string_view word = Trimmed(text);
    if (word == "1" || IsPrefix(word, "true", 1) || IsPrefix(word, "yes", 1) ||
        IsPrefix(word, "on", 2)) {
      *value = 1;
      return Fault::kNone;
    }
    *value = 0;
    return word == "0" || IsPrefix(word, "false", 1) || IsPrefix(word, "no", 1) ||
                   IsPrefix(word, "off", 2)
               ? Fault::kNone
               : Fault::kInvalidBoolean;
  }
};

struct TextToBigint {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, int64_t* value) {
    const std::string_view digits = Trimmed(text);
    if (!IsInteger(digits)) return Fault::kInvalidBigint;
    return ParseInt64(digits, value) ? Fault::kNone : Fault::kBigintOutOfRange;
  }
};

struct TextToInteger {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, int32_t* value) {
    const std::string_view digits = Trimmed(text);
    if (!IsInteger(digits)) return Fault::kInvalidInteger;
    int64_t wide;
    if (!ParseInt64(digits, &wide) || wide != int32_t(wide)) return Fault::kIntegerOutOfRange;
    *value = int32_t(wide);
    return Fault::kNone;
  }
};

struct TextToDouble {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, double* value) {
    const std::string_view number = Trimmed(text);
    if (number.find('(') != std::string_view::npos || !ParseDouble(number, value)) {
      return Fault::kInvalidDouble;
    }
    return Fault::kNone;
  }
};

struct TextToReal {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, float* value) {
    const std::string_view number = Trimmed(text);
    if (number.find('(') != std::string_view::npos) return Fault::kInvalidReal;
    if (ParseReal(number, value)) return Fault::kNone;
    double wide;
    return ParseDouble(number, &wide) ? Fault::kDoubleOverflow : Fault::kInvalidReal;
  }
};

// ISO 8601 has a comma for the point of seconds, PostgreSQL's texts do not.
bool HasComma(std::string_view text) { return text.find(',') != std::string_view::npos; }

struct TextToDate {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, int32_t* days) {
    const bool good = !HasComma(text) && ParseDateOf(Trimmed(text), days);
    return good ? Fault::kNone : Fault::kInvalidDate;
  }
};

struct TextToInterval {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, Interval* value) {
    const std::optional<Interval> interval = ParseInterval(text);
    if (!interval.has_value()) return Fault::kInvalidInterval;
    *value = *interval;
    return Fault::kNone;
  }
};

struct TextToTimestamp {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory*, std::string_view text, int64_t* value) {
    EventTime time;
    if (HasComma(text) || !ParseTimestamp(Trimmed(text), &time)) return Fault::kInvalidTimestamp;
    *value = time.time_since_epoch().count();
    return Fault::kNone;
  }
};

struct BooleanToText {
  static Fault Call(CallMemory*, uint8_t flag, std::string_view* value) {
    *value = flag != 0 ? "true" : "false";
    return Fault::kNone;
  }
};

template <typename T>
struct IntegerToText {
  static Fault Call(CallMemory* memory, T number, std::string_view* value) {
    char text[24];
    char* end = text + sizeof(text);
    char* begin = end;
    const bool negative = number < 0;
    uint64_t rest = negative ? 0 - uint64_t(number) : uint64_t(number);
    do {
      *--begin = char('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    if (negative) *--begin = '-';
    return KeepText(memory, {begin, size_t(end - begin)}, value);
  }
};

struct DoubleToText {
  static Fault Call(CallMemory* memory, double number, std::string_view* value) {
    char text[kValueTextBytesMax];
    return KeepText(memory, {text, WriteDouble(number, text)}, value);
  }
};

struct RealToText {
  static Fault Call(CallMemory* memory, float number, std::string_view* value) {
    char text[kValueTextBytesMax];
    return KeepText(memory, {text, WriteReal(number, text)}, value);
  }
};

struct DateToText {
  static Fault Call(CallMemory* memory, int32_t days, std::string_view* value) {
    char text[kValueTextBytesMax];
    return KeepText(memory, {text, WriteDate(days, text)}, value);
  }
};

struct IntervalToText {
  static Fault Call(CallMemory* memory, const Interval& interval, std::string_view* value) {
    char text[kValueTextBytesMax];
    return KeepText(memory, {text, WriteInterval(interval, text)}, value);
  }
};

struct TimestampToText {
  static Fault Call(CallMemory* memory, int64_t time, std::string_view* value) {
    char text[kValueTextBytesMax];
    return KeepText(memory, {text, WriteTimestamp(time, text)}, value);
  }
};

// Checks with memory that is kept.
class JsonCheck : public KernelState {
 public:
  JsonText json;
};

struct TextToJson {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view text, std::string_view* value) {
    if (memory->state == nullptr) memory->state = std::make_unique<JsonCheck>();
    if (static_cast<JsonCheck*>(memory->state.get())->json.Check(text) != nullptr) {
      return Fault::kInvalidJson;
    }
    *value = text;
    return Fault::kNone;
  }
};

struct JsonToText {
  static Fault Call(CallMemory*, std::string_view json, std::string_view* value) {
    *value = json;
    return Fault::kNone;
  }
};

// A JSON number; copied, because its reader looks at the byte behind it.
class NumberText {
 public:
  bool Read(std::string_view json, JsonNumber* number) {
    char* copy = short_.data();
    if (json.size() >= short_.size()) {
      long_.assign(json);
      copy = long_.data();
    } else {
      std::ranges::copy(json, copy);
      copy[json.size()] = '\0';
    }
    return ReadJsonNumber(copy, number) == copy + json.size();
  }

 private:
  std::array<char, 64> short_;
  std::string long_;
};

template <typename T>
struct JsonTo {
  static Fault Read(std::string_view json, T* value) {
    NumberText text;
    JsonNumber number;
    if (!text.Read(json, &number)) return Fault::kNotJsonNumber;
    return Round(number, value);
  }

 private:
  static Fault Round(const JsonNumber& number, double* value) {
    return ToDouble(number, value) == JsonNumberOutcome::kOk ? Fault::kNone
                                                             : Fault::kDoubleOverflow;
  }
  static Fault Round(const JsonNumber& number, float* value) {
    return ToReal(number, value) == JsonNumberOutcome::kOk ? Fault::kNone : Fault::kDoubleOverflow;
  }
  static Fault Round(const JsonNumber& number, int64_t* value) {
    return ToRoundedInt64(number, value) == JsonNumberOutcome::kOk ? Fault::kNone
                                                                   : Fault::kBigintOutOfRange;
  }
  static Fault Round(const JsonNumber& number, int32_t* value) {
    int64_t wide = 0;
    const JsonNumberOutcome outcome = ToRoundedInt64(number, &wide);
    *value = int32_t(wide);
    return outcome == JsonNumberOutcome::kOk && wide == *value ? Fault::kNone
                                                               : Fault::kIntegerOutOfRange;
  }
};

template <>
struct JsonTo<uint8_t> {
  static Fault Read(std::string_view json, uint8_t* value) {
    *value = json == "true" ? 1 : 0;
    return *value != 0 || json == "false" ? Fault::kNone : Fault::kNotJsonBoolean;
  }
};

// As PostgreSQL casts jsonb; null gives null.
template <typename T>
Status JsonToScalar(const KernelCall& call, Column* out) {
  const int64_t rows = call.frame->rows();
  const Column& arg = call.args[0];
  const auto values = ReaderOf<std::string_view>(arg);
  ARROW_ASSIGN_OR_RAISE(T * results, call.memory->values.Allocate<T>(rows));
  ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, call.memory->nulls.Allocate<uint8_t>(rows));
  call.rows.ForEach([&](int64_t row) {
    results[row] = T();
    nulls[row] = 1;
    if (arg.IsNull(row)) return;
    const std::string_view json = TrimJson(values[row]);
    if (json == "null") return;
    const Fault fault = JsonTo<T>::Read(json, results + row);
    nulls[row] = fault != Fault::kNone;
    if (fault != Fault::kNone) call.frame->Fail(row, fault, call.where, json);
  });
  *out = Column();
  out->type = call.result;
  out->values = results;
  out->nulls = nulls;
  return Status::OK();
}

struct CastEntry {
  Type from;
  Type to;
  Kernel kernel;
  bool fallible;
};

const std::vector<CastEntry>& Casts() {
  constexpr Type kBool = Type::kBoolean, kInt = Type::kInteger, kBig = Type::kBigint,
                 kReal = Type::kReal, kDbl = Type::kDouble, kTxt = Type::kText, kDate = Type::kDate,
                 kTime = Type::kTimestamp, kSpan = Type::kInterval;
  using Text = std::string_view;
  static const std::vector<CastEntry> casts = {
      {kBool, kInt, &Total<Widen<uint8_t, int32_t>, int32_t, uint8_t>, false},
      {kInt, kBool, &Total<IntegerToBoolean, uint8_t, int32_t>, false},
      {kInt, kBig, &Total<Widen<int32_t, int64_t>, int64_t, int32_t>, false},
      {kInt, kDbl, &Total<Widen<int32_t, double>, double, int32_t>, false},
      {kBig, kDbl, &Total<Widen<int64_t, double>, double, int64_t>, false},
      {kBig, kInt, &Checked<BigintToInteger, int32_t, int64_t>, true},
      {kDbl, kInt, &Checked<DoubleTo<int32_t>, int32_t, double>, true},
      {kDbl, kBig, &Checked<DoubleTo<int64_t>, int64_t, double>, true},
      {kInt, kReal, &Total<Widen<int32_t, float>, float, int32_t>, false},
      {kBig, kReal, &Total<Widen<int64_t, float>, float, int64_t>, false},
      {kReal, kDbl, &Total<Widen<float, double>, double, float>, false},
      {kReal, kInt, &Checked<RealTo<int32_t>, int32_t, float>, true},
      {kReal, kBig, &Checked<RealTo<int64_t>, int64_t, float>, true},
      {kDbl, kReal, &Checked<DoubleToReal, float, double>, true},
      {kDate, kTime, &Checked<DateToTimestamp, int64_t, int32_t>, true},
      {kTime, kDate, &Total<TimestampToDate, int32_t, int64_t>, false},
      {kTxt, kReal, &Custom<TextToReal, float, Text>, true},
      {kTxt, kDate, &Custom<TextToDate, int32_t, Text>, true},
      {kTxt, kSpan, &Custom<TextToInterval, Interval, Text>, true},
      {kReal, kTxt, &Custom<RealToText, Text, float>, true},
      {kDate, kTxt, &Custom<DateToText, Text, int32_t>, true},
      {kSpan, kTxt, &Custom<IntervalToText, Text, Interval>, true},
      {kTxt, kBool, &Custom<TextToBoolean, uint8_t, Text>, true},
      {kTxt, kInt, &Custom<TextToInteger, int32_t, Text>, true},
      {kTxt, kBig, &Custom<TextToBigint, int64_t, Text>, true},
      {kTxt, kDbl, &Custom<TextToDouble, double, Text>, true},
      {kTxt, kTime, &Custom<TextToTimestamp, int64_t, Text>, true},
      {kBool, kTxt, &Custom<BooleanToText, Text, uint8_t>, false},
      {kInt, kTxt, &Custom<IntegerToText<int32_t>, Text, int32_t>, true},
      {kBig, kTxt, &Custom<IntegerToText<int64_t>, Text, int64_t>, true},
      {kDbl, kTxt, &Custom<DoubleToText, Text, double>, true},
      {kTime, kTxt, &Custom<TimestampToText, Text, int64_t>, true},
      {kTxt, Type::kJson, &Custom<TextToJson, Text, Text>, true},
      {Type::kJson, kTxt, &Custom<JsonToText, Text, Text>, false},
      {Type::kJson, kBool, &JsonToScalar<uint8_t>, true},
      {Type::kJson, kInt, &JsonToScalar<int32_t>, true},
      {Type::kJson, kBig, &JsonToScalar<int64_t>, true},
      {Type::kJson, kReal, &JsonToScalar<float>, true},
      {Type::kJson, kDbl, &JsonToScalar<double>, true},
  };
  return casts;
}

const CastEntry* Find(Type from, Type to) {
  for (const CastEntry& cast : Casts()) {
    if (cast.from == from && cast.to == to) return &cast;
  }
  return nullptr;
}

}  // namespace

Kernel FindCast(Type from, Type to) {
  const CastEntry* const cast = Find(from, to);
  return cast == nullptr ? nullptr : cast->kernel;
}

bool CastIsFallible(Type from, Type to) {
  const CastEntry* const cast = Find(from, to);
  return cast != nullptr && cast->fallible;
}

}  // namespace millrace
