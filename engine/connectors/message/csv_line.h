// CSV text (RFC 4180) as lines of cells, one at a time, read in place.
//
// A cell that begins with the quote ends with one, holds what it likes between, two quotes being
// one; behind it stands a delimiter or the line's end. Elsewhere a quote is a character as any
// other. Lines end in \n or \r\n, the last one also without; blank lines are passed over.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model/job.h"

namespace millrace {

// One thread at a time; views are valid until the next line is read, and as long as the text.
class CsvLineReader {
 public:
  explicit CsvLineReader(CsvSpec spec) : spec_(std::move(spec)) {}

  // Takes the next line off `text`: its cells, and all of it without its end. False where there is
  // none.
  bool Next(std::string_view* text);

  const std::vector<std::string_view>& cells() const { return cells_; }
  std::string_view line() const { return line_; }
  // What is wrong with the line ("a quote is not closed"), or null; its cells mean nothing then.
  const char* error() const { return error_; }

 private:
  std::string_view Unquote(std::string_view text, size_t* at);

  CsvSpec spec_;
  std::vector<std::string_view> cells_;
  std::deque<std::string> unquoted_;  // of cells with doubled quotes; do not move
  size_t unquoted_used_ = 0;
  std::string_view line_;
  const char* error_ = nullptr;
};

}  // namespace millrace
