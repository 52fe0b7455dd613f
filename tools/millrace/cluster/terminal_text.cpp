#include "tools/millrace/cluster/terminal_text.h"

#include <spdlog/fmt/fmt.h>

#include <cstdint>

namespace millrace {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

bool IsContinuation(char byte) { return (uint8_t(byte) & 0xC0) == 0x80; }

// The character at the front of `text`, which is not empty.
Character First(std::string_view text) {
  const auto lead = uint8_t(text.front());
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {lead, 1, false};
  uint32_t code = lead & (0x7FU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(text[i])) return {lead, 1, false};
    code = code << 6 | (uint8_t(text[i]) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[bytes] || code > 0x10FFFF || surrogate) return {lead, 1, false};
  return {code, bytes, true};
}

bool IsControl(uint32_t code) {
  if (code < 0x20 || (code >= 0x7F && code <= 0x9F)) return true;
  // Direction of text, and breaks of lines and paragraphs.
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

std::string Escaped(const Character& character) {
  if (!character.valid) return fmt::format("\\x{:02x}", character.code);
  switch (character.code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return character.code < 0x100 ? fmt::format("\\x{:02x}", character.code)
                                    : fmt::format("\\u{:04x}", character.code);
  }
}

// Each character, as `escape` has it where it is a control character or no character at all.
template <typename Escape>
std::string Map(std::string_view text, const Escape& escape) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = First(text);
    if (character.valid && !IsControl(character.code)) {
      result += text.substr(0, character.bytes);
    } else {
      result += escape(character);
    }
    text.remove_prefix(character.bytes);
  }
  return result;
}

}  // namespace

std::string EscapeLine(std::string_view text) { return Map(text, Escaped); }

std::string EscapeLines(std::string_view text, std::string_view indent) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return Map(text, [&](const Character& character) {
    if (character.valid && character.code == '\n') return "\n" + std::string(indent);
    if (character.valid && character.code == '\t') return std::string("\t");
    return Escaped(character);
  });
}

std::string EscapeJson(std::string_view json) {
  return Map(json, [](const Character& character) {
    return fmt::format("\\u{:04x}", character.valid ? character.code : 0xFFFD);
  });
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (const char byte : text) width += IsContinuation(byte) ? 0 : 1;
  return width;
}

std::string_view CutToWidth(std::string_view text, size_t width) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    if (!IsContinuation(text[bytes]) && width-- == 0) break;
    ++bytes;
  }
  return text.substr(0, bytes);
}

}  // namespace millrace
