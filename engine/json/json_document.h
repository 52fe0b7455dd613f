// One JSON document as a list of token positions, and readers of single values.
//
// simdjson's first stage (chosen for the CPU at run time) finds where tokens begin, checks UTF-8,
// quotes and control characters; the grammar above it is walked here, because a decoder must refuse
// a message that is broken anywhere, also in values that it does not use, which simdjson's
// on-demand parser skips unchecked. Documents are read in place: nothing beyond the last byte of a
// document is ever read.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/json/json_number.h"

namespace millrace {

// Nesting beyond this is refused ("too_deep").
inline constexpr int kJsonDepthMax = 64;

// Resolves escapes of a string's inside (between its quotes) into `unescaped`. False where an
// escape is wrong, a lone half of a surrogate pair included. May be used with any text.
bool UnescapeJson(std::string_view raw, std::string* unescaped);

class JsonDocument {
 public:
  JsonDocument();

  // Finds the tokens of `text`, which must stay valid while they are used. Returns null, or what is
  // wrong. The document is seen to be an object that ends in '}', or an array that ends in ']'.
  const char* Index(std::string_view text);

  // Tokens 0 .. count() - 1; beyond them Char() is 0.
  uint32_t count() const { return count_; }
  char Char(uint32_t token) const { return token < count_ ? text_[tokens_[token]] : '\0'; }
  const char* At(uint32_t token) const { return text_ + tokens_[token]; }

  // The inside of the string that begins at `token`, escapes unresolved. The next token exists,
  // because the document ends in a bracket. False where it is no string.
  bool RawString(uint32_t token, std::string_view* raw) const;

  // Checks the value that begins at `token` and returns the token after it, or 0 where it is
  // malformed or, with `too_deep` set, nested beyond kJsonDepthMax.
  uint32_t SkipValue(uint32_t token, int depth, bool* too_deep);

  // The text of the value from `token` up to `next`, the token after it.
  std::string_view ValueText(uint32_t token, uint32_t next) const;

 private:
  uint32_t SkipObject(uint32_t token, int depth, bool* too_deep);
  uint32_t SkipArray(uint32_t token, int depth, bool* too_deep);

  const char* text_ = nullptr;
  const uint32_t* tokens_ = nullptr;
  uint32_t count_ = 0;
  std::unique_ptr<simdjson::internal::dom_parser_implementation> indexer_;
  std::string scratch_;
};

// A scalar ends here: white space, or what stands between values.
inline bool EndsJsonScalar(char c) {
  return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Whether `word` (true, false, null) stands at `at` and ends there. Reads no further than the
// first byte that differs.
inline bool IsJsonWord(const char* at, std::string_view word) {
  for (const char expected : word) {
    if (*at++ != expected) return false;
  }
  return EndsJsonScalar(*at);
}

}  // namespace millrace
