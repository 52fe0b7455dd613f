#include "tests/sql/case_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace millrace::test {
namespace {

struct Section {
  int line = 0;
  Lines title;  // its words
  Lines lines;
};

std::vector<Section> SectionsOf(std::istream* input) {
  std::vector<Section> sections;
  int number = 0;
  for (std::string line; std::getline(*input, line);) {
    ++number;
    if (line.starts_with("== ")) {
      Section& section = sections.emplace_back();
      section.line = number;
      std::istringstream words(line.substr(3));
      for (std::string word; words >> word;) section.title.push_back(word);
    } else if (!sections.empty() && !line.empty() && !line.starts_with("# ")) {
      sections.back().lines.push_back(line);
    }
  }
  return sections;
}

std::string Joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool AddInput(const Section& section, SqlFile* file) {
  const Lines& title = section.title;
  const bool fixed = title.size() == 4 && title[2] == "partition";
  if (!fixed && title.size() != 2) return false;
  auto input = std::ranges::find(file->inputs, title[1], &SqlInput::stream);
  if (input == file->inputs.end()) {
    file->inputs.push_back({title[1], {}, fixed});
    input = file->inputs.end() - 1;
  }
  const size_t partition = input->partitions.size();
  if (fixed ? title[3] != std::to_string(partition) : partition > 0) return false;
  input->partitions.push_back(section.lines);
  return true;
}

bool AddSection(const Section& section, SqlFile* file) {
  const Lines& title = section.title;
  const std::string kind = title.empty() ? "" : title[0];
  if (kind == "streams") {
    file->streams = Joined(section.lines);
    return title.size() == 1;
  }
  if (kind == "lookups") {
    file->lookups = Joined(section.lines);
    return title.size() == 1;
  }
  if (kind == "lookup") {
    return title.size() == 2 && file->lookup_rows.emplace(title[1], section.lines).second;
  }
  if (kind == "input") return AddInput(section, file);
  if (kind == "query" || kind == "stream") {
    SqlCase& added = file->cases.emplace_back();
    added.line = section.line;
    added.name = title.size() > 1 ? title[1] : "q" + std::to_string(section.line);
    added.sql = Joined(section.lines);
    added.helper = kind == "stream";
    return title.size() <= 2;
  }
  if (file->cases.empty() || file->cases.back().helper) return false;
  SqlCase& query = file->cases.back();
  if (kind == "rows" || kind == "dead") {
    (kind == "rows" ? query.rows : query.letters) = section.lines;
    return !query.fails;
  }
  query.fails = true;
  query.error = Joined(section.lines);
  return kind == "error" && !query.error.empty();
}

}  // namespace

Result<SqlFile> ReadSqlFile(const std::string& path) {
  std::ifstream input(path);
  if (!input) return Status::Invalid(path, ": cannot be read");
  SqlFile file;
  for (const Section& section : SectionsOf(&input)) {
    if (!AddSection(section, &file)) {
      return Status::Invalid(path, ":", section.line, ": no such section is expected here");
    }
  }
  return file;
}

}  // namespace millrace::test
