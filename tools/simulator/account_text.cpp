#include "tools/simulator/account_text.h"

#include <cstdio>

namespace millrace {

void AccountText::Add(std::string_view key, std::string_view raw) {
  text_ += text_.empty() ? "{\n" : ",\n";
  text_.append(size_t(indent_) + 2, ' ');
  text_.append("\"").append(key).append("\": ").append(raw);
}

void AccountText::AddNumber(std::string_view key, double value) {
  char digits[40];
  std::snprintf(digits, sizeof(digits), "%.10g", value);
  Add(key, digits);
}

void AccountText::AddList(std::string_view key, const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + Quote(text);
  Add(key, "[" + list + "]");
}

void AccountText::AddList(std::string_view key, const std::vector<int64_t>& numbers) {
  std::string list;
  for (int64_t number : numbers) list += (list.empty() ? "" : ", ") + std::to_string(number);
  Add(key, "[" + list + "]");
}

std::string AccountText::Close() {
  if (text_.empty()) return "{}";
  return text_ + "\n" + std::string(size_t(indent_), ' ') + "}";
}

std::string AccountText::Quote(std::string_view value) {
  std::string quoted = "\"";
  for (char c : value) {
    if (uint8_t(c) < 0x20) continue;
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace millrace
