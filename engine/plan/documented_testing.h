// For tests that hold a table in docs/sql.md to the catalogue that it is made from.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace millrace {

// What stands between `<!-- section -->` and `<!-- /section -->` is `expected`.
// MILLRACE_WRITE_DOCS=1 in the environment writes it instead of comparing.
inline void ExpectDocumented(const std::string& section, const std::string& expected) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../docs/sql.md";
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  const std::string document = content.str();
  const std::string open = "<!-- " + section + " -->\n";
  const size_t start = document.find(open);
  const size_t end = document.find("<!-- /" + section + " -->");
  ASSERT_NE(start, std::string::npos) << path;
  ASSERT_NE(end, std::string::npos) << path;
  const size_t from = start + open.size();
  if (std::getenv("MILLRACE_WRITE_DOCS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(path) << document.substr(0, from) << expected << document.substr(end);
    return;
  }
  EXPECT_EQ(document.substr(from, end - from), expected)
      << "run this test with MILLRACE_WRITE_DOCS=1 to write the table";
}

}  // namespace millrace
