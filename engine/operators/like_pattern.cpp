#include "engine/operators/like_pattern.h"

#include "engine/operators/utf8.h"

namespace millrace {

bool LikePattern::Parse(std::string_view pattern) {
  pieces_.assign(1, Piece());
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '%') {
      if (pieces_.size() < 2 || !pieces_.back().bytes.empty()) pieces_.emplace_back();
      continue;
    }
    const bool any = c == '_';
    if (c == '\\') {
      if (++i == pattern.size()) {
        pieces_.clear();
        return false;
      }
      c = pattern[i];
    }
    Piece& piece = pieces_.back();
    piece.bytes.push_back(c);
    piece.any.push_back(any);
    piece.has_any |= any;
  }
  return true;
}

size_t LikePattern::MatchAt(const Piece& piece, std::string_view text, size_t at) {
  if (!piece.has_any) {
    return text.substr(at).starts_with(piece.bytes) ? piece.bytes.size() : std::string_view::npos;
  }
  size_t end = at;
  for (size_t i = 0; i < piece.bytes.size(); ++i) {
    if (end >= text.size()) return std::string_view::npos;
    if (piece.any[i]) {
      end += CharacterSize(text, end);
    } else if (text[end++] != piece.bytes[i]) {
      return std::string_view::npos;
    }
  }
  return end - at;
}

size_t LikePattern::FindFrom(const Piece& piece, std::string_view text, size_t at, size_t* end) {
  if (!piece.has_any) {
    const size_t found = text.find(piece.bytes, at);
    if (found != std::string_view::npos) *end = found + piece.bytes.size();
    return found;
  }
  while (at < text.size()) {
    const size_t taken = MatchAt(piece, text, at);
    if (taken != std::string_view::npos) {
      *end = at + taken;
      return at;
    }
    at += CharacterSize(text, at);
  }
  return std::string_view::npos;
}

bool LikePattern::MatchesEnd(const Piece& piece, std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (!piece.has_any) return rest.ends_with(piece.bytes);
  // The piece has a fixed number of characters: step so many back from the end.
  const int64_t characters = CountCharacters(piece.bytes);
  const int64_t available = CountCharacters(rest);
  if (available < characters) return false;
  const size_t start = OffsetOfCharacter(rest, available - characters);
  return MatchAt(piece, rest, start) == rest.size() - start;
}

bool LikePattern::Matches(std::string_view text) const {
  if (pieces_.empty()) return false;
  const Piece& first = pieces_.front();
  const size_t taken = MatchAt(first, text, 0);
  if (taken == std::string_view::npos) return false;
  if (pieces_.size() == 1) return taken == text.size();
  size_t at = taken;
  for (size_t i = 1; i + 1 < pieces_.size(); ++i) {
    size_t end = at;
    if (FindFrom(pieces_[i], text, at, &end) == std::string_view::npos) return false;
    at = end;
  }
  return MatchesEnd(pieces_.back(), text, at);
}

}  // namespace millrace
