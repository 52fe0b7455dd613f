// Characters of UTF-8 text, and their case. Malformed bytes are never read past; each counts as a
// part of the character before it or as one of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

constexpr bool IsContinuation(char byte) { return (uint8_t(byte) & 0xC0) == 0x80; }

int64_t CountCharacters(std::string_view text);
// Byte offset of character `index` (from 0), or the size where there are fewer.
size_t OffsetOfCharacter(std::string_view text, int64_t index);
// Bytes of the character that begins at `offset` < text.size().
size_t CharacterSize(std::string_view text, size_t offset);

enum class LetterCase { kLower, kUpper, kTitle };
// One character for one, as C's towlower and towupper of the C.UTF-8 locale have it, which is what
// PostgreSQL uses. kTitle: initcap. Replaces `out`, whose memory is kept from call to call.
void ConvertCase(std::string_view text, LetterCase letter_case, std::string* out);

}  // namespace millrace
