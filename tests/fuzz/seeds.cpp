#include "tests/fuzz/seeds.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::fuzz {

std::string ReadSource(const std::string& path) {
  std::ifstream file(std::string(MILLRACE_SOURCES "/") + path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) Fail("cannot read " + path);
  return text.str();
}

std::vector<std::string> ListSources(const std::string& folder, const std::string& ending) {
  std::vector<std::string> paths;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(MILLRACE_SOURCES "/") + folder)) {
    const std::string path = entry.path().lexically_relative(MILLRACE_SOURCES).string();
    if (entry.is_regular_file() && path.ends_with(ending)) paths.push_back(path);
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<std::string> Sections(const std::string& text, std::string_view mark,
                                  const std::vector<std::string>& ends) {
  std::vector<std::string> sections;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const bool is_end =
        std::ranges::any_of(ends, [&](const std::string& end) { return line.starts_with(end); });
    if (is_end) inside = false;
    if (line.starts_with(mark)) {
      inside = true;
      sections.emplace_back();
    } else if (inside) {
      sections.back() += line + "\n";
    }
  }
  return sections;
}

void Fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

}  // namespace millrace::fuzz
