// to_char, to_date and to_timestamp by a template.
#include <optional>

#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"
#include "engine/operators/time_format.h"

namespace millrace {
namespace {

constexpr size_t kFormatBytesMax = 10'000;

// The template of the last row, which is nearly always a literal.
class LastFormat : public KernelState {
 public:
  // Null where it is too long.
  static LastFormat* Of(CallMemory* memory, std::string_view text) {
    if (text.size() > kFormatBytesMax) return nullptr;
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
    if (last == nullptr) return Fault::kBadFormat;
    last->written.clear();
    last->format->Write(time, &last->written);
    char* place;
    const Fault fault = MakeText(memory, last->written.size(), &place);
    if (fault != Fault::kNone) return fault;
    std::memcpy(place, last->written.data(), last->written.size());
    *result = {place, last->written.size()};
    return Fault::kNone;
  }
};

struct FromChar {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view text, std::string_view format,
                    int64_t* result) {
    LastFormat* const last = LastFormat::Of(memory, format);
    return last == nullptr ? Fault::kBadFormat : last->format->Read(text, result);
  }
};

struct DateFromChar {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view text, std::string_view format,
                    int32_t* result) {
    int64_t time = 0;
    const Fault fault = FromChar::Call(memory, text, format, &time);
    *result = int32_t(FloorDivide(time, kMicrosPerDay));
    return fault;
  }
};

}  // namespace

std::vector<NamedKernel> TimeFormatKernels() {
  constexpr Type kTxt = Type::kText;
  using Text = std::string_view;
  return {
      {"to_char", {Type::kTimestamp, kTxt}, &Custom<ToChar, Text, int64_t, Text>},
      {"to_timestamp", {kTxt, kTxt}, &Custom<FromChar, int64_t, Text, Text>},
      {"to_date", {kTxt, kTxt}, &Custom<DateFromChar, int32_t, Text, Text>},
  };
}

}  // namespace millrace
