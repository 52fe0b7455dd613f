// ~ and its kin, regexp_like, regexp_count, regexp_instr, regexp_substr,
// regexp_replace, substring by a pattern.
#include <algorithm>

#include "engine/operators/kernel_loops.h"
#include "engine/operators/utf8.h"
#include "engine/plan/regular_expression.h"

namespace millrace {
namespace {

using Text = std::string_view;

re2::StringPiece Piece(Text text) { return {text.data(), text.size()}; }

// The pattern of the last row, which is nearly always a literal.
class LastExpression : public KernelState {
 public:
  // Null: the pattern cannot be used.
  static LastExpression* Of(CallMemory* memory, Text pattern, Text flags, bool may_be_global) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastExpression>();
    auto* const last = static_cast<LastExpression*>(memory->state.get());
    if (!last->known_ || last->pattern_ != pattern || last->flags_ != flags) {
      last->known_ = true;
      last->pattern_ = pattern;
      last->flags_ = flags;
      last->global_ = false;
      last->rewrite_known_ = false;
      std::string error;
      last->compiled_ =
          CompilePattern(pattern, flags, may_be_global ? &last->global_ : nullptr, &error);
    }
    return last->compiled_ == nullptr ? nullptr : last;
  }

  const RE2& expression() const { return *compiled_; }
  bool global() const { return global_; }

  // The replacement for this expression, and it is nearly always the last row's, too.
  const std::string& Rewrite(Text replacement) {
    if (!rewrite_known_ || replacement_ != replacement) {
      rewrite_known_ = true;
      replacement_ = replacement;
      rewrite_ = RewriteOf(replacement, compiled_->NumberOfCapturingGroups());
    }
    return rewrite_;
  }

  // From `start` on: the match, or the first group where there is one. Null view: no match.
  Text Find(Text text, size_t start, bool first_group) const {
    re2::StringPiece parts[2];
    const int groups = first_group && compiled_->NumberOfCapturingGroups() > 0 ? 2 : 1;
    if (!compiled_->Match(Piece(text), start, text.size(), RE2::UNANCHORED, parts, groups)) {
      return {};
    }
    const re2::StringPiece& found = parts[groups - 1];
    return {found.data(), found.size()};
  }

 private:
  bool known_ = false;
  bool global_ = false;
  std::string pattern_;
  std::string flags_;
  std::unique_ptr<RE2> compiled_;
  bool rewrite_known_ = false;
  std::string replacement_;
  std::string rewrite_;
};

struct MatchesWithFlags {
  static Fault Call(CallMemory* memory, Text text, Text pattern, Text flags, uint8_t* result) {
    const auto* last = LastExpression::Of(memory, pattern, flags, false);
    if (last == nullptr) return Fault::kInvalidRegularExpression;
    *result = RE2::PartialMatch(Piece(text), last->expression());
    return Fault::kNone;
  }
};

template <bool kNot, bool kIgnoreCase>
struct Matches {
  static Fault Call(CallMemory* memory, Text text, Text pattern, uint8_t* result) {
    const Fault fault =
        MatchesWithFlags::Call(memory, text, pattern, kIgnoreCase ? "i" : "", result);
    *result ^= uint8_t(kNot);
    return fault;
  }
};

// Where the search goes on after a match: an empty one moves on by a character.
size_t After(Text text, Text found) {
  const size_t end = size_t(found.data() - text.data()) + found.size();
  if (!found.empty()) return end;
  return end < text.size() ? end + CharacterSize(text, end) : end + 1;
}

struct Count {
  static Fault Call(CallMemory* memory, Text text, Text pattern, int32_t* result) {
    const auto* last = LastExpression::Of(memory, pattern, "", false);
    if (last == nullptr) return Fault::kInvalidRegularExpression;
    *result = 0;
    for (size_t start = 0; start <= text.size();) {
      const Text found = last->Find(text, start, /*first_group=*/false);
      if (found.data() == nullptr) break;
      ++*result;
      start = After(text, found);
    }
    return Fault::kNone;
  }
};

// Where the first match begins, in characters from 1; 0: nowhere.
struct Position {
  static Fault Call(CallMemory* memory, Text text, Text pattern, int32_t* result) {
    const auto* last = LastExpression::Of(memory, pattern, "", false);
    if (last == nullptr) return Fault::kInvalidRegularExpression;
    const Text found = last->Find(text, 0, /*first_group=*/false);
    *result =
        found.data() == nullptr
            ? 0
            : int32_t(CountCharacters(text.substr(0, size_t(found.data() - text.data())))) + 1;
    return Fault::kNone;
  }
};

struct Replace {
  // Stops where the result is longer than a text may be.
  static bool Run(const RE2& expression, bool global, Text text, const std::string& rewrite,
                  std::string* replaced) {
    constexpr int kGroups = 10;  // the whole match and \1 to \9
    re2::StringPiece groups[kGroups];
    const int used = std::min(kGroups, expression.NumberOfCapturingGroups() + 1);
    size_t copied = 0;
    for (size_t start = 0; start <= text.size();) {
      if (!expression.Match(Piece(text), start, text.size(), RE2::UNANCHORED, groups, used)) break;
      const Text found(groups[0].data(), groups[0].size());
      const auto begin = size_t(found.data() - text.data());
      replaced->append(text.substr(copied, begin - copied));
      expression.Rewrite(replaced, rewrite, groups, used);
      if (replaced->size() > kTextBytesMax) return false;
      copied = begin + found.size();
      start = After(text, found);
      if (!global) break;
    }
    replaced->append(text.substr(copied));
    return replaced->size() <= kTextBytesMax;
  }
  static Fault Put(CallMemory* memory, Text pattern, Text text, Text replacement, Text flags,
                   Text* result) {
    auto* const last = LastExpression::Of(memory, pattern, flags, true);
    if (last == nullptr) return Fault::kInvalidRegularExpression;
    std::string replaced;
    if (!Run(last->expression(), last->global(), text, last->Rewrite(replacement), &replaced)) {
      return Fault::kTextTooLong;
    }
    return KeepText(memory, replaced, result);
  }
  static Fault Call(CallMemory* memory, Text text, Text pattern, Text replacement, Text* result) {
    return Put(memory, pattern, text, replacement, "", result);
  }
};

struct ReplaceWithFlags {
  static Fault Call(CallMemory* memory, Text text, Text pattern, Text replacement, Text flags,
                    Text* result) {
    return Replace::Put(memory, pattern, text, replacement, flags, result);
  }
};

// regexp_substr gives the whole match, substring(x from pattern) its first group; both null where
// there is none.
template <bool kFirstGroup>
Status Substring(const KernelCall& call, Column* out) {
  const int64_t rows = call.frame->rows();
  ARROW_ASSIGN_OR_RAISE(Text * values, call.memory->values.Allocate<Text>(rows));
  ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, call.memory->nulls.Allocate<uint8_t>(rows));
  const ValueReader<Text> texts = ReaderOf<Text>(call.args[0]);
  const ValueReader<Text> patterns = ReaderOf<Text>(call.args[1]);
  call.rows.ForEach([&](int64_t row) {
    values[row] = "";
    nulls[row] = 1;
    if (call.args[0].IsNull(row) || call.args[1].IsNull(row)) return;
    const auto* last = LastExpression::Of(call.memory, patterns[row], "", false);
    if (last == nullptr) {
      call.frame->Fail(row, Fault::kInvalidRegularExpression, call.where);
      return;
    }
    const Text found = last->Find(texts[row], 0, kFirstGroup);
    if (found.data() == nullptr) return;
    values[row] = found;
    nulls[row] = 0;
  });
  *out = Column();
  out->type = Type::kText;
  out->values = values;
  out->nulls = nulls;
  return Status::OK();
}

}  // namespace

std::vector<NamedKernel> RegularExpressionKernels() {
  constexpr Type kTxt = Type::kText;
  const std::vector<Type> two = {kTxt, kTxt};
  const std::vector<Type> three = {kTxt, kTxt, kTxt};
  return {
      {"~", two, &Custom<Matches<false, false>, uint8_t, Text, Text>},
      {"~*", two, &Custom<Matches<false, true>, uint8_t, Text, Text>},
      {"!~", two, &Custom<Matches<true, false>, uint8_t, Text, Text>},
      {"!~*", two, &Custom<Matches<true, true>, uint8_t, Text, Text>},
      {"regexp_like", two, &Custom<Matches<false, false>, uint8_t, Text, Text>},
      {"regexp_like", three, &Custom<MatchesWithFlags, uint8_t, Text, Text, Text>},
      {"regexp_count", two, &Custom<Count, int32_t, Text, Text>},
      {"regexp_instr", two, &Custom<Position, int32_t, Text, Text>},
      {"regexp_substr", two, &Substring<false>},
      {"substring", two, &Substring<true>},
      {"regexp_replace", three, &Custom<Replace, Text, Text, Text, Text>},
      {"regexp_replace",
       {kTxt, kTxt, kTxt, kTxt},
       &Custom<ReplaceWithFlags, Text, Text, Text, Text, Text>},
  };
}

}  // namespace millrace
