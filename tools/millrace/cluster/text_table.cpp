#include "tools/millrace/cluster/text_table.h"

#include <algorithm>

#include "tools/millrace/cluster/terminal_text.h"

namespace millrace {
namespace {

constexpr size_t kGap = 2;

TableCells Shown(const TableCells& cells) {
  TableCells shown;
  shown.reserve(cells.size());
  for (const std::string& cell : cells) shown.push_back(cell.empty() ? "-" : EscapeLine(cell));
  return shown;
}

}  // namespace

TextTable::TextTable(std::vector<TableColumn> columns) : columns_(std::move(columns)) {
  for (const TableColumn& column : columns_) widths_.push_back(DisplayWidth(column.title));
}

void TextTable::MakeRoomFor(const TableCells& cells) {
  for (size_t i = 0; i < widths_.size(); ++i) {
    widths_[i] = std::max(widths_[i], DisplayWidth(cells[i]));
  }
}

std::string TextTable::Line(const TableCells& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths_[i] - DisplayWidth(cells[i]), ' ');
    if (i > 0) line.append(kGap, ' ');
    line += columns_[i].right ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string TextTable::Header() {
  TableCells titles;
  for (const TableColumn& column : columns_) titles.push_back(column.title);
  return Line(titles);
}

std::string TextTable::Rows(const std::vector<TableCells>& rows) {
  std::vector<TableCells> shown;
  for (const TableCells& cells : rows) MakeRoomFor(shown.emplace_back(Shown(cells)));
  std::string text;
  for (const TableCells& cells : shown) text += Line(cells);
  return text;
}

std::string TextTable::Format(const std::vector<TableCells>& rows) {
  const std::string body = Rows(rows);
  return Header() + body;
}

std::string TextTable::Unmeasured(const TableCells& cells) const {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (!columns_[i].measured) text += cells[i] + '\0';
  }
  return text;
}

}  // namespace millrace
