// to_char, to_date and to_timestamp by a template: of times, and to_char of numbers.
#include <algorithm>
#include <optional>

#include "engine/operators/kernel_loops.h"
#include "engine/operators/number_format.h"
#include "engine/operators/time_format.h"

namespace millrace {
namespace {

// The template of the last row, which is nearly always a literal.
class LastFormat : public KernelState {
 public:
  // Null where it is too long.
  static LastFormat* Of(CallMemory* memory, std::string_view text) {
    if (text.size() > kTemplateBytesMax) return nullptr;
    if (memory->state == nullptr) memory->state = std::make_unique<LastFormat>();
    auto* const last = static_cast<LastFormat*>(memory->state.get());
    if (!last->format.has_value() || last->text_ != text) {
      last->text_ = text;
      last->format.emplace(text);
    }
    return last;
  }

  std::optional<TimeFormat> format;
  std::string written;  // of one row

 private:
  std::string text_;
};

struct ToChar {
  static Fault Call(CallMemory* memory, int64_t time, std::string_view format,
                    std::string_view* result) {
    LastFormat* const last = LastFormat::Of(memory, format);
    if (last == nullptr) return Fault::kTemplateTooLong;
    last->written.clear();
    last->format->Write(time, memory->is_local_time, &last->written);
    return KeepText(memory, last->written, result);
  }
};

// As LastFormat, of numbers.
class LastNumberFormat : public KernelState {
 public:
  // Null where the template is none.
  static LastNumberFormat* Of(CallMemory* memory, std::string_view text) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastNumberFormat>();
    auto* const last = static_cast<LastNumberFormat*>(memory->state.get());
    if (!last->known_ || last->text_ != text) {
      last->known_ = true;
      last->text_ = text;
      last->format.reset();
      std::string error;
      std::optional<NumberTemplate> read = ParseNumberTemplate(text, &error);
      if (read.has_value()) last->format.emplace(std::move(*read));
    }
    return last->format.has_value() ? last : nullptr;
  }

  std::optional<NumberFormat> format;
  std::string written;  // of one row

 private:
  bool known_ = false;
  std::string text_;
};

template <typename T>
struct NumberToChar {
  static Fault Call(CallMemory* memory, T value, std::string_view format,
                    std::string_view* result) {
    LastNumberFormat* const last = LastNumberFormat::Of(memory, format);
    if (last == nullptr) return Fault::kBadNumberTemplate;
    if (!last->format->Write(value, &last->written)) return Fault::kInputOutOfRange;
    return KeepText(memory, last->written, result);
  }
};

struct FromChar {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view text, std::string_view format,
                    int64_t* result) {
    LastFormat* const last = LastFormat::Of(memory, format);
    return last == nullptr ? Fault::kTemplateTooLong : last->format->Read(text, result);
  }
};

struct DateFromChar {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view text, std::string_view format,
                    int32_t* result) {
    LastFormat* const last = LastFormat::Of(memory, format);
    return last == nullptr ? Fault::kTemplateTooLong : last->format->ReadDate(text, result);
  }
};

}  // namespace

std::vector<NamedKernel> TimeFormatKernels() {
  constexpr Type kTxt = Type::kText;
  using Text = std::string_view;
  return {
      {"to_char", {Type::kTimestamp, kTxt}, &Custom<ToChar, Text, int64_t, Text>},
      {"to_char", {Type::kInteger, kTxt}, &Custom<NumberToChar<int32_t>, Text, int32_t, Text>},
      {"to_char", {Type::kBigint, kTxt}, &Custom<NumberToChar<int64_t>, Text, int64_t, Text>},
      {"to_char", {Type::kReal, kTxt}, &Custom<NumberToChar<float>, Text, float, Text>},
      {"to_char", {Type::kDouble, kTxt}, &Custom<NumberToChar<double>, Text, double, Text>},
      {"to_timestamp", {kTxt, kTxt}, &Custom<FromChar, int64_t, Text, Text>},
      {"to_date", {kTxt, kTxt}, &Custom<DateFromChar, int32_t, Text, Text>},
  };
}

}  // namespace millrace
