#include "engine/json/json_document.h"

namespace millrace {
namespace {

constexpr size_t kFirstCapacityBytes = 16 * 1024;

uint32_t Digit(char c) { return uint32_t(static_cast<unsigned char>(c)) - '0'; }

bool ReadHex4(std::string_view raw, size_t at, uint32_t* value) {
  if (at + 4 > raw.size()) return false;
  uint32_t result = 0;
  for (size_t i = at; i < at + 4; ++i) {
    const char c = raw[i];
    uint32_t digit = Digit(c);
    if (digit > 9) {
      const char lower = char(c | 0x20);
      if (lower < 'a' || lower > 'f') return false;
      digit = uint32_t(lower - 'a') + 10;
    }
    result = result * 16 + digit;
  }
  *value = result;
  return true;
}

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(char(code));
  } else if (code < 0x800) {
    out->push_back(char(0xC0 | (code >> 6)));
    out->push_back(char(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(char(0xE0 | (code >> 12)));
    out->push_back(char(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(char(0x80 | (code & 0x3F)));
  } else {
    out->push_back(char(0xF0 | (code >> 18)));
    out->push_back(char(0x80 | ((code >> 12) & 0x3F)));
    out->push_back(char(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(char(0x80 | (code & 0x3F)));
  }
}

// "\uXXXX", with its second half where it is the first of a pair. `at`: behind the 'u'; moved on.
bool UnescapeUnicode(std::string_view raw, size_t* at, std::string* out) {
  uint32_t code;
  if (!ReadHex4(raw, *at, &code)) return false;
  *at += 4;
  if (code >= 0xDC00 && code < 0xE000) return false;
  if (code >= 0xD800 && code < 0xDC00) {
    uint32_t low;
    if (raw.substr(*at, 2) != "\\u" || !ReadHex4(raw, *at + 2, &low)) return false;
    if (low < 0xDC00 || low >= 0xE000) return false;
    *at += 6;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  AppendUtf8(code, out);
  return true;
}

char UnescapeSimple(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

const char* IndexError(simdjson::error_code error) {
  switch (error) {
    case simdjson::UTF8_ERROR:
      return "not valid UTF-8";
    case simdjson::UNCLOSED_STRING:
      return "a string is not closed";
    case simdjson::UNESCAPED_CHARS:
      return "a string holds a control character that is not escaped";
    case simdjson::EMPTY:
      return "empty";
    default:
      return "not JSON";
  }
}

}  // namespace

bool UnescapeJson(std::string_view raw, std::string* unescaped) {
  unescaped->clear();
  size_t at = 0;
  for (;;) {
    const size_t escape = raw.find('\\', at);
    unescaped->append(raw.substr(at, escape - at));
    if (escape == std::string_view::npos) return true;
    if (escape + 1 >= raw.size()) return false;
    at = escape + 2;
    if (raw[escape + 1] == 'u') {
      if (!UnescapeUnicode(raw, &at, unescaped)) return false;
      continue;
    }
    const char c = UnescapeSimple(raw[escape + 1]);
    if (c == '\0') return false;
    unescaped->push_back(c);
  }
}

JsonDocument::JsonDocument() {
  const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
      kFirstCapacityBytes, kJsonDepthMax, indexer_);
  if (error != simdjson::SUCCESS) indexer_.reset();
}

const char* JsonDocument::Index(std::string_view text) {
  if (indexer_ == nullptr) return "no memory to read it";
  if (text.empty()) return "empty";
  if (text.size() > indexer_->capacity()) {
    const size_t capacity = std::max(text.size(), indexer_->capacity() * 2);
    if (indexer_->set_capacity(capacity) != simdjson::SUCCESS) return "no memory to read it";
  }
  const auto error = indexer_->stage1(reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                                      simdjson::stage1_mode::regular);
  if (error != simdjson::SUCCESS) return IndexError(error);
  text_ = text.data();
  tokens_ = indexer_->structural_indexes.get();
  count_ = indexer_->n_structural_indexes;
  if (Char(0) != '{' && Char(0) != '[') return "neither an object nor an array";
  if (Char(count_ - 1) != (Char(0) == '{' ? '}' : ']')) {
    return "cut off, or followed by something else";
  }
  return nullptr;
}

bool JsonDocument::RawString(uint32_t token, std::string_view* raw) const {
  const char* const begin = At(token);
  if (*begin != '"' || token + 1 >= count_) return false;
  // Only white space can stand between a closing quote and the next token.
  const char* end = At(token + 1) - 1;
  while (*end != '"') --end;
  *raw = {begin + 1, size_t(end - begin - 1)};
  return end > begin;
}

std::string_view JsonDocument::ValueText(uint32_t token, uint32_t next) const {
  const char* const begin = At(token);
  if (*begin == '{' || *begin == '[') return {begin, size_t(At(next - 1) + 1 - begin)};
  const char* end = At(next);
  while (end > begin && EndsJsonScalar(end[-1])) --end;
  return {begin, size_t(end - begin)};
}

uint32_t JsonDocument::SkipValue(uint32_t token, int depth, bool* too_deep) {
  if (token >= count_) return 0;
  const char* const at = At(token);
  switch (*at) {
    case '"': {
      std::string_view raw;
      if (!RawString(token, &raw)) return 0;
      if (raw.find('\\') != std::string_view::npos && !UnescapeJson(raw, &scratch_)) return 0;
      return token + 1;
    }
    case '{':
      return SkipObject(token, depth, too_deep);
    case '[':
      return SkipArray(token, depth, too_deep);
    case 't':
      return IsJsonWord(at, "true") ? token + 1 : 0;
    case 'f':
      return IsJsonWord(at, "false") ? token + 1 : 0;
    case 'n':
      return IsJsonWord(at, "null") ? token + 1 : 0;
    default: {
      JsonNumber number;
      const char* const end = ReadJsonNumber(at, &number);
      return end != nullptr && EndsJsonScalar(*end) ? token + 1 : 0;
    }
  }
}

uint32_t JsonDocument::SkipObject(uint32_t token, int depth, bool* too_deep) {
  if (depth >= kJsonDepthMax) {
    *too_deep = true;
    return 0;
  }
  if (Char(++token) == '}') return token + 1;
  for (;; ++token) {
    if (Char(token) != '"' || Char(token + 1) != ':') return 0;
    if (SkipValue(token, depth, too_deep) == 0) return 0;  // the key's escapes
    token = SkipValue(token + 2, depth + 1, too_deep);
    if (token == 0) return 0;
    if (Char(token) == '}') return token + 1;
    if (Char(token) != ',') return 0;
  }
}

uint32_t JsonDocument::SkipArray(uint32_t token, int depth, bool* too_deep) {
  if (depth >= kJsonDepthMax) {
    *too_deep = true;
    return 0;
  }
  if (Char(++token) == ']') return token + 1;
  for (;; ++token) {
    token = SkipValue(token, depth + 1, too_deep);
    if (token == 0) return 0;
    if (Char(token) == ']') return token + 1;
    if (Char(token) != ',') return 0;
  }
}

}  // namespace millrace
