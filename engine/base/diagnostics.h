// Mistakes in what a user wrote, told with file, line, column, a caret under the place, what was
// expected, and the nearest name that exists. Collected, so that all are told at once.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace millrace {

// A place in a text file. Lines and columns count from 1; columns count characters (UTF-8 code
// points), not bytes. line 0: the file as a whole.
struct SourcePlace {
  int line = 0;
  int column = 0;
  friend auto operator<=>(const SourcePlace&, const SourcePlace&) = default;
};

enum class Severity { kError, kWarning };

struct Diagnostic {
  Severity severity = Severity::kError;
  SourcePlace place;
  std::string message;  // one line, no full stop, begins in lower case
  std::string hint;     // "did you mean 'temperature'?"; may be empty
};

class Diagnostics {
 public:
  // `text` is the whole file, for the lines that are shown; it is kept.
  Diagnostics(std::string file_name, std::string text);

  void Error(SourcePlace place, std::string message, std::string hint = "");
  void Warning(SourcePlace place, std::string message, std::string hint = "");

  bool has_errors() const { return error_count_ > 0; }
  int error_count() const { return error_count_; }
  const std::vector<Diagnostic>& items() const { return items_; }
  const std::string& file_name() const { return file_name_; }
  // The file's text, as given.
  const std::string& text() const { return text_; }

  // Sorted by place, at most 100 shown:
  //   job.yaml:12:9: error: unknown column 'temprature'; did you mean 'temperature'?
  //      12 |   expr: temprature > 80
  //         |         ^
  std::string Render() const;

  // OK without errors; else a user error (code "invalid_job") whose message is Render().
  Status ToStatus() const;

 private:
  std::string file_name_;
  std::string text_;
  std::vector<Diagnostic> items_;
  int error_count_ = 0;
};

// The candidate nearest to `name` by edit distance (letter case ignored; swapped neighbours count
// one), or "" where none is near enough to be meant (more than a third of the letters differ).
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

// "did you mean 'x'?" for the nearest candidate; otherwise, where there are at most eight
// candidates, "known: a, b, c"; otherwise "".
std::string SuggestName(std::string_view name, std::span<const std::string> candidates);

}  // namespace millrace
