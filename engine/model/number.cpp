#include "engine/model/number.h"

#include <fast_float/fast_float.h>

#include <charconv>
#include <cmath>

namespace millrace {
namespace {

// from_chars takes no plus sign; "+-1" is no number.
bool DropPlus(std::string_view* text) {
  if (!text->empty() && text->front() == '+') {
    text->remove_prefix(1);
    if (!text->empty() && text->front() == '-') return false;
  }
  return !text->empty();
}

template <typename T>
bool ParseFloating(std::string_view text, T* value) {
  if (!DropPlus(&text)) return false;
  const char* const end = text.data() + text.size();
  T parsed;
  const auto [stop, error] = fast_float::from_chars(text.data(), end, parsed);
  if (stop != end || error == std::errc::invalid_argument) return false;
  // Infinity is meant only where it is written as a word.
  if (std::isinf(parsed) && text.find_first_of("nN") == std::string_view::npos) return false;
  *value = parsed;
  return true;
}

}  // namespace

bool ParseDouble(std::string_view text, double* value) { return ParseFloating(text, value); }
bool ParseReal(std::string_view text, float* value) { return ParseFloating(text, value); }

bool ParseInt64(std::string_view text, int64_t* value) {
  if (!DropPlus(&text)) return false;
  const char* const end = text.data() + text.size();
  int64_t parsed;
  const auto [stop, error] = std::from_chars(text.data(), end, parsed);
  if (stop != end || error != std::errc()) return false;
  *value = parsed;
  return true;
}

}  // namespace millrace
