#include "engine/plan/regular_expression.h"

namespace millrace {
namespace {

constexpr int64_t kMemoryBytesMax = 8 << 20;  // of one compiled pattern and its matching

// What stands for a class of characters within brackets: RE2's own are of ASCII only.
std::string_view UnicodeClass(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
      {"[:alpha:]", "\\pL"},
      {"[:alnum:]", "\\pL\\p{Nd}"},
      {"[:upper:]", "\\p{Lu}"},
      {"[:lower:]", "\\p{Ll}"},
      {"\\w", "\\pL\\p{Nd}_"}};
  for (const auto& [known, unicode] : kClasses) {
    if (name.starts_with(known)) return unicode;
  }
  return {};
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// What begins at a '{' that a digit follows is {m}, {m,} or {m,n}: RE2 takes anything else for
// plain characters.
bool IsBound(std::string_view text) {
  size_t i = 1;
  while (i < text.size() && IsDigit(text[i])) ++i;
  if (i < text.size() && text[i] == ',') ++i;
  while (i < text.size() && IsDigit(text[i])) ++i;
  return i < text.size() && text[i] == '}';
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : rest_(pattern) {}

  // False where RE2 has no equivalent, or would take for another thing what PostgreSQL refuses;
  // then `error` says what.
  bool Run(std::string* out, std::string* error) {
    while (!rest_.empty() && error_.empty()) {
      if (rest_.size() > 1 && rest_[0] == '\\') {
        TakeEscape(out);
      } else if (in_brackets_ && rest_.starts_with("[:")) {
        TakeClass(out);
      } else if (in_brackets_ && (rest_.starts_with("[.") || rest_.starts_with("[="))) {
        error_ = "[. .] and [= =] in brackets are not supported";
      } else if (!in_brackets_ && rest_[0] == '{' && rest_.size() > 1 && IsDigit(rest_[1]) &&
                 !IsBound(rest_)) {
        error_ = "expected {m}, {m,} or {m,n}: ";
        error_ += rest_.substr(0, rest_.find('}'));
      } else {
        TakeCharacter(out);
      }
    }
    *error = error_;
    return error_.empty();
  }

 private:
  void TakeCharacter(std::string* out) {
    if (!in_brackets_ && rest_[0] == '[') {
      in_brackets_ = true;
      // A bracket that comes first, after '^' too, is one of the characters.
      size_t size = rest_.starts_with("[^") ? 2 : 1;
      if (rest_.substr(size).starts_with(']')) ++size;
      Take(size, out);
      return;
    }
    if (rest_[0] == ']') in_brackets_ = false;
    Take(1, out);
  }

  void TakeClass(std::string* out) {
    const size_t end = rest_.find(":]");
    const std::string_view unicode = UnicodeClass(rest_);
    if (end == std::string_view::npos) {
      Take(2, out);  // RE2 says what is wrong
    } else if (unicode.empty()) {
      Take(end + 2, out);
    } else {
      out->append(unicode);
      rest_.remove_prefix(end + 2);
    }
  }

  void TakeEscape(std::string* out) {
    const char escape = rest_[1];
    std::string_view other;
    switch (escape) {
      case 'm':
      case 'M':
      case 'b':  // a backspace in PostgreSQL
      case 'B':  // a backslash there
        error_.append({'\\', escape});
        error_ += " is not supported; \\y is a word's beginning or end";
        return;
      // Of RE2 only.
      case 'C':
      case 'E':
      case 'P':
      case 'Q':
      case 'p':
      case 'z':
        error_ += "invalid escape sequence: ";
        error_.append({'\\', escape});
        return;
      case 'y':
        other = "\\b";
        break;
      case 'Y':
        other = "\\B";
        break;
      case 'Z':
        other = "\\z";
        break;
      case 'w':
        other = in_brackets_ ? UnicodeClass("\\w") : "[\\pL\\p{Nd}_]";
        break;
      case 'W':
        if (in_brackets_) {
          error_ = "\\W in brackets is not supported";
          return;
        }
        other = "[^\\pL\\p{Nd}_]";
        break;
      default:
        // A digit would be a back reference, which RE2 refuses by itself.
        Take(2, out);
        return;
    }
    out->append(other);
    rest_.remove_prefix(2);
  }

  void Take(size_t size, std::string* out) {
    out->append(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }

  std::string_view rest_;
  bool in_brackets_ = false;
  std::string error_;
};

// A quantifier followed by '?', outside of brackets and not escaped.
bool IsNonGreedy(std::string_view pattern) {
  bool in_brackets = false;
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
    } else if (c == '[' && !in_brackets) {
      in_brackets = true;
      // A bracket that comes first is one of the characters.
      if (pattern[i + 1] == '^') ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') ++i;
    } else if (c == ']') {
      in_brackets = false;
    } else if (!in_brackets && (c == '*' || c == '+' || c == '?' || c == '}') &&
               pattern[i + 1] == '?') {
      return true;
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<RE2> CompilePattern(std::string_view pattern, std::string_view flags, bool* global,
                                    std::string* error) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(kMemoryBytesMax);
  options.set_longest_match(!IsNonGreedy(pattern));
  for (const char flag : flags) {
    if (flag == 'i' || flag == 'c') {
      options.set_case_sensitive(flag == 'c');
    } else if (flag == 'g' && global != nullptr) {
      *global = true;
    } else {
      *error = "option '" + std::string(1, flag) + "' is not supported; known: i, c" +
               (global != nullptr ? ", g" : "");
      return nullptr;
    }
  }
  if (pattern.size() > kPatternBytesMax) {
    *error = "longer than " + std::to_string(kPatternBytesMax) + " bytes";
    return nullptr;
  }
  std::string translated;
  if (!Translator(pattern).Run(&translated, error)) return nullptr;
  auto compiled = std::make_unique<RE2>(translated, options);
  if (compiled->ok()) return compiled;
  *error = compiled->error();
  return nullptr;
}

std::string RewriteOf(std::string_view replacement, int groups) {
  std::string rewrite;
  for (size_t i = 0; i < replacement.size(); ++i) {
    const char c = replacement[i];
    const char next = c == '\\' && i + 1 < replacement.size() ? replacement[i + 1] : '\0';
    if (next >= '1' && next <= '9') {
      if (next - '0' <= groups) rewrite.append({'\\', next});
      ++i;
    } else if (next == '&') {
      rewrite.append("\\0");
      ++i;
    } else if (c == '\\') {
      rewrite.append("\\\\");
      if (next == '\\') ++i;
    } else {
      rewrite.push_back(c);
    }
  }
  return rewrite;
}

std::string PatternOfSimilar(std::string_view pattern) {
  std::string expression = "^(?:";
  bool in_brackets = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      expression.append({'\\', pattern[++i]});
    } else if (in_brackets) {
      expression.push_back(c);
      in_brackets = c != ']';
    } else if (c == '[') {
      expression.push_back(c);
      in_brackets = true;
    } else if (c == '%') {
      expression.append(".*");
    } else if (c == '_') {
      expression.push_back('.');
    } else if (c == '.' || c == '^' || c == '$') {
      expression.append({'\\', c});
    } else {
      expression.push_back(c);
    }
  }
  return expression + ")$";
}

}  // namespace millrace
