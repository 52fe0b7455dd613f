#include "engine/model/scalar_place.h"

#include <algorithm>
#include <string>

namespace millrace {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Length of the escape at `at` (a backslash) of a double-quoted scalar.
size_t EscapeLength(std::string_view file, size_t at) {
  const char kind = at + 1 < file.size() ? file[at + 1] : '\0';
  if (kind == 'x') return 4;
  if (kind == 'u') return 6;
  if (kind == 'U') return 10;
  return 2;
}

bool IsSpaceEscape(std::string_view file, size_t at) {
  return at + 1 < file.size() &&
         std::string_view("ntr \t\n\r").find(file[at + 1]) != std::string_view::npos;
}

// The block scalar's lines are indented by what the file has more than the value has, on the first
// line that is not blank.
size_t BlockIndent(std::string_view file, size_t lines_begin, std::string_view value) {
  const size_t in_value = value.find_first_not_of(" \n");
  if (in_value == std::string_view::npos) return 0;
  const size_t value_line = value.rfind('\n', in_value);
  const size_t value_spaces =
      value_line == std::string_view::npos ? in_value : in_value - value_line - 1;
  const size_t in_file = file.find_first_not_of(" \r\n", lines_begin);
  if (in_file == std::string_view::npos) return 0;
  const size_t file_line = file.rfind('\n', in_file);
  const size_t file_spaces = in_file - (file_line == std::string_view::npos ? 0 : file_line + 1);
  return file_spaces - std::min(file_spaces, value_spaces);
}

// Walks value and file together. Runs of white space match runs of white space whatever their
// length (folding, indentation); every other character stands for itself or for an escape.
class Alignment {
 public:
  Alignment(const FileText& file, size_t at, char quote, PlacedText* placed)
      : file_(file), raw_(file.text()), at_(at), quote_(quote), placed_(placed) {}

  void Run() {
    const std::string& value = placed_->text;
    size_t i = 0;
    while (true) {
      i = SkipSpace(i);
      if (i >= value.size() || at_ >= raw_.size()) return;
      NotePlace(i);
      if (quote_ == '"' && raw_[at_] == '\\') {
        at_ += EscapeLength(raw_, at_);
        ++i;
        while (i < value.size() && ContinuesCharacter(value[i])) ++i;
        parted_ = true;
        continue;
      }
      if (raw_[at_] != value[i]) return;
      at_ += quote_ == '\'' && raw_[at_] == '\'' ? 2 : 1;
      parted_ = quote_ == '\'' && value[i] == '\'';
      ++i;
    }
  }

 private:
  size_t SkipSpace(size_t i) {
    const std::string& value = placed_->text;
    if (i < value.size() && !IsSpace(value[i]) && at_ < raw_.size() && !IsSpace(raw_[at_]) &&
        !AtSpaceEscape()) {
      return i;
    }
    const size_t value_begin = i;
    const size_t raw_begin = at_;
    bool same = true;
    while (i < value.size() && IsSpace(value[i])) ++i;
    while (at_ < raw_.size() && (IsSpace(raw_[at_]) || AtSpaceEscape())) {
      same = same && raw_[at_] == ' ';
      at_ += AtSpaceEscape() ? 2 : 1;
    }
    if (!same || i - value_begin != at_ - raw_begin) parted_ = true;
    return i;
  }
  bool AtSpaceEscape() const {
    return quote_ == '"' && raw_[at_] == '\\' && IsSpaceEscape(raw_, at_);
  }
  // Only where text and file may have parted.
  void NotePlace(size_t i) {
    if (!parted_ && i > 0) return;
    parted_ = false;
    const SourcePlace actual = file_.PlaceOf(at_);
    if (placed_->PlaceAt(i) != actual) placed_->pieces.push_back({i, actual});
  }

  const FileText& file_;
  std::string_view raw_;
  size_t at_;
  char quote_;
  PlacedText* placed_;
  bool parted_ = false;
};

}  // namespace

FileText::FileText(std::string_view text) : text_(text), line_starts_{0} {
  if (text.starts_with(kByteOrderMark)) mark_bytes_ = kByteOrderMark.size();
  size_t continued = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i % kStride == 0) continued_before_.push_back(continued);
    if (ContinuesCharacter(text[i])) ++continued;
    if (text[i] == '\n') line_starts_.push_back(i + 1);
  }
  continued_before_.push_back(continued);
}

size_t FileText::ContinuedBefore(size_t offset) const {
  const size_t block = offset / kStride;
  size_t continued = continued_before_[block];
  for (size_t i = block * kStride; i < offset; ++i) {
    if (ContinuesCharacter(text_[i])) ++continued;
  }
  return continued;
}

size_t FileText::OffsetOf(int line, int column_bytes) const {
  if (line < 0 || column_bytes < 0) return 0;
  if (size_t(line) >= line_starts_.size()) return text_.size();
  const size_t begin = line_starts_[size_t(line)] + (line == 0 ? mark_bytes_ : 0);
  const size_t end =
      size_t(line) + 1 < line_starts_.size() ? line_starts_[size_t(line) + 1] - 1 : text_.size();
  return std::min(begin + size_t(column_bytes), end);
}

SourcePlace FileText::PlaceOf(size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  const size_t begin = *std::prev(after);
  const size_t continued = ContinuedBefore(offset) - ContinuedBefore(begin);
  return {int(after - line_starts_.begin()), int(offset - begin - continued) + 1};
}

size_t SkipNodeProperties(std::string_view file, size_t offset) {
  while (offset < file.size() && (file[offset] == '&' || file[offset] == '!')) {
    while (offset < file.size() && !IsSpace(file[offset])) ++offset;
    while (offset < file.size() && IsSpace(file[offset])) ++offset;
  }
  return offset;
}

PlacedText PlaceScalar(const FileText& file, size_t offset, std::string_view value) {
  const std::string_view raw = file.text();
  PlacedText placed{std::string(value), file.PlaceOf(offset)};
  const char first = offset < raw.size() ? raw[offset] : '\0';
  char quote = '\0';
  size_t begin = offset;
  if (first == '|' || first == '>') {
    const size_t header_end = raw.find('\n', offset);
    if (header_end == std::string_view::npos) return placed;
    begin = header_end + 1;
    placed.place = {placed.place.line + 1, int(BlockIndent(raw, begin, value)) + 1};
  } else if (first == '"' || first == '\'') {
    quote = first;
    ++begin;
    ++placed.place.column;
  }
  if (first == '|') return placed;
  Alignment(file, begin, quote, &placed).Run();
  return placed;
}

}  // namespace millrace
