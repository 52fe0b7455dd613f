#include "engine/json/json_text.h"

namespace millrace {
namespace {

bool IsJsonSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

std::string_view TrimJson(std::string_view json) {
  while (!json.empty() && IsJsonSpace(json.front())) json.remove_prefix(1);
  while (!json.empty() && IsJsonSpace(json.back())) json.remove_suffix(1);
  return json;
}

std::string_view JsonKind(std::string_view json) {
  json = TrimJson(json);
  switch (json.empty() ? '\0' : json.front()) {
    case '{':
      return "object";
    case '[':
      return "array";
    case '"':
      return "string";
    case 't':
    case 'f':
      return "boolean";
    case 'n':
      return "null";
    default:
      return "number";
  }
}

// As the one item of an array, so that what stands behind a scalar is never beyond the text.
const char* JsonText::Check(std::string_view text) {
  scratch_.assign(1, '[').append(text).push_back(']');
  if (const char* error = document_.Index(scratch_)) return error;
  too_deep_ = false;
  const uint32_t end = document_.SkipValue(1, 0, &too_deep_);
  if (too_deep_) return "nested too deep";
  return end != 0 && end + 1 == document_.count() ? nullptr : "not JSON";
}

bool JsonText::Open(std::string_view json, char bracket) {
  json = TrimJson(json);
  return !json.empty() && json.front() == bracket && document_.Index(json) == nullptr;
}

std::optional<std::string_view> JsonText::Member(std::string_view json, std::string_view key) {
  if (!Open(json, '{')) return std::nullopt;
  std::optional<std::string_view> found;
  for (uint32_t token = 1; document_.Char(token) == '"'; ++token) {
    std::string_view name;
    if (!document_.RawString(token, &name)) return std::nullopt;
    bool same = name == key;
    if (!same && name.find('\\') != std::string_view::npos) {
      same = UnescapeJson(name, &scratch_) && scratch_ == key;
    }
    const uint32_t value = token + 2;
    token = document_.SkipValue(value, 1, &too_deep_);
    if (token == 0) return std::nullopt;
    if (same) found = document_.ValueText(value, token);
  }
  return found;
}

std::optional<std::string_view> JsonText::Item(std::string_view json, int64_t index) {
  if (index < 0) {
    const int64_t length = Length(json);
    if (length < 0 || index < -length) return std::nullopt;
    index += length;
  }
  if (!Open(json, '[')) return std::nullopt;
  uint32_t token = 1;
  for (int64_t at = 0; document_.Char(token) != ']'; ++token, ++at) {
    const uint32_t value = token;
    token = document_.SkipValue(value, 1, &too_deep_);
    if (token == 0) return std::nullopt;
    if (at == index) return document_.ValueText(value, token);
    if (document_.Char(token) != ',') return std::nullopt;
  }
  return std::nullopt;
}

int64_t JsonText::Length(std::string_view json) {
  if (!Open(json, '[')) return -1;
  int64_t length = 0;
  for (uint32_t token = 1; document_.Char(token) != ']'; ++token) {
    token = document_.SkipValue(token, 1, &too_deep_);
    if (token == 0) return -1;
    ++length;
    if (document_.Char(token) != ',') break;
  }
  return length;
}

bool JsonText::Items(std::string_view json, size_t items_max,
                     std::vector<std::string_view>* items) {
  items->clear();
  if (!Open(json, '[')) return false;
  for (uint32_t token = 1; document_.Char(token) != ']'; ++token) {
    const uint32_t value = token;
    token = document_.SkipValue(value, 1, &too_deep_);
    if (token == 0) return false;
    items->push_back(document_.ValueText(value, token));
    if (document_.Char(token) != ',' || items->size() > items_max) break;
  }
  return true;
}

JsonAsText ReadJsonAsText(std::string_view json, std::string* scratch, std::string_view* text) {
  *text = json;
  if (json.empty() || json == "null") return JsonAsText::kNull;
  if (json.front() != '"') return JsonAsText::kText;
  *text = json.substr(1, json.size() - 2);
  if (text->find('\\') == std::string_view::npos) return JsonAsText::kText;
  if (!UnescapeJson(*text, scratch)) return JsonAsText::kInvalid;
  *text = *scratch;
  return text->find('\0') == std::string_view::npos ? JsonAsText::kText : JsonAsText::kHoldsNul;
}

}  // namespace millrace
