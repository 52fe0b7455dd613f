#include "engine/operators/utf8.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>

namespace millrace {
namespace {

// Null where the system has no such locale: then only ASCII letters have a case.
locale_t UnicodeLocale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

// 0 where the bytes at `offset` are no well-formed character.
char32_t Decode(std::string_view text, size_t offset, size_t size) {
  const uint8_t lead = uint8_t(text[offset]);
  char32_t code;
  if (size == 2 && (lead & 0xE0) == 0xC0) {
    code = lead & 0x1F;
  } else if (size == 3 && (lead & 0xF0) == 0xE0) {
    code = lead & 0x0F;
  } else if (size == 4 && (lead & 0xF8) == 0xF0) {
    code = lead & 0x07;
  } else {
    return 0;
  }
  for (size_t i = 1; i < size; ++i) code = code << 6 | (uint8_t(text[offset + i]) & 0x3F);
  return code;
}

void Append(char32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(char(code));
  } else if (code < 0x800) {
    out->push_back(char(0xC0 | code >> 6));
    out->push_back(char(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(char(0xE0 | code >> 12));
    out->push_back(char(0x80 | (code >> 6 & 0x3F)));
    out->push_back(char(0x80 | (code & 0x3F)));
  } else {
    out->push_back(char(0xF0 | code >> 18));
    out->push_back(char(0x80 | (code >> 12 & 0x3F)));
    out->push_back(char(0x80 | (code >> 6 & 0x3F)));
    out->push_back(char(0x80 | (code & 0x3F)));
  }
}

bool IsUpperAscii(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLowerAscii(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

int64_t CountCharacters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return !IsContinuation(c); });
}

size_t CharacterSize(std::string_view text, size_t offset) {
  size_t end = offset + 1;
  while (end < text.size() && IsContinuation(text[end])) ++end;
  return end - offset;
}

size_t OffsetOfCharacter(std::string_view text, int64_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += CharacterSize(text, offset);
  return offset;
}

void ConvertCase(std::string_view text, LetterCase letter_case, std::string* out) {
  out->clear();
  bool in_word = false;
  for (size_t offset = 0; offset < text.size();) {
    const char c = text[offset];
    const bool upper =
        letter_case == LetterCase::kUpper || (letter_case == LetterCase::kTitle && !in_word);
    if (uint8_t(c) < 0x80) {
      if (upper) {
        out->push_back(IsLowerAscii(c) ? char(c - 32) : c);
      } else {
        out->push_back(IsUpperAscii(c) ? char(c + 32) : c);
      }
      in_word = IsUpperAscii(c) || IsLowerAscii(c) || (c >= '0' && c <= '9');
      ++offset;
      continue;
    }
    const size_t size = CharacterSize(text, offset);
    const char32_t code = Decode(text, offset, size);
    const locale_t locale = UnicodeLocale();
    if (code == 0 || locale == nullptr) {
      out->append(text.substr(offset, size));
      in_word = false;
    } else {
      const wint_t wide = wint_t(code);
      Append(char32_t(upper ? towupper_l(wide, locale) : towlower_l(wide, locale)), out);
      in_word = iswalnum_l(wide, locale) != 0;
    }
    offset += size;
  }
}

}  // namespace millrace
