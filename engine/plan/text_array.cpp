#include "engine/plan/text_array.h"

namespace millrace {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsNull(std::string_view text) {
  constexpr std::string_view kNull = "null";
  if (text.size() != kNull.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (char(text[i] | 0x20) != kNull[i]) return false;
  }
  return true;
}

class ArrayText {
 public:
  explicit ArrayText(std::string_view rest) : rest_(rest) {}

  bool Read(std::vector<std::optional<std::string>>* items) {
    SkipSpace();
    if (!Take('{')) return false;
    SkipSpace();
    if (!Take('}')) {
      do {
        std::optional<std::string> item;
        if (!ReadItem(&item)) return false;
        items->push_back(std::move(item));
      } while (Take(','));
      if (!Take('}')) return false;
    }
    SkipSpace();
    return rest_.empty();
  }

 private:
  void SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // The next character of an item, behind a backslash whatever it is.
  bool TakeOne(std::string* item) {
    if (rest_.front() == '\\') rest_.remove_prefix(1);
    if (rest_.empty()) return false;
    item->push_back(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }

  bool ReadItem(std::optional<std::string>* item) {
    SkipSpace();
    std::string text;
    if (Take('"')) {
      while (!rest_.empty() && rest_.front() != '"') {
        if (!TakeOne(&text)) return false;
      }
      if (!Take('"')) return false;
      SkipSpace();
      *item = std::move(text);
      return true;
    }
    bool escaped = false;
    size_t size = 0;  // without spaces at the end, unless escaped
    while (!rest_.empty() && rest_.front() != ',' && rest_.front() != '}') {
      if (rest_.front() == '"' || rest_.front() == '{') return false;
      const bool backslash = rest_.front() == '\\';
      if (!TakeOne(&text)) return false;
      escaped = escaped || backslash;
      if (backslash || !IsSpace(text.back())) size = text.size();
    }
    text.resize(size);
    if (text.empty()) return false;
    if (escaped || !IsNull(text)) *item = std::move(text);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::vector<std::optional<std::string>>> ParseTextArray(std::string_view text) {
  std::vector<std::optional<std::string>> items;
  if (!ArrayText(text).Read(&items)) return std::nullopt;
  return items;
}

}  // namespace millrace
