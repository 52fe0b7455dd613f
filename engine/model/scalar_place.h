// Where the characters of a YAML scalar stand in the file. yaml-cpp tells where a scalar begins;
// what is inside (the lines of a block, folded lines, escapes) is found by reading the file's text
// along with the value.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"

namespace millrace {

// The file's text with its line starts. A byte order mark at its start counts as a character of
// the first line, as it does where the line is shown.
class FileText {
 public:
  explicit FileText(std::string_view text);
  std::string_view text() const { return text_; }
  // `line` and `column_bytes` count from 0, as yaml-cpp's marks do (it does not count the byte
  // order mark); past the end: the end.
  size_t OffsetOf(int line, int column_bytes) const;
  SourcePlace PlaceOf(size_t offset) const;

 private:
  static constexpr size_t kStride = 256;
  size_t ContinuedBefore(size_t offset) const;

  std::string_view text_;
  std::vector<size_t> line_starts_;
  // UTF-8 continuation bytes before every kStride-th byte, so that columns of a very long line
  // cost no walk along it.
  std::vector<size_t> continued_before_;
  size_t mark_bytes_ = 0;
};

// Past anchors (&name) and tags (!name) in front of a node.
size_t SkipNodeProperties(std::string_view file, size_t offset);

// `value` is what YAML made of the scalar that begins (its quote, its `|`, its first letter) at
// `offset`.
PlacedText PlaceScalar(const FileText& file, size_t offset, std::string_view value);

}  // namespace millrace
