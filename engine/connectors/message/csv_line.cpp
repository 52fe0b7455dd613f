#include "engine/connectors/message/csv_line.h"

#include <algorithm>

namespace millrace {
namespace {

// The line that begins at `from` ends here, before its \r\n or \n.
size_t LineEnd(std::string_view text, size_t from) {
  const size_t end = std::min(text.find('\n', from), text.size());
  return end > from && end < text.size() && text[end - 1] == '\r' ? end - 1 : end;
}

bool IsLineEnd(std::string_view text, size_t at) {
  return at == text.size() || text[at] == '\n' ||
         (text[at] == '\r' && text.substr(at, 2) == "\r\n");
}

}  // namespace

bool CsvLineReader::Next(std::string_view* text) {
  while (!text->empty() && IsLineEnd(*text, 0)) {
    text->remove_prefix(text->front() == '\r' ? 2 : 1);
  }
  if (text->empty()) return false;
  cells_.clear();
  unquoted_used_ = 0;
  error_ = nullptr;
  const size_t rest_cell = spec_.rest ? spec_.fields.size() : SIZE_MAX;
  size_t at = 0;
  for (;;) {
    if (cells_.size() + 1 == rest_cell) {
      const size_t end = LineEnd(*text, at);
      cells_.push_back(text->substr(at, end - at));
      at = end;
    } else if (spec_.quote.has_value() && at < text->size() && (*text)[at] == *spec_.quote) {
      cells_.push_back(Unquote(*text, &at));
    } else {
      const size_t end = std::min(text->find(spec_.delimiter, at), LineEnd(*text, at));
      cells_.push_back(text->substr(at, end - at));
      at = end;
    }
    if (error_ != nullptr || IsLineEnd(*text, at)) break;
    if ((*text)[at] != spec_.delimiter) {
      error_ = "something stands between a closing quote and the end of its cell";
      at = LineEnd(*text, at);
      break;
    }
    ++at;
  }
  line_ = text->substr(0, at);
  text->remove_prefix(at);
  return true;
}

// The cell whose opening quote stands at `at`, which is moved behind its closing one.
std::string_view CsvLineReader::Unquote(std::string_view text, size_t* at) {
  const char quote = *spec_.quote;
  const size_t begin = ++*at;
  std::string* unquoted = nullptr;
  for (size_t part = begin;;) {
    const size_t end = text.find(quote, part);
    if (end == std::string_view::npos) {
      error_ = "a quote is not closed";
      *at = text.size();
      return {};
    }
    *at = end + 1;
    const bool doubled = *at < text.size() && text[*at] == quote;
    if (!doubled && unquoted == nullptr) return text.substr(begin, end - begin);
    if (unquoted == nullptr) {
      if (unquoted_used_ == unquoted_.size()) unquoted_.emplace_back();
      unquoted = &unquoted_[unquoted_used_++];
      unquoted->clear();
    }
    unquoted->append(text.substr(part, end - part + (doubled ? 1 : 0)));
    if (!doubled) return *unquoted;
    part = end + 2;
  }
}

}  // namespace millrace
