// An account as text: one JSON object, indented, its members in the order in which they are added.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

class AccountText {
 public:
  // `indent`: blanks in front of the closing brace.
  explicit AccountText(int indent) : indent_(indent) {}

  // `raw` is JSON.
  void Add(std::string_view key, std::string_view raw);
  void Add(std::string_view key, int64_t value) { Add(key, std::to_string(value)); }
  void AddText(std::string_view key, std::string_view value) { Add(key, Quote(value)); }
  void AddNumber(std::string_view key, double value);
  void AddList(std::string_view key, const std::vector<std::string>& texts);
  void AddList(std::string_view key, const std::vector<int64_t>& numbers);
  std::string Close();

 private:
  static std::string Quote(std::string_view value);

  int indent_;
  std::string text_;
};

}  // namespace millrace
