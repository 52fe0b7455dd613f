#include "engine/model/job.h"

#include <algorithm>

namespace millrace {

SourcePlace PlacedText::PlaceAt(size_t offset) const {
  SourcePlace at = place;
  const size_t end = std::min(offset, text.size());
  for (size_t i = 0; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n') {
      ++at.line;
      at.column = place.column;
    } else if ((byte & 0xC0) != 0x80) {
      ++at.column;
    }
  }
  // An offset inside a character is that character's place.
  if (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --at.column;
  return at;
}

}  // namespace millrace
