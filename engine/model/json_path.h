// Where in a message a column is read from, as a part of JSONPath (RFC 9535): `$` is the message;
// `.name` or `['name']` a key, `[0]` an item. Names behind a dot are letters, digits and `_` (and
// what is not ASCII); between quotes a backslash stands before a quote or a backslash.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct JsonPathStep {
  std::string key;
  int64_t item = -1;  // not a key but the item at this index

  friend bool operator==(const JsonPathStep&, const JsonPathStep&) = default;
};

inline constexpr size_t kJsonPathStepsMax = 16;
inline constexpr int64_t kJsonPathItemMax = 65'535;

// Whether `from` is a path and not the name of a key.
bool IsJsonPath(std::string_view from);

// The steps of a path; of a key's name a single one. Where it is no path, `error` says why.
std::vector<JsonPathStep> ParseJsonPath(std::string_view from, std::string* error);

}  // namespace millrace
