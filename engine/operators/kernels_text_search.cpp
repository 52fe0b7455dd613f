// LIKE and ILIKE, strpos, starts_with.
#include "engine/operators/kernel_loops.h"
#include "engine/operators/like_pattern.h"
#include "engine/operators/utf8.h"

namespace millrace {
namespace {

using Text = std::string_view;

// The pattern of the last row, which is nearly always a literal.
class LastPattern : public KernelState {
 public:
  static LastPattern* Of(CallMemory* memory) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastPattern>();
    return static_cast<LastPattern*>(memory->state.get());
  }

  bool Use(Text pattern, bool ignore_case) {
    if (parsed_ && source_ == pattern) return valid_;
    source_ = pattern;
    if (ignore_case) {
      ConvertCase(pattern, LetterCase::kLower, &lower_);
      pattern = lower_;
    }
    valid_ = pattern_.Parse(pattern);
    parsed_ = true;
    return valid_;
  }

  bool Matches(Text text, bool ignore_case) {
    if (ignore_case) {
      ConvertCase(text, LetterCase::kLower, &lower_);
      text = lower_;
    }
    return pattern_.Matches(text);
  }

 private:
  std::string source_;
  std::string lower_;
  LikePattern pattern_;
  bool parsed_ = false;
  bool valid_ = false;
};

template <bool kNot, bool kIgnoreCase>
struct Like {
  static Fault Call(CallMemory* memory, Text text, Text pattern, uint8_t* result) {
    LastPattern* const last = LastPattern::Of(memory);
    if (!last->Use(pattern, kIgnoreCase)) return Fault::kTrailingEscape;
    *result = last->Matches(text, kIgnoreCase) != kNot;
    return Fault::kNone;
  }
};

// The same pattern with a backslash as its escape; without an escape character every backslash is
// one of its own.
struct LikeEscape {
  static Fault Call(CallMemory* memory, Text pattern, Text escape, Text* result) {
    if (!escape.empty() && CharacterSize(escape, 0) != escape.size()) {
      return Fault::kInvalidEscape;
    }
    char* place;
    const Fault fault = MakeText(memory, pattern.size() * 2, &place);
    if (fault != Fault::kNone) return fault;
    char* end = place;
    for (size_t i = 0; i < pattern.size();) {
      const size_t size = CharacterSize(pattern, i);
      Text character = pattern.substr(i, size);
      i += size;
      if (!escape.empty() && character == escape) {
        *end++ = '\\';
        if (i == pattern.size()) break;
        character = pattern.substr(i, CharacterSize(pattern, i));
        i += character.size();
      } else if (character == "\\") {
        *end++ = '\\';
      }
      end = std::copy(character.begin(), character.end(), end);
    }
    *result = {place, size_t(end - place)};
    return Fault::kNone;
  }
};

struct Position {
  static Fault Call(CallMemory*, Text text, Text part, int32_t* result) {
    const size_t at = text.find(part);
    *result = at == Text::npos ? 0 : int32_t(CountCharacters(text.substr(0, at))) + 1;
    return Fault::kNone;
  }
};

struct StartsWith {
  static Fault Call(CallMemory*, Text text, Text start, uint8_t* result) {
    *result = text.starts_with(start);
    return Fault::kNone;
  }
};

}  // namespace

std::vector<NamedKernel> TextSearchKernels() {
  const std::vector<Type> two = {Type::kText, Type::kText};
  return {
      {"~~", two, &Custom<Like<false, false>, uint8_t, Text, Text>},
      {"!~~", two, &Custom<Like<true, false>, uint8_t, Text, Text>},
      {"~~*", two, &Custom<Like<false, true>, uint8_t, Text, Text>},
      {"!~~*", two, &Custom<Like<true, true>, uint8_t, Text, Text>},
      {"like_escape", two, &Custom<LikeEscape, Text, Text, Text>},
      {"strpos", two, &Custom<Position, int32_t, Text, Text>},
      {"^@", two, &Custom<StartsWith, uint8_t, Text, Text>},
      {"starts_with", two, &Custom<StartsWith, uint8_t, Text, Text>},
  };
}

}  // namespace millrace
