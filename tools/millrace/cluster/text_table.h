// Columns of text, lined up.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace millrace {

struct TableColumn {
  std::string title;
  bool right = false;     // numbers
  bool measured = false;  // changes all the time: alone it makes no row a changed one
};

using TableCells = std::vector<std::string>;  // one a column; "": shown as "-"

class TextTable {
 public:
  explicit TextTable(std::vector<TableColumn> columns);

  // Cells are escaped for a terminal. Columns keep their widths from one call to the next, and
  // grow: rows that come later line up with those before, as long as they fit.
  std::string Header();
  std::string Rows(const std::vector<TableCells>& rows);
  // Both.
  std::string Format(const std::vector<TableCells>& rows);

  // What is not measured of a row, for comparison.
  std::string Unmeasured(const TableCells& cells) const;

 private:
  void MakeRoomFor(const TableCells& cells);
  std::string Line(const TableCells& cells) const;

  std::vector<TableColumn> columns_;
  std::vector<size_t> widths_;
};

}  // namespace millrace
