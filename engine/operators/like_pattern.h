// A LIKE pattern: % is any text, _ one character, \ takes the next character as it is. Matching
// takes the leftmost place for each piece between percent signs, so it never backtracks over more
// than one piece.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

class LikePattern {
 public:
  // False where the pattern ends with the escape character; it then matches nothing.
  bool Parse(std::string_view pattern);
  bool Matches(std::string_view text) const;

 private:
  // What stands between percent signs; the bytes of '_' in `bytes` are marked in `any`.
  struct Piece {
    std::string bytes;
    std::vector<bool> any;
    bool has_any = false;
  };

  // Bytes of `text` from `at` on that the piece takes, or npos.
  static size_t MatchAt(const Piece& piece, std::string_view text, size_t at);
  // Where the piece matches first from `at` on; sets its end. npos: nowhere.
  static size_t FindFrom(const Piece& piece, std::string_view text, size_t at, size_t* end);
  // Whether the piece matches a suffix of text[at..].
  static bool MatchesEnd(const Piece& piece, std::string_view text, size_t at);

  std::vector<Piece> pieces_;  // at least one after Parse; n percent signs make n + 1 pieces
};

}  // namespace millrace
