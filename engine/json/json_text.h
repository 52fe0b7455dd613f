// JSON values as text, as PostgreSQL's type json keeps them: whether a text is one, and what stands
// inside it, given as it is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/json/json_document.h"

namespace millrace {

// One thread at a time; keeps its memory from one text to the next. Views point into the text that
// they were asked of, or are valid until the next call.
class JsonText {
 public:
  // Null where `text` is one JSON value of any kind with at most white space around it, nested no
  // deeper than kJsonDepthMax; else what is wrong.
  const char* Check(std::string_view text);

  // Of texts that Check takes:

  // The value under `key`, the last one where it stands twice; none where there is none, or `json`
  // is no object.
  std::optional<std::string_view> Member(std::string_view json, std::string_view key);
  // The item at `index`, counted from the end where it is negative; none where there is none, or
  // `json` is no array.
  std::optional<std::string_view> Item(std::string_view json, int64_t index);
  // How many items an array has; -1 where it is none.
  int64_t Length(std::string_view json);

 private:
  bool Open(std::string_view json, char bracket);

  JsonDocument document_;
  std::string scratch_;
  bool too_deep_ = false;
};

// "object", "array", "string", "number", "boolean", "null": by the first byte that is no space.
std::string_view JsonKind(std::string_view json);

// Without white space around it.
std::string_view TrimJson(std::string_view json);

}  // namespace millrace
