// JSON values as text, as PostgreSQL's type json keeps them: whether a text is one, and what stands
// inside it, given as it is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  // All items of an array, in order; false where `json` is none. Of one that has more than
  // `items_max` the first ones, and one more.
  bool Items(std::string_view json, size_t items_max, std::vector<std::string_view>* items);

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

enum class JsonAsText { kText, kNull, kInvalid, kHoldsNul };

// A value without white space around it as ->> gives it: strings without quotes and escapes, null
// as kNull, all else as it is written. `text` points into `json` or `scratch`. kHoldsNul: the
// string has a \u0000, which no text can hold.
JsonAsText ReadJsonAsText(std::string_view json, std::string* scratch, std::string_view* text);

}  // namespace millrace
