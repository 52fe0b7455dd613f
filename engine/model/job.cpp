#include "engine/model/job.h"

#include <algorithm>

namespace millrace {

SourcePlace PlacedText::PlaceAt(size_t offset) const {
  const size_t end = std::min(offset, text.size());
  SourcePlace at = place;
  size_t begin = 0;
  const auto after =
      std::upper_bound(pieces.begin(), pieces.end(), end,
                       [](size_t wanted, const Piece& piece) { return wanted < piece.offset; });
  if (after != pieces.begin()) {
    at = std::prev(after)->place;
    begin = std::prev(after)->offset;
  }
  for (size_t i = begin; i < end; ++i) {
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
